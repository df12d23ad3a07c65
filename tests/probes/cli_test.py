"""The command line as a stranger meets it: what it accepts, and how it refuses.

    python3 tests/probes/cli_test.py build/longshadow
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "data/fixtures/models"
MODEL = MODELS / "llama_plain.gguf"
DOCUMENT = MODELS / "document.txt"
ARTICLE = ROOT / "data/documents/how_a_cache_forgets.txt"
TREEBANK = ROOT / "data/fixtures/part_of_speech/sentences.conllu"

DONE, FAILED, BAD_USAGE = 0, 1, 2


def longshadow(*arguments, **options):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          timeout=300, check=False, **options)


class CommandLine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.output = self.folder / "run.h5"

    def probe(self, model=MODEL, document=DOCUMENT, output=None, context=48,
              subjects="list:3,7-9", more=(), **options):
        return longshadow("probe", "--model", model, "--document", document,
                          "-o", output or self.output, "--context", context, "--future", 16,
                          "--subjects", subjects, "--progress", "none", *more, **options)

    def assert_refused(self, result, status, *named):
        """One line on standard error that holds every word of `named`, and no file left."""
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for word in named:
            self.assertIn(str(word), result.stderr)
        self.assertEqual([path.name for path in self.folder.iterdir() if "run.h5" in path.name], [])

    def sketch(self, method, *more, output=None):
        return longshadow("probe", "--model", MODEL, "--document", DOCUMENT, "-o",
                          output or self.output, "--context", 48, "--future", 16, "--method",
                          method, "--progress", "none", *more)


class Accepted(CommandLine):
    def test_help_of_every_subcommand(self):
        listed = longshadow("--help")
        self.assertEqual(listed.returncode, DONE)
        for subcommand in ("probe", "retain", "merge", "generate", "analyze", "pos", "info"):
            self.assertIn(subcommand, listed.stdout)
            result = longshadow(subcommand, "--help")
            self.assertEqual((result.returncode, result.stderr), (DONE, ""))
            self.assertIn(f"longshadow {subcommand} ", result.stdout)

    def test_version(self):
        result = longshadow("--version")
        self.assertEqual(result.returncode, DONE)
        self.assertRegex(result.stdout, r"^longshadow \d+\.\d+\.\d+\n$")

    def test_a_probe_and_its_analysis(self):
        for model in (MODEL, MODELS / "llama_plain", MODELS / "qwen2.gguf"):
            output = self.folder / f"{model.name}.h5"
            result = self.probe(model, output=output)
            self.assertEqual(result.returncode, DONE, result.stderr)
            self.assertEqual(longshadow("analyze", output).returncode, DONE)

    def test_a_document_whose_name_is_not_utf8(self):
        document = self.folder / os.fsdecode(b"caf\xe9.txt")
        document.write_bytes(DOCUMENT.read_bytes())
        result = self.probe(document=document)
        self.assertEqual(result.returncode, DONE, result.stderr)
        for command in (("analyze",), ("inspect", "-o", self.folder / "page.html")):
            result = subprocess.run([PROGRAM, *map(str, command), self.output], check=False,
                                    capture_output=True)
            self.assertEqual(result.returncode, DONE, result.stderr)

    def test_parts_of_speech_come_from_the_tagger_or_from_a_file(self):
        tags = self.folder / "tags.conllu"
        tags.write_text(longshadow("pos", "tag", DOCUMENT).stdout)
        for name, pos in (("tagged", "auto"), ("read", tags), ("none", "none")):
            result = self.probe(output=self.folder / name, more=("--pos", pos))
            self.assertEqual(result.returncode, DONE, result.stderr)
        sizes = [(self.folder / name).stat().st_size for name in ("tagged", "read", "none")]
        self.assertEqual(sizes[0], sizes[1])
        self.assertLess(sizes[2], sizes[0])

    def test_a_tagger_is_trained_and_evaluated(self):
        weights = self.folder / "small.tagger"
        result = longshadow("pos", "train", "--treebank", TREEBANK, "-o", weights)
        self.assertEqual(result.returncode, DONE, result.stderr)
        report = self.folder / "report.json"
        result = longshadow("pos", "eval", "--treebank", TREEBANK, "--tagger", weights,
                            "--json", report)
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertIn("accuracy ", result.stdout)
        figures = json.loads(report.read_text())
        self.assertEqual(figures["words"], 28)
        self.assertEqual(sum(map(sum, figures["confusion"])), 28)
        self.assertEqual(figures["tags"][7], "NOUN")

    def test_a_sketch_and_a_screen_and_their_analysis(self):
        for name, arguments in (("sketch", ("--probes", 4)),
                                ("sketch", ("--detail", "head", "--probe-kind", "sampled")),
                                ("sketch", ("--precision", "f64", "--bins", "0:2,1:16")),
                                ("sketch", ("--precision", "bf16", "--subjects", "all")),
                                ("screen", ("--exact", "5%", "--control", 9)),
                                ("screen", ("--evict-at", "end", "--detail", "layer"))):
            with self.subTest(name=name, arguments=arguments):
                output = self.folder / f"{len(list(self.folder.iterdir()))}.h5"
                result = self.sketch(name, *arguments, output=output)
                self.assertEqual(result.returncode, DONE, result.stderr)
                result = longshadow("analyze", output)
                self.assertEqual(result.returncode, DONE, result.stderr)
                self.assertIn("sketch of 48 tokens", result.stdout)
                self.assertEqual(name == "screen", "furthest off" in result.stdout)

    def test_the_same_sketch_gives_the_same_bytes(self):
        runs = [self.folder / "one.h5", self.folder / "two.h5"]
        for output, threads in zip(runs, ("1", "2")):
            result = self.sketch("screen", "--threads", threads, output=output)
            self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertEqual(runs[0].read_bytes(), runs[1].read_bytes())

    def test_without_bf16_products_f32_measures(self):
        old_processor = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
        result = self.probe(more=("--precision", "bf16"), env=old_processor)
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertIn("no bf16 products", result.stderr)
        self.assertIn("differential f32", longshadow("analyze", self.output).stdout)


class Subjects(CommandLine):
    def report(self, subjects, *more, model=MODEL):
        """What analyze says of the one document."""
        for path in (self.output, self.folder / "report.json"):
            path.unlink(missing_ok=True)
        result = self.probe(model, subjects=subjects, context=96, more=("--recent", 8, *more))
        self.assertEqual(result.returncode, DONE, result.stderr)
        result = longshadow("analyze", self.output, "--json", self.folder / "report.json")
        self.assertEqual(result.returncode, DONE, result.stderr)
        document, = json.loads((self.folder / "report.json").read_text())["documents"]
        return document

    def test_help_teaches_the_selections(self):
        taught = longshadow("probe", "--help").stdout
        for word in ("all", "sample:N", "list:3,7-9", "set:3,7-9", "word:N", "sentence:all",
                     "sentence:N", "lag:0", "top:SIGNAL:5%", "each:SIGNAL:N", "policy:P@B",
                     "entropy-before", "--layers", "--heads", "--sinks", "--recent"):
            self.assertIn(word, taught)

    def test_each_part_of_a_selection_is_a_group(self):
        report = self.report("sample:6+word:7+set:3,9+top:random:5%+top:random:5%+top:drift:5%",
                             "--evict-at", "end")
        groups = {group["name"]: group["n_subjects"] for group in report["groups"]}
        sinks = groups["sinks"]
        self.assertEqual(groups["chosen: sample"] + groups["chosen: word"] + sinks, 13)
        sets = {group["name"]: group["n_subjects"] for group in report["sets"]}
        self.assertEqual(sets, {"set": 1, "top:drift:5%": 1, "top:random:5%": 2})

    def test_the_highest_and_the_lowest_leave_one_at_a_time(self):
        report = self.report("each:random:6+each:drift:5+each:-drift:4", "--evict-at", "lag:4")
        groups = {group["name"]: group["n_subjects"] for group in report["groups"]}
        self.assertEqual(groups["chosen: each:drift:5"], 5)
        self.assertEqual(groups["chosen: each:-drift:4"], 4)
        self.assertEqual(groups["all"], 6)  # only what was drawn stands for the document

    def test_a_set_has_one_influence_in_every_precision_and_form(self):
        selection = "top:entropy-before:20%+top:attention-window:5%+set:3,9-12"
        for part in ((), ("--layers", "1", "--heads", "0")):
            for model in (MODEL, MODELS / "qwen2"):
                def means(*precision):
                    report = self.report(selection, "--evict-at", "end", *part, *precision,
                                         model=model)
                    return [group["bins"][0]["mean_nats"]["value"] for group in report["sets"]]

                truth = means("--precision", "f64")
                self.assertEqual(len(truth), 3)
                # bf16 rounds to 2^-9; a mean of 16 influences came out within 0.4% here.
                for tolerance, *precision in ((1e-9, "f64", "--method", "differential"),
                                              (1e-4, "f32"), (1e-4, "f32", "--method", "direct"),
                                              (2e-2, "bf16")):
                    for value, true in zip(means("--precision", *precision), truth):
                        self.assertAlmostEqual(value / true, 1, delta=tolerance)

    def test_fewer_layers_and_heads_are_another_measurement(self):
        means = set()
        for part in ((), ("--layers", "0"), ("--layers", "1"), ("--heads", "1"),
                     ("--layers", "0", "--heads", "1")):
            report = self.report("set:3,9-12", *part)
            means.add(report["sets"][0]["bins"][0]["mean_nats"]["value"])
            where = "layers 0, KV heads 1" if len(part) == 4 else ""
            self.assertIn(where, report["conditions"])
        self.assertEqual(len(means), 5)

    def test_what_a_policy_evicts_is_a_set(self):
        report = self.report("policy:tova@0.3+policy:knorm@0.1+top:random:20%", "--evict-at", "end")
        sets = {group["name"]: group["bins"] for group in report["sets"]}
        self.assertEqual(set(sets), {"policy:tova@0.3", "policy:knorm@0.1", "top:random:20%"})

    def test_a_seed_draws_the_same_words_and_sets(self):
        runs = []
        for _ in range(2):
            self.output.unlink(missing_ok=True)
            result = self.probe(subjects="word:5+top:random:10%", context=96,
                                more=("--seed", 7, "--recent", 8, "--evict-at", "end"))
            self.assertEqual(result.returncode, DONE, result.stderr)
            runs.append(self.output.read_bytes())
        self.assertEqual(*runs)

    def test_what_cannot_be_removed_is_refused(self):
        for subjects, *named in (("top:entropy-at:5%", "--evict-at end"),
                                 ("word:10000", "as many as the context has words"),
                                 ("sample:2+policy:tova@0.2", "policy:tova@0.2", "--evict-at end"),
                                 ("sample:2+politics:3", "politics:3", "policy:P@B"),
                                 ("set:3,48", "48", "0 to 47")):
            with self.subTest(subjects=subjects):
                self.assert_refused(self.probe(subjects=subjects), BAD_USAGE, *named)
        for more, *named in ((("--layers", "0-2"), "layer 2", "0 to 1"),
                             (("--heads", "2"), "KV head 2"), (("--heads", ""), "--heads"),
                             (("--layers", "last"), "--layers", "last"),
                             (("--sinks", "-1"), "--sinks")):
            with self.subTest(more=more):
                self.assert_refused(self.probe(more=more), BAD_USAGE, *named)
        crowded = self.probe(subjects="top:drift:50%", more=("--evict-at", "end"))
        self.assert_refused(crowded, BAD_USAGE, "24 of", "--recent 32", "leave 12")


class SameBits(CommandLine):
    """A run file does not tell how many threads or how much memory made it."""

    def measured(self, *more, subjects, memory, threads, context=48):
        """The run file's bytes, or None where the memory does not do."""
        self.output.unlink(missing_ok=True)
        result = self.probe(subjects=subjects, context=context, more=("--memory", memory, "--threads", threads, *more))
        if result.returncode == BAD_USAGE:
            self.assertIn("--memory", result.stderr)
            return None
        self.assertEqual(result.returncode, DONE, result.stderr)
        return self.output.read_bytes()

    def least_memory(self, *more, context=48):
        """Bytes with which counterfactuals just run, one at a time."""
        low, high = 0, 1 << 30
        while low + 1 < high:
            middle = (low + high) // 2
            fits = self.measured(*more, subjects="list:3", memory=middle, threads=1,
                                 context=context) is not None
            low, high = (low, middle) if fits else (middle, high)
        return high

    def test_threads_and_memory_leave_no_trace(self):
        ends = ("all+word:3+set:2,5-9,40+top:drift:20%+top:random:10%", "--recent", 8,
                "--evict-at", "end")
        lags = ("all+word:3+set:2,5-9,40", "--evict-at", "lag:3", "--layers", "1")
        for form in (("--precision", "f32"), ("--precision", "bf16"),
                     ("--precision", "f32", "--method", "direct"), ("--precision", "f64")):
            for subjects, *rest in (ends, lags):
                least = self.least_memory(*form, *rest)
                runs = {self.measured(*form, *rest, subjects=subjects, memory=memory, threads=threads)
                        for memory, threads in ((0, 1), (0, 2), (0, 3), (least, 3), (least, 1),
                                                (least * 5 // 4, 2), (least * 3 // 2, 3))}
                self.assertEqual(len(runs), 1, (form, subjects))
                self.assertNotIn(None, runs)

    def test_a_document_read_in_stretches(self):
        """Where the activations of all positions do not fit."""
        lag = ("--evict-at", "lag:3")
        least = self.least_memory(*lag, context=216)
        plan = longshadow("plan", "--model", MODEL, "--context", 216, "--future", 16, *lag,
                          "--memory", least).stdout
        self.assertRegex(plan, r"full passes +[2-9]\d* ")
        subjects = "list:100,5-9,213,2,90,150-153"
        runs = {self.measured(*lag, subjects=subjects, memory=memory, threads=2, context=216)
                for memory in (0, least, least * 9 // 8)}
        self.assertEqual(len(runs), 1)
        self.assertNotIn(None, runs)


class BadUsage(CommandLine):
    def test_no_or_unknown_subcommand(self):
        self.assertEqual(longshadow().returncode, BAD_USAGE)
        self.assertIn("Usage", longshadow().stderr)
        self.assert_refused(longshadow("prove"), BAD_USAGE, "prove")

    def test_unknown_option(self):
        self.assert_refused(self.probe(more=("--depth", "3")), BAD_USAGE, "--depth")

    def test_missing_option(self):
        self.assert_refused(longshadow("probe", "--model", MODEL), BAD_USAGE, "--document")

    def test_impossible_values(self):
        for option, value in (("--precision", "f8"), ("--evict-at", "then"), ("--threads", "-1"),
                              ("--threads", "100000"), ("--bos", "perhaps"), ("--seed", "x"),
                              ("--entropy-top-k", "0"), ("--method", "guess"),
                              ("--memory", "much")):
            with self.subTest(option=option):
                self.assert_refused(self.probe(more=(option, value)), BAD_USAGE, option)
        for lag in ("lag:x", "lag:-1", "lag:18446744073709551615"):
            with self.subTest(lag=lag):
                self.assert_refused(self.probe(more=("--evict-at", lag)), BAD_USAGE, lag[4:])
        for subjects in ("some", "list:", "list:9-7", "list:3,,4", "sample:0", "sample:-1"):
            with self.subTest(subjects=subjects):
                self.assert_refused(self.probe(subjects=subjects), BAD_USAGE, subjects)

    def test_what_a_sketch_cannot_do(self):
        for method, option, value in (
                ("sketch", "--subjects", "sample:5"), ("sketch", "--evict-at", "lag:16"),
                ("sketch", "--layers", "0"), ("screen", "--heads", "0"),
                ("sketch", "--exact", "10%"), ("sketch", "--control", "9"),
                ("differential", "--probes", "16"), ("differential", "--bins", "0:8"),
                ("screen", "--exact", "0%"), ("screen", "--exact", "many"),
                ("screen", "--control", "-1"), ("sketch", "--probes", "1"),
                ("sketch", "--probes", "5000"), ("sketch", "--memory", "100K"),
                ("sketch", "--probe-kind", "x"),
                ("sketch", "--detail", "x"), ("sketch", "--bins", "0:17"),
                ("sketch", "--bins", "8:4"), ("sketch", "--bins", "0:8,"),
                ("sketch", "--bins", "a:b"), ("sketch", "--bins", "0:99999999999999999999")):
            with self.subTest(method=method, option=option, value=value):
                result = longshadow("probe", "--model", MODEL, "--document", DOCUMENT, "-o",
                                    self.output, "--context", 48, "--future", 16, "--progress",
                                    "none", "--method", method, option, value)
                self.assert_refused(result, BAD_USAGE, option)

    def test_subject_outside_the_context(self):
        self.assert_refused(self.probe(subjects="list:48"), BAD_USAGE, "48")

    def test_context_longer_than_the_document(self):
        short = self.folder / "short.txt"
        short.write_text("Too short.")
        self.assert_refused(self.probe(document=short), BAD_USAGE, "short.txt", "48")

    def test_context_longer_than_the_model_was_trained_for(self):
        self.assert_refused(self.probe(context=500), BAD_USAGE, "500", "256")


class Plan(CommandLine):
    """What a probe would take, from a config.json alone."""

    CONFIG = MODELS / "qwen2/config.json"

    def plan(self, *more):
        return longshadow("plan", "--model", self.CONFIG, "--future", 16, *more)

    def test_parts_make_the_whole(self):
        result = self.plan("--context", 48)
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = result.stdout.splitlines()
        gigabytes = {line[:20].strip(): float(line[20:].rstrip("G")) for line in lines
                     if line.endswith("G")}
        whole = gigabytes.pop("in all")
        self.assertLessEqual({"weights", "cache", "tape", "signals", "batch"}, set(gigabytes))
        # Each is rounded to a hundredth.
        self.assertAlmostEqual(whole, sum(gigabytes.values()), delta=0.005 * (len(gigabytes) + 1))
        self.assertIn("512 counterfactuals, 8192 rows", result.stdout)

    def test_too_little_memory(self):
        self.assert_refused(self.plan("--context", 48, "--memory", "100K"), BAD_USAGE, "--memory", "weights")

    def test_too_long(self):
        self.assert_refused(self.plan("--context", "500"), BAD_USAGE, "500", "256")

    def test_a_device_that_is_not_here(self):
        here, there = (float(re.search(r"^weights\s+([\d.]+)G$", self.plan("--context", 48, "--device", device).stdout,
                                       re.MULTILINE)[1])
                       for device in ("cpu", "cuda"))
        self.assertLess(there, here)
        self.assert_refused(self.plan("--context", 48, "--device", "gpu"), BAD_USAGE, "--device", "gpu")


class BadFiles(CommandLine):
    def test_missing_files_and_directories(self):
        missing = self.folder / "missing.txt"
        self.assert_refused(self.probe(document=missing), FAILED, missing)
        self.assert_refused(self.probe(document=self.folder), FAILED, self.folder)
        self.assert_refused(self.probe(missing), FAILED, missing)
        self.assert_refused(self.probe(self.folder), FAILED, self.folder, "an empty folder")

    def test_a_cut_model(self):
        whole = MODEL.read_bytes()
        cut = self.folder / "cut.gguf"
        for size in (0, 3, 23, 1000, len(whole) // 2, len(whole) - 1):
            with self.subTest(size=size):
                cut.write_bytes(whole[:size])
                self.assert_refused(self.probe(cut), FAILED, cut)

    def test_an_unknown_architecture_is_named(self):
        model = self.folder / "other.gguf"
        key, value = b"general.architecture", b"\x05\0\0\0\0\0\0\0llama"
        changed = MODEL.read_bytes()
        at = changed.index(value, changed.index(key))
        model.write_bytes(changed[:at] + value.replace(b"llama", b"mamba")
                          + changed[at + len(value):])
        self.assert_refused(self.probe(model), FAILED, model, "mamba")

    def test_an_unwritable_output(self):
        self.assert_refused(self.probe(output=self.folder / "none/run.h5"), FAILED, "none")
        self.assert_refused(self.probe(output="/proc/run.h5"), FAILED, "/proc")

    def test_a_finished_run_is_not_overwritten(self):
        kept = self.folder / "kept.h5"
        kept.write_text("precious")
        self.assert_refused(self.probe(output=kept), FAILED, kept)
        self.assertEqual(kept.read_text(), "precious")

    def test_a_disk_that_fills_up(self):
        def after_a_page():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        self.assert_refused(self.probe(preexec_fn=after_a_page), FAILED, "run.h5")

    def test_standard_output_on_a_full_disk(self):
        self.assertEqual(self.probe().returncode, DONE)
        for words in (["--help"], ["probe", "--help"], ["info", MODEL], ["analyze", self.output]):
            with self.subTest(words=words), open("/dev/full", "w") as full:
                result = subprocess.run([PROGRAM, *map(str, words)], stdout=full, check=False,
                                        stderr=subprocess.PIPE, text=True, timeout=300)
                self.assertEqual(result.returncode, FAILED)
                self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
                self.assertIn("standard output", result.stderr)

    def test_tags_that_do_not_fit(self):
        tags = self.folder / "tags.conllu"
        tags.write_text("1\tElsewhere\t_\tADV" + "\t_" * 6 + "\n\n")
        self.assert_refused(self.probe(more=("--pos", tags)), FAILED, "tags.conllu", "line 1",
                            "'Elsewhere'", "document.txt")
        tags.write_text("1\tElsewhere\tADV\n")
        self.assert_refused(self.probe(more=("--pos", tags)), FAILED, "line 1", "10 columns")
        self.assert_refused(self.probe(more=("--pos", tags, tags)), BAD_USAGE, "--pos")
        self.assert_refused(self.probe(more=("--pos", "none.conllu")), FAILED, "none.conllu")
        self.assert_refused(self.probe(more=("--tagger", MODEL)), FAILED, MODEL, "tagger")
        self.assert_refused(longshadow("pos", "guess"), BAD_USAGE, "guess")
        self.assert_refused(longshadow("pos", "train", "--treebank", TREEBANK, "-o", tags), FAILED,
                            tags)

    def test_analyze_of_something_else(self):
        other = self.folder / "other.h5"
        other.write_text("no HDF5")
        self.assert_refused(longshadow("analyze", other), FAILED, other)
        self.assert_refused(longshadow("analyze", self.folder / "none.h5"), FAILED, "none.h5")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
