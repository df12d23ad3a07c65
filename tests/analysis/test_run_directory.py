"""A run directory in numpy: what is read of it is what is read of the run file it becomes."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import unittest

import h5py
import numpy as np

from support import ROOT, WithRuns

import run_file

MODELS = ROOT / "data/fixtures/models"
PAGE = (ROOT / "data/FORMAT.md").read_text()


class RunDirectory(WithRuns):
    def setUp(self):
        super().setUp()
        self.run_directory = self.folder / "run"
        documents = [self.folder / name for name in ("one.txt", "two.txt")]
        for document in documents:
            shutil.copy(MODELS / "document.txt", document)
        self.common = ["--document", *documents, "--model", MODELS / "llama_plain.gguf", "--context",
                       150, "--future", 100, "--progress", "none"]
        self.probe = ["probe", *self.common, "--subjects", "all+sample:100", "--evict-at", "end"]

    def longshadow(self, *words):
        subprocess.run([os.environ["LONGSHADOW"], *map(str, words)], check=True)

    def measured(self):
        """The documents, and the line that says what share is done."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            return run_file.documents(self.run_directory), said.getvalue()

    def test_a_whole_directory_is_its_run_file(self):
        for command in (self.probe, ["probe", *self.common, "--method", "screen", "--control", 20],
                        ["retain", *self.common]):
            shutil.rmtree(self.run_directory, ignore_errors=True)
            merged = self.folder / "merged.h5"
            merged.unlink(missing_ok=True)
            self.longshadow(*command, "-o", f"{self.run_directory}/")
            self.longshadow("merge", self.run_directory, "-o", merged)
            found, said = self.measured()
            self.assertRegex(said, r"(\d+) of \1 .* are measured")
            expected = run_file.documents(merged)
            self.assertEqual([one.name for one in found], [one.name for one in expected])
            for one, other in zip(found, expected):
                self.assertEqual(one.conditions, other.conditions)
                np.testing.assert_array_equal(one.kl, other.kl)
                np.testing.assert_array_equal(one.signals.get("drift"), other.signals.get("drift"))
                if other.sketch:
                    np.testing.assert_array_equal(one.sketch.fi, other.sketch.fi)
                self.assertEqual([arm.name for arm in one.retention],
                                 [arm.name for arm in other.retention])
                for arm, twin in zip(one.retention, other.retention):
                    np.testing.assert_array_equal(arm.kl, twin.kl)
                    np.testing.assert_array_equal(arm.kept, twin.kept)

    def test_what_is_not_measured_yet_is_left_out(self):
        for shard in ("1/4", "4/4"):
            self.longshadow(*self.probe, "-o", self.run_directory, "--shard", shard)
        (first,), said = self.measured()
        self.assertEqual(said, f"{self.run_directory}: 250 of 500 subjects are measured\n")
        self.assertEqual((first.name, len(first.kl)), ("one.txt", 163))

    def test_nothing_measured(self):
        self.run_directory.mkdir()
        with self.assertRaisesRegex(SystemExit, "plan.h5"):
            run_file.documents(self.run_directory)
        self.run_directory.rmdir()
        self.longshadow(*self.probe, "-o", self.run_directory, "--shard", "4/4")
        with self.assertRaisesRegex(SystemExit, "at least one document"):
            self.measured()

    def test_the_page_names_every_attribute_of_its_files(self):
        self.longshadow(*self.probe, "-o", f"{self.run_directory}/")
        section = PAGE[PAGE.index("## A run directory"):PAGE.index("## Conventions")]
        listed = set(re.findall(r"`(\w+)`", section))
        for path in self.run_directory.glob("*.h5"):
            with h5py.File(path) as file:
                self.assertLessEqual(set(file.attrs), listed)
                shard = "-u" in path.name
                for document in file["documents"].values() if shard or path.stem == "plan" else ():
                    self.assertLessEqual(set(document.attrs), listed)


if __name__ == "__main__":
    unittest.main()
