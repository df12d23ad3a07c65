"""Makes the disk and the memory fail under the program: it ends with one line, what it has published is whole, and the
same command goes on to the bytes of an undisturbed run.

    LONGSHADOW=build/longshadow python3 tests/robustness/faults_test.py build/tests/robustness/libfailing_calls.so
"""

import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

from faulty_runs import FaultyRuns, files_in, probe
from program import DONE, run

GROWTH = 1.5  # of the number of allocations before the one that fails
CUT_STEP = 512  # bytes that are left, from one cut to the next
FLIP_STEP = 2017  # bytes from one damage to the next
WRITERS = 4
NAP_MS = 200  # in which every writer comes as far as the first


class FailingCalls(FaultyRuns):
    def disturbed(self, calls, nth, **variables):
        """A run whose nth call fails; with it how many calls there were, and which one failed."""
        with tempfile.NamedTemporaryFile("r") as report:
            outcome = probe(self.output, LD_PRELOAD=FAILING_CALLS, FAIL_CALLS=calls, FAIL_NTH=nth,
                            FAIL_REPORT=report.name, **variables)
            n_calls, failed = report.read().split() or (0, "unknown")
        return outcome, int(n_calls), failed

    def count(self, calls):
        outcome, n_calls, _ = self.disturbed(calls, 0)
        self.assert_done(outcome)
        self.assertEqual(files_in(self.folder), self.whole)
        self.output.unlink()
        return n_calls

    def assert_survived(self, calls, nth, may_pass_unnoticed=(), **variables):
        with self.subTest(calls=calls, nth=nth, **variables):
            outcome, _, failed = self.disturbed(calls, nth, **variables)
            if outcome.status == DONE:
                self.assertIn(failed, may_pass_unnoticed)
            else:
                self.assert_fails(outcome)
                self.assert_whole_as_far_as_it_goes()
                self.assert_done(probe(self.output))
            self.assertEqual(files_in(self.folder), self.whole)
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def test_a_disk_that_is_full_from_the_nth_call_on(self):
        # The last of them closes a file whose bytes are elsewhere by then.
        for nth in range(1, self.count("disk") + 1):
            self.assert_survived("disk", nth, FAIL_ERRNO="ENOSPC", may_pass_unnoticed=("close",))

    def test_a_disk_whose_nth_call_fails(self):
        # A journal's bytes are safe before it is closed.
        for nth in range(1, self.count("disk") + 1):
            self.assert_survived("disk", nth, FAIL_ERRNO="EIO", may_pass_unnoticed=("close",))

    def test_an_allocation_that_fails(self):
        nth, n_calls = 1, self.count("memory")
        while nth <= n_calls:
            self.assert_survived("memory", nth)
            nth = int(nth * GROWTH) + 1


class Writers(FaultyRuns):
    def test_all_at_once(self):
        def write(_):
            return probe(f"{self.directory}/", LD_PRELOAD=FAILING_CALLS, NAP_MS=NAP_MS)

        with ThreadPoolExecutor(WRITERS) as writers:
            outcomes = list(writers.map(write, range(WRITERS)))
        for outcome in outcomes:
            self.assert_done(outcome)
        self.assertEqual(files_in(self.directory), self.parts)


class DamagedFiles(FaultyRuns):
    def test_a_cut_one_is_named_until_it_is_removed(self):
        probe(f"{self.directory}/")
        for name, whole in self.parts.items():
            path = self.directory / name
            for size in range(0, len(whole), CUT_STEP):
                with self.subTest(name=name, size=size):
                    path.write_bytes(whole[:size])
                    for outcome in (run("analyze", self.directory), probe(f"{self.directory}/")):
                        self.assert_fails(outcome, path)
            path.write_bytes(whole)
        shard, = self.directory.glob("*-u*.h5")
        shard.unlink()
        self.assert_done(probe(f"{self.directory}/"))
        self.assertEqual(files_in(self.directory), self.parts)
    def test_a_whole_run_that_is_damaged_does_not_cost_its_parts(self):
        whole = self.whole["run.h5"]
        for at in range(0, len(whole), FLIP_STEP):
            with self.subTest(at=at):
                for name, content in self.parts.items():
                    path = self.folder / "run.h5.parts" / name
                    path.parent.mkdir(exist_ok=True)
                    path.write_bytes(content)
                self.output.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1:])
                outcome = probe(self.output)
                if outcome.status == DONE:
                    self.assert_done(run("analyze", self.output, "--bootstrap", 1))
                else:
                    self.assert_fails(outcome, self.output)
                    self.assertEqual(files_in(self.folder / "run.h5.parts"), self.parts)


if __name__ == "__main__":
    FAILING_CALLS = sys.argv.pop(1)
    unittest.main()
