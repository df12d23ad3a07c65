"""Runs that are interrupted, divided and merged, as the command line shows them.

    python3 tests/probes/run_cli_test.py build/longshadow
"""

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "data/fixtures/models"

DONE, FAILED, BAD_USAGE = 0, 1, 2


def longshadow(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          timeout=300, check=False)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


class Runs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.output = self.folder / "run.h5"
        self.parts = self.folder / "run.h5.parts"
        self.directory = self.folder / "run"
        self.target = f"{self.directory}/"
        self.documents = []
        for name in ("one.txt", "two.txt"):
            self.documents.append(self.folder / name)
            shutil.copy(MODELS / "document.txt", self.documents[-1])
        # 250 subjects of 100 positions are two shards.
        self.probe = ["probe", "--document", *self.documents, "--model",
                      MODELS / "llama_plain.gguf", "--context", 150, "--future", 100, "--evict-at",
                      "end", "--subjects", "all+sentence:2+sample:98"]
        self.screen = ["probe", "--document", *self.documents, "--model",
                       MODELS / "llama_plain.gguf", "--context", 150, "--future", 100, "--method",
                       "screen", "--control", 20]
        self.retain = ["retain", "--document", *self.documents, "--model",
                       MODELS / "llama_plain.gguf", "--context", 150, "--future", 100]

    def run_well(self, *arguments):
        result = longshadow(*arguments)
        self.assertEqual(result.returncode, DONE, result.stderr)
        return result

    def merged(self, directory):
        output = self.folder / "merged.h5"
        output.unlink(missing_ok=True)
        self.run_well("merge", directory, "-o", output)
        return output.read_bytes()

    def assert_refused(self, result, status, *named):
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for word in named:
            self.assertIn(str(word), result.stderr)


class Divided(Runs):
    def test_a_directory_has_the_shards_that_data_format_says(self):
        self.run_well(*self.probe, "-o", self.target)
        names = sorted(files(self.directory))
        self.assertEqual(names.pop(), "plan.h5")
        stem = names[0][:16]
        self.assertEqual(names, sorted(f"{stem}-d000{d}{part}.h5" for d in (0, 1) for part in
                                       ("", "-u000000-000163", "-u000163-000250")))

    def test_the_same_command_twice_gives_the_same_bytes(self):
        for name in ("first", "second"):
            self.run_well(*self.probe, "-o", f"{self.folder / name}/")
        self.assertEqual(files(self.folder / "first"), files(self.folder / "second"))

    def test_any_division_threads_and_memory_give_the_same_bytes(self):
        for command in (self.probe, [*self.probe, "--method", "direct"], self.screen, self.retain,
                        [*self.screen, "--method", "sketch"][:-2]):
            self.output.unlink(missing_ok=True)
            self.run_well(*command, "-o", self.output, "--threads", 1)
            for count, options in ((1, ("--threads", 3)), (2, ("--memory", "40M")),
                                   (3, ("--threads", 2)), (7, ())):
                with self.subTest(command=command[-2:], count=count):
                    for index in range(count, 0, -1):
                        self.run_well(*command, "-o", self.directory, *options, "--shard",
                                      f"{index}/{count}")
                    self.assertEqual(self.merged(self.directory), self.output.read_bytes())
                    shutil.rmtree(self.directory)

    def test_shares_are_stretches_that_meet(self):
        measured = []
        for index in range(1, 5):
            folder = self.folder / str(index)
            self.run_well(*self.probe, "-o", folder, "--shard", f"{index}/4")
            measured.append({name for name in files(folder) if "-u" in name})
        self.assertEqual([len(names) for names in measured], [1, 1, 1, 1])
        self.assertEqual(len(set().union(*measured)), 4)

    def test_a_gap_is_named_and_nothing_written(self):
        self.run_well(*self.probe, "-o", self.directory, "--shard", "1/4")
        refused = longshadow("merge", self.directory, "-o", self.output)
        self.assert_refused(refused, FAILED, "163 of 500 subjects", "one.txt, subjects 163-249",
                            "two.txt, the full pass", f"-o {self.directory}")
        self.assertFalse(self.output.exists())
        self.run_well(*self.probe, "-o", self.target)
        self.merged(self.directory)

    def test_readers_say_what_share_is_done(self):
        for index in (1, 2):
            self.run_well(*self.probe, "-o", self.directory, "--shard", f"{index}/4")
        page = self.folder / "page.html"
        for command in (("analyze", self.directory), ("inspect", self.directory, "-o", page)):
            result = self.run_well(*command)
            self.assertEqual(result.stdout.splitlines()[0],
                             f"{self.directory}: 250 of 500 subjects are measured (50%); "
                             "1 of 2 documents are not read yet")
        self.assertIn("one.txt", page.read_text())

    def test_what_is_no_run_directory(self):
        empty = self.folder / "empty"
        empty.mkdir()
        self.assert_refused(longshadow("analyze", empty), FAILED, "plan.h5")
        self.assert_refused(longshadow("merge", empty, "-o", self.output), FAILED, "plan.h5")
        (empty / "mine.txt").write_text("precious")
        self.assert_refused(longshadow(*self.probe, "-o", empty), BAD_USAGE, "without plan.h5")
        for shard in ("0/4", "5/4", "4", "1/0", "-1/4", "a/b"):
            with self.subTest(shard=shard):
                self.assert_refused(longshadow(*self.probe, "-o", self.directory, f"--shard={shard}"),
                                    BAD_USAGE, "--shard")

    def test_an_oracle_takes_no_unfinished_run(self):
        self.run_well(*self.screen, "-o", self.target)
        refused = longshadow(*self.retain, "--policies", "oracle", "--influence", self.directory,
                             "-o", self.output)
        self.assert_refused(refused, BAD_USAGE, "longshadow merge")

    def test_shards_of_another_run_are_refused(self):
        self.run_well(*self.probe, "-o", self.target)
        other = self.folder / "other"
        self.run_well(*self.probe, "--seed", 7, "-o", f"{other}/")
        for mine in self.directory.glob("*-d*.h5"):
            theirs, = other.glob(f"*{mine.name[16:]}")
            good = mine.read_bytes()
            mine.write_bytes(theirs.read_bytes())
            refused = longshadow("merge", self.directory, "-o", self.output)
            self.assert_refused(refused, FAILED, mine, "configuration hash")
            mine.write_bytes(good)
        self.merged(self.directory)


class Resumed(Runs):
    # What no measured value depends on.
    NO_TRACE = {"--output", "--shard", "--dry-run", "--threads", "--memory", "--progress", "--help"}

    def assert_every_option_counts(self, base, others):
        """A run that was begun with the options `base` is another with any of `others` changed, and
        these are all that --help lists but for NO_TRACE."""
        listed = set(re.findall(r"^  (?:-\w \[ )?(--[\w-]+)", longshadow(base[0], "--help").stdout, re.M))
        self.assertEqual(listed - self.NO_TRACE, {option for option, *_ in others})
        shutil.rmtree(self.directory, ignore_errors=True)
        self.run_well(*base, "-o", self.target)
        for option, *values in others:
            with self.subTest(option=option):
                words = list(map(str, base))
                if option in words:
                    at = words.index(option)
                    stop = next((i for i in range(at + 1, len(words)) if words[i].startswith("--")),
                                len(words))
                    words[at:stop] = []
                refused = longshadow(*words, option, *values, "-o", self.target)
                self.assert_refused(refused, BAD_USAGE, self.directory, "another run was begun", option)

    def test_another_run_is_refused_by_the_option_that_differs(self):
        base = ["probe", "--document", self.documents[0], "--model", MODELS / "llama_plain.gguf",
                "--context", 60, "--future", 20, "--subjects", "sample:3", "--progress", "none"]
        others = [("--document", self.documents[1]), ("--bos", "no"), ("--parse-special",),
                  ("--pos", "none"), ("--model", MODELS / "qwen2.gguf"), ("--precision", "f64"),
                  ("--method", "direct"), ("--context", 59), ("--future", 19),
                  ("--subjects", "sample:4"), ("--sinks", 3), ("--recent", 3), ("--evict-at", "lag:3"),
                  ("--layers", "0"), ("--heads", "0"), ("--entropy-top-k", 9), ("--seed", 3)]
        elsewhere = ["--tagger", "--device", "--probes", "--bins", "--probe-kind", "--detail",
                     "--projections", "--exact", "--control"]
        self.NO_TRACE = self.NO_TRACE | set(elsewhere)
        self.assert_every_option_counts(base, others)

        screen = [*base[:-4], "--method", "screen", "--control", 9, "--detail", "head", *base[-2:]]
        self.directory = self.folder / "screen"
        self.target = f"{self.directory}/"
        self.NO_TRACE = type(self).NO_TRACE | {"--tagger", "--device"} | {option for option, *_ in others}
        self.assert_every_option_counts(screen, [
            ("--probes", 5), ("--bins", "0:20"), ("--probe-kind", "sampled"), ("--detail", "layer"),
            ("--projections",), ("--exact", "9%"), ("--control", 8)])
        self.assert_refused(longshadow(*self.retain, "-o", self.target), BAD_USAGE, "another run")

    def test_another_retention_is_refused_by_the_option_that_differs(self):
        influence = self.folder / "influence.h5"
        base = ["retain", "--document", self.documents[0], "--model", MODELS / "llama_plain.gguf",
                "--context", 60, "--future", 20, "--policies", "knorm", "--kv-bits", 8, "--progress", "none"]
        self.run_well("probe", *base[1:9], "--method", "sketch", "--progress", "none", "-o", influence)
        self.NO_TRACE = self.NO_TRACE | {"--tagger", "--device"}
        self.assert_every_option_counts(base, [
            ("--document", self.documents[1]), ("--bos", "no"), ("--parse-special",), ("--pos", "none"),
            ("--model", MODELS / "qwen2.gguf"), ("--kv-bits", 4), ("--kv-group", 32),
            ("--policies", "knorm,tova"), ("--budgets", "0.4"), ("--sinks", 1), ("--influence", influence),
            ("--context", 59), ("--future", 19), ("--precision", "f64"), ("--entropy-top-k", 9), ("--seed", 3)])

    def test_a_finished_command_is_done_at_once(self):
        self.run_well(*self.probe, "-o", self.output)
        content = self.output.read_bytes()
        again = self.run_well(*self.probe, "-o", self.output)
        self.assertIn("holds this run already", again.stderr)
        refused = longshadow(*self.probe, "--seed", 3, "-o", self.output)
        self.assert_refused(refused, FAILED, "the name is taken")
        self.assertEqual(self.output.read_bytes(), content)
        self.assertFalse(self.parts.exists())

    def test_a_missing_shard_is_measured_again(self):
        for command in (self.probe, self.screen, self.retain):
            shutil.rmtree(self.directory, ignore_errors=True)
            self.run_well(*command, "-o", self.target)
            whole = files(self.directory)
            for name in set(whole) - {"plan.h5"}:
                (self.directory / name).unlink()
                result = self.run_well(*command, "-o", self.target, "--progress", "plain")
                self.assertEqual(files(self.directory), whole)
                if "-u" in name:
                    self.assertIn("resuming", result.stderr)

    def test_what_the_dead_left_is_swept(self):
        self.run_well(*self.probe, "-o", self.directory, "--shard", "1/4")
        finished = subprocess.run(["hostname"], capture_output=True, text=True, check=True)
        dead = subprocess.Popen(["true"])
        dead.wait()
        stale = self.directory / f".plan.h5.tmp.{finished.stdout.strip()}.{dead.pid}"
        alive = self.directory / f".plan.h5.tmp.{finished.stdout.strip()}.1"
        other = self.directory / ".plan.h5.tmp.elsewhere.1"
        for path in (stale, alive, other):
            path.write_text("left behind")
        self.run_well(*self.probe, "-o", self.target)
        self.assertEqual([path.exists() for path in (stale, alive, other)], [False, True, True])

    def test_only_one_works_at_one_file(self):
        writers = [subprocess.Popen([PROGRAM, *map(str, self.probe), "-o", str(self.output)],
                                    stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for writer in writers:
            errors = writer.communicate(timeout=300)[1]
            if writer.returncode != DONE:
                self.assertIn("another longshadow is at work", errors)
        self.assertIn(DONE, [writer.returncode for writer in writers])
        self.assertTrue(self.output.exists())

    def test_signals_end_a_run_that_goes_on_later(self):
        reference = self.folder / "reference.h5"
        self.run_well(*self.probe, "--precision", "f64", "-o", reference)
        for number in (signal.SIGINT, signal.SIGTERM):
            self.output.unlink(missing_ok=True)
            interrupted = 0
            for _ in range(20):
                process = subprocess.Popen(
                    [PROGRAM, *map(str, self.probe), "--precision", "f64", "-o", str(self.output)],
                    stderr=subprocess.PIPE, text=True)
                begun = process.stderr.readline()
                process.send_signal(number)
                errors = begun + process.communicate(timeout=300)[1]
                if process.returncode == DONE:
                    break
                self.assertEqual(process.returncode, 128 + number, errors)
                self.assertIn("goes on from what is saved", errors.splitlines()[-1])
                interrupted += 1
            self.assertGreater(interrupted, 0)
            if not self.output.exists():
                self.run_well(*self.probe, "--precision", "f64", "-o", self.output)
            self.assertEqual(self.output.read_bytes(), reference.read_bytes())
            self.assertFalse(self.parts.exists())


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
