"""Runs the program on disks that are too small, page by page larger: it says so, removes what it could not finish, and
goes on once there is room.

    LONGSHADOW=build/longshadow python3 tests/robustness/full_disk_test.py

A disk is a tmpfs in a mount namespace of this process's own; where that is not allowed, the test is skipped.
"""

import os
import subprocess
import sys
import unittest
from pathlib import Path

from faulty_runs import FaultyRuns, files_in, probe
from program import DONE

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import suite  # noqa: E402

PAGE = 4096
MOST_PAGES = 200
ROOM = "64M"
IN_NAMESPACE = "LONGSHADOW_MOUNTS"  # in the environment once we are in one


def enter_namespace():
    """Begins this process anew in a mount namespace of its own, where it may mount; returns where it may not."""
    mounts = ["unshare", "--map-root-user", "--mount"]
    trial = subprocess.run([*mounts, "mount", "-t", "tmpfs", "none", "/tmp"], capture_output=True, check=False)
    if trial.returncode == 0:
        os.environ[IN_NAMESPACE] = "yes"
        os.execvp(mounts[0], [*mounts, sys.executable, *sys.argv])


@unittest.skipUnless(IN_NAMESPACE in os.environ, "this system lets nobody mount a tmpfs")
class FullDisk(FaultyRuns):
    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        self.folder, self.output = self.disk, self.disk / "run.h5"

    def probe_with(self, n_pages):
        """On an empty disk of so many pages; whether there was room."""
        self.mount(f"size={n_pages * PAGE}")
        try:
            outcome = probe(self.output)
            if outcome.status != DONE:
                self.assert_fails(outcome, "No space left on device")
                self.assert_whole_as_far_as_it_goes()
                self.mount(f"remount,size={ROOM}")
                self.assert_done(probe(self.output))
            self.assertEqual(files_in(self.disk), self.whole)
            return outcome.status == DONE
        finally:
            subprocess.run(["umount", self.disk], check=True)

    def mount(self, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", self.disk], check=True)

    def test_from_no_room_to_enough(self):
        for n_pages in range(1, MOST_PAGES):
            with self.subTest(pages=n_pages):
                if self.probe_with(n_pages):
                    break
        self.assertTrue(10 < n_pages < MOST_PAGES - 1)


if __name__ == "__main__":
    if IN_NAMESPACE not in os.environ:
        enter_namespace()
    suite.main()
