"""Runs the program on file systems without locks, as some that are reached over a network: everything works.

    LONGSHADOW=build/longshadow python3 tests/robustness/locks_test.py build/tests/robustness/libfailing_calls.so

The locks are taken away by a library that makes flock() fail (failing_calls.cc).
"""

import sys
import unittest

from faulty_runs import FaultyRuns, files_in, probe
from program import DONE, FAILED, run

ERRORS = ("ENOLCK", "EOPNOTSUPP", "ENOSYS")


class Locks(FaultyRuns):
    def without_locks(self, error):
        return {"LD_PRELOAD": LIBRARY, "FLOCK_ERRNO": error}

    def test_a_run_of_its_own_is_made_with_a_warning(self):
        for error in ERRORS:
            with self.subTest(error=error):
                outcome = probe(self.output, **self.without_locks(error))
                self.assertEqual(outcome.status, DONE, outcome.errors)
                line, = outcome.errors.splitlines()
                self.assertIn("no lock is to be had", line)
                self.assertIn("run.h5.parts", line)
                self.assertEqual(files_in(self.folder), self.whole)
                self.output.unlink()

    def test_shards_need_no_lock(self):
        for part in (1, 2):
            self.assert_done(probe(self.directory, "--shard", f"{part}/2", **self.without_locks("ENOLCK")))
        self.assert_done(run("merge", self.directory, "-o", self.output, **self.without_locks("ENOLCK")))
        self.assertEqual(self.output.read_bytes(), self.whole["run.h5"])

    def test_runs_are_read(self):
        self.output.write_bytes(self.whole["run.h5"])
        expected = run("analyze", self.output)
        for error in ERRORS:
            with self.subTest(error=error):
                self.assertEqual(run("analyze", self.output, **self.without_locks(error)).output, expected.output)
                page = self.folder / f"{error}.html"
                self.assertEqual(run("inspect", self.output, "-o", page, **self.without_locks(error)).status, DONE)

    def test_locks_that_others_hold(self):
        self.output.write_bytes(self.whole["run.h5"])
        held = self.without_locks("EWOULDBLOCK")
        self.assert_fails(run("analyze", self.output, **held), "run.h5", "open for writing")
        self.assertEqual(run("analyze", self.output, HDF5_USE_FILE_LOCKING="FALSE", **held).status, DONE)
        self.output.unlink()
        outcome = probe(self.output, **held)
        self.assertNotEqual(outcome.status, DONE)
        self.assertEqual(len(outcome.errors.splitlines()), 1, outcome.errors)


if __name__ == "__main__":
    LIBRARY = sys.argv.pop(1)
    unittest.main()
