"""`longshadow retain` as a stranger meets it.

    python3 tests/probes/retain_cli_test.py build/longshadow
"""

import json
import sys
import unittest

import cli_test
from cli_test import BAD_USAGE, DOCUMENT, DONE, FAILED, MODEL, MODELS, CommandLine, longshadow


class Retain(CommandLine):
    def retain(self, *more, policies="snapkv:window=8", budgets="0.4,0.2", model=MODEL, context=48,
               output=None):
        return longshadow("retain", "--model", model, "--document", DOCUMENT, "-o",
                          output or self.output, "--policies", policies, "--budgets", budgets,
                          "--context", context, "--future", 16, "--progress", "none", *more)

    def test_policies_and_their_analysis(self):
        every = ("full,random,streaming-llm,h2o,snapkv:window=8,pyramidkv:window=8,cake:window=8,"
                 "dropkv:window=8,tova,knorm,keydiff,expected-attention,lagkv,"
                 "infokv:window=8,entropy=at,adakv/snapkv:window=8,"
                 "chunkkv:length=4/h2o,key-rotation/infokv:window=8")
        for model in (MODEL, MODELS / "qwen2.gguf"):
            with self.subTest(model=model.name):
                output = self.folder / f"{model.name}.h5"
                result = self.retain("--sinks", 2, policies=every, model=model, output=output)
                self.assertEqual(result.returncode, DONE, result.stderr)
                result = longshadow("analyze", output)
                self.assertEqual(result.returncode, DONE, result.stderr)
                for word in ("infokv:window=8,entropy=at", "adakv/snapkv:window=8", "0.4"):
                    self.assertIn(word, result.stdout)

    def test_the_same_run_gives_the_same_bytes(self):
        runs = [self.folder / "one.h5", self.folder / "two.h5"]
        for output, threads in zip(runs, ("1", "2")):
            result = self.retain("--threads", threads, policies="random,knorm", output=output)
            self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertEqual(runs[0].read_bytes(), runs[1].read_bytes())

    def test_an_oracle_keeps_by_a_probe(self):
        influence = self.folder / "influence.h5"
        result = longshadow("probe", "--model", MODEL, "--document", DOCUMENT, "-o", influence,
                            "--context", 48, "--future", 16, "--method", "sketch", "--progress",
                            "none")
        self.assertEqual(result.returncode, DONE, result.stderr)
        result = self.retain("--influence", influence, policies="oracle,oracle:over=far")
        self.assertEqual(result.returncode, DONE, result.stderr)
        output = self.folder / "other"
        for refused, words in (
                (self.retain("--influence", influence, policies="oracle", context=40,
                             output=output), ("--influence", "40")),
                (self.retain("--influence", influence, policies="oracle", model=MODELS / "qwen2",
                             output=output), ("--influence", "same model"))):
            self.assertEqual(refused.returncode, BAD_USAGE)
            for word in words:
                self.assertIn(word, refused.stderr)

    def test_a_cache_in_few_bits(self):
        arms = []
        for bits in ((), ("--kv-bits", 8), ("--kv-bits", 4, "--kv-group", 32)):
            output, figures = (self.folder / f"{len(arms)}.{kind}" for kind in ("h5", "json"))
            result = self.retain(*bits, policies="full", budgets="1", context=96, output=output)
            self.assertEqual(result.returncode, DONE, result.stderr)
            self.assertEqual(longshadow("analyze", output, "--json", figures).returncode, DONE)
            arms.append(json.loads(figures.read_text())["retention"]["arms"][0])
        self.assertEqual([arm["kv_bits"] for arm in arms], [32, 8, 4])
        # A key's channel shares 64 bits among 64 or 32 tokens, a value's 16 channels share as many;
        # of 96 tokens a group of 64 leaves 32 as they are.
        for arm, share in zip(arms, (1, (1 + 2 * (8 + (1 + 4) / 2) / 32) / 3,
                                     (4 + (2 + 4) / 2) / 32)):
            self.assertAlmostEqual(arm["bytes_share"], share)
        costs = [arm["near"]["mean_nats"]["value"] for arm in arms]
        self.assertEqual(costs, sorted(costs))
        self.assertGreater(costs[1], 100 * abs(costs[0]))

    def test_help_teaches(self):
        taught = longshadow("retain", "--help").stdout
        for word in ("infokv", "adakv", "oracle", "--budgets", "--sinks", "--influence", "full "):
            self.assertIn(word, taught)

    def test_what_is_refused(self):
        for options, *named in (
                ({"budgets": "0"}, "--budgets", "above 0"),
                ({"budgets": "0.4,1.5"}, "1.5", "at most 1"),
                ({"budgets": "-0.1"}, "-0.1"),
                ({"budgets": ""}, "--budgets"),
                ({"budgets": "0.4,0.4"}, "twice"),
                ({"policies": "snapkv"}, "snapkv", "more than 64 tokens"),
                ({"policies": "snapvk"}, "did you mean snapkv"),
                ({"policies": ""}, "unknown policy"),
                ({"policies": "snapkv:window=0"}, "window"),
                ({"policies": "infokv:alfa=0.5"}, "alpha"),
                ({"policies": "oracle"}, "--influence"),
                ({"policies": "learned:none.json"}, "none.json", "longshadow learn ranking by_head.h5"),
                ({"policies": "budgets:none.json/h2o"}, "none.json", "--ranking h2o"),
                ({"policies": "knorm,rpc:window=4"}, "--policies rpc:window=4",
                 "every token of a prompt", "longshadow generate"),
                ({"policies": "chunkkv/rpc"}, "--policies chunkkv/rpc", "longshadow generate"),
                ({"context": 0}, "at least 1"),
                ({"context": 100000}, "100000")):
            with self.subTest(options=options):
                self.assert_refused(self.retain(**options), BAD_USAGE, *named)
        for more, *named in (
                (("--precision", "bf16"), "f32 or f64"),
                (("--kv-bits", "3"), "--kv-bits", "8 or 4", "found 3"),
                (("--kv-bits", "4", "--kv-group", "16"), "--kv-group", "32 or 64"),
                (("--memory", "1K"), "--memory"),
                (("--sinks", "47"), "more than 55"),
                (("--influence", self.folder / "none"), "none")):
            with self.subTest(more=more):
                status = FAILED if "--influence" in more else BAD_USAGE
                self.assert_refused(self.retain(*more), status, *named)


if __name__ == "__main__":
    cli_test.PROGRAM = sys.argv.pop(1)
    unittest.main()
