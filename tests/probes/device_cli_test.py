"""`--device` of every command that runs a model: the same figures on a CUDA device, which is the
processor in the program that is made for that, and refusals.

    python3 tests/probes/device_cli_test.py build/probes/commands/longshadow_host_cuda
"""

import json
import sys
import unittest

import cli_test
from cli_test import BAD_USAGE, DOCUMENT, DONE, FAILED, MODEL, MODELS, CommandLine, longshadow

BF16_MODEL = MODELS / "llama_llama3"  # its files are bf16

ON_DOCUMENT = ("--document", DOCUMENT, "--context", 40, "--future", 8, "--progress", "none")
RETAIN = ("retain", *ON_DOCUMENT, "--budgets", "0.4", "--policies")
GENERATE = ("generate", "--document", DOCUMENT, "--context", 40, "--max-tokens", 6)
BENCH = ("bench", "--context", 32, "--future", 8, "--subjects", 2)
PROBE = ("probe", "--document", DOCUMENT, "--context", 48, "--future", 16, "--subjects", "all",
         "--evict-at", "end", "--progress", "none")


class Devices(CommandLine):
    def run_on(self, device, *words, model=MODEL, **options):
        result = longshadow(*words, "--model", model, "--device", device, **options)
        self.assertEqual(result.returncode, DONE, result.stderr)
        return result

    def setUp(self):
        super().setUp()
        refused = longshadow(*BENCH, "--model", "none", "--device", "cuda-host").stderr
        self.cuda = "cuda" if "expected auto" in refused else "cuda-host"

    def test_retain_costs_the_same(self):
        costs = []
        for device in ("cpu", self.cuda):
            output, figures = (self.folder / f"{device}.{kind}" for kind in ("h5", "json"))
            self.run_on(device, *RETAIN, "infokv:window=8,expected-attention,key-rotation/knorm",
                        "-o", output)
            self.assertEqual(longshadow("analyze", output, "--json", figures).returncode, DONE)
            arms = json.loads(figures.read_text())["retention"]["arms"]
            self.assertEqual(len(arms), 3)
            costs.append([arm["near"]["mean_nats"]["value"] for arm in arms])
        for cpu, cuda in zip(*costs):
            self.assertGreater(cpu, 0)
            self.assertAlmostEqual(cuda / cpu, 1, delta=1e-5)

    def test_screens_as_the_processor_does(self):
        reports = []
        for device in ("cpu", self.cuda):
            output, report = self.folder / f"{device}.h5", self.folder / f"{device}.json"
            result = self.sketch("screen", "--precision", "f64", "--probes", 4, "--device", device,
                                 output=output)
            self.assertEqual(result.returncode, DONE, result.stderr)
            longshadow("analyze", output, "--json", report)
            reports.append(json.loads(report.read_text()))
        for part in ("documents", "sketches"):
            self.assertTrue(reports[0][part])
            self.assert_close(reports[1][part], reports[0][part])

    def assert_close(self, found, expected):
        """Equal but for numbers, which f32 holds in a run's sketch."""
        if isinstance(expected, dict):
            self.assertEqual(found.keys(), expected.keys())
            for key in expected:
                self.assert_close(found[key], expected[key])
        elif isinstance(expected, list):
            self.assertEqual(len(found), len(expected))
            for one, other in zip(found, expected):
                self.assert_close(one, other)
        elif isinstance(expected, float):
            self.assertAlmostEqual(found, expected, delta=1e-6 * abs(expected))
        else:
            self.assertEqual(found, expected)

    def test_a_run_belongs_to_its_device(self):
        output = self.folder / "run.h5"
        self.run_on("cpu", *RETAIN, "knorm", "-o", output)
        taken = longshadow(*RETAIN, "knorm", "-o", output, "--model", MODEL, "--device", self.cuda)
        self.assertEqual(taken.returncode, FAILED)
        self.assertIn("the name is taken", taken.stderr)
        begun = f"{self.folder}/begun/"
        self.run_on(self.cuda, *RETAIN, "knorm", "-o", begun)
        elsewhere = longshadow(*RETAIN, "knorm", "-o", begun, "--model", MODEL, "--device", "cpu")
        self.assertEqual(elsewhere.returncode, BAD_USAGE)
        for word in ("another run was begun here", "--device", "cuBLASLt"):
            self.assertIn(word, elsewhere.stderr)

    def test_batches_do_not_show_in_the_bytes(self):
        """After a kill, and in a shard, other counterfactuals come together than in one run."""
        for more in (("--precision", "bf16"), ("--precision", "f32"), ("--method", "direct"),
                     ("--method", "sketch")):
            runs = []
            for memory in ("0", "800K"):  # 48 counterfactuals at once, and few
                runs.append(self.folder / f"{more[1]}-{memory}.h5")
                self.run_on(self.cuda, *PROBE, *more, "--memory", memory, "-o", runs[-1])
            with self.subTest(more=more):
                self.assertEqual(runs[0].read_bytes(), runs[1].read_bytes())

    def test_generate_writes_the_same(self):
        for more in ((), ("--policy", "snapkv:window=8", "--budget", 0.5, "--kv-bits", 8),
                     ("--temperature", 1, "--seed", 3)):
            with self.subTest(more=more):
                texts = [self.run_on(device, *GENERATE, *more, errors="replace").stdout
                         for device in ("cpu", self.cuda)]
                self.assertEqual(*texts)
                self.assertGreater(len(texts[0]), 6)

    def test_bench_times_the_device(self):
        figures = self.folder / "bench.json"
        for precision in ("f32", "bf16"):
            self.run_on(self.cuda, *BENCH, "--precision", precision, "--json", figures)
            timed = json.loads(figures.read_text())
            self.assertNotEqual(timed["device"], "cpu")
            self.assertEqual(timed["precision"], precision)
            for phase in ("prefill", "full_pass", "counterfactuals"):
                self.assertGreater(timed[phase]["per_s"], 0)
        self.run_on(self.cuda, *BENCH, model=BF16_MODEL)
        table = self.run_on(self.cuda, *BENCH, "--policies", "snapkv:window=8,infokv:window=8")
        for word in ("alone", "snapkv:window=8", "infokv:window=8", "%"):
            self.assertIn(word, table.stdout)

    def test_what_no_device_does(self):
        output = ("-o", self.output)
        for words in (("probe", *ON_DOCUMENT, *output), (*RETAIN, "knorm", *output), GENERATE,
                      BENCH):
            refusals = [(("--device", "tpu"), "--device", "tpu", "auto, cpu or cuda"),
                        (("--device", self.cuda, "--precision", "f16"), "f16", "f32")]
            if self.cuda != "cuda":
                refusals.append((("--device", "cuda"), "--device cuda", "built without CUDA"))
            if words[0] in ("retain", "generate"):
                refusals.append((("--device", self.cuda, "--precision", "bf16"), "f32 or f64"))
            if words[0] == "retain":
                refusals.append((("--device", self.cuda, "--memory", "1K"), "--memory"))
            for more, *named in refusals:
                with self.subTest(command=words[0], more=more):
                    self.assert_refused(longshadow(*words, "--model", MODEL, *more), BAD_USAGE,
                                        *named)


if __name__ == "__main__":
    cli_test.PROGRAM = sys.argv.pop(1)
    unittest.main()
