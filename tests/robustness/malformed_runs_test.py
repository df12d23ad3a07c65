"""Feeds the program with malformed run files, 98 to 106 of malformed_runs.py: each is refused.

    LONGSHADOW=build/longshadow python3 tests/robustness/malformed_runs_test.py build/tests/make_synthetic_run
"""

import shutil
import subprocess
import sys
import unicodedata
import unittest

import h5py

import malformed_runs
from program import OBEYED, run
from refusals import Refusals


class MalformedRuns(Refusals):
    def setUp(self):
        super().setUp()
        self.whole = self.folder / "whole.h5"
        subprocess.run([MAKE_SYNTHETIC_RUN, self.whole], check=True)

    def commands(self, path):
        page = self.folder / "page.html"
        page.unlink(missing_ok=True)
        return {"analyze": ("analyze", path), "inspect": ("inspect", path, "-o", page)}

    def test_the_run_is_well_formed(self):
        for command in self.commands(self.whole).values():
            self.assert_done(run(*command))

    def test_each_is_refused(self):
        for case in malformed_runs.CASES:
            path = self.folder / "run.h5"
            shutil.copy(self.whole, path)
            case.spoil(path)
            self.assert_refused(case, path, self.commands(path))

    def test_names_that_a_terminal_would_obey(self):
        harmful = "\x1b[2J\u009b2J\u202e"
        with h5py.File(self.whole, "r+") as file:
            file["model"].attrs["name"] = harmful
            file[malformed_runs.INFLUENCE].attrs.update(selection=harmful, method=harmful)
        outcome = run("analyze", self.whole)
        self.assert_done(outcome)
        self.assertEqual([c for c in outcome.output if c != "\n" and unicodedata.category(c) in OBEYED], [])

    def test_every_case_is_there(self):
        self.assertEqual({case.number for case in malformed_runs.CASES}, set(range(98, 107)))


if __name__ == "__main__":
    MAKE_SYNTHETIC_RUN = sys.argv.pop(1)
    unittest.main()
