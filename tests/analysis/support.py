"""What the Python tests of this folder share: the checkout, its programs, and made-up runs.

The programs come from the environment (tests/analysis/CMakeLists.txt sets it):
LONGSHADOW, the command line, and MAKE_SYNTHETIC_RUN (tests/support/make_synthetic_run.cc).
"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "analysis"))

AT_END = -1  # as a lag


class WithRuns(unittest.TestCase):
    """Tests in a folder of their own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def make_run(self, documents=1, subjects=48, lag=16, sets=0, sketch=False, retention=False):
        """With a sketch, its maps by layer in the first document and by head in the second; no
        subjects: a sketch or a retention alone."""
        parts = [*(["sketch"] if sketch else []), *(["retention"] if retention else [])]
        path = self.folder / f"run-{documents}-{subjects}-{lag}-{sets}-{'-'.join(parts)}.h5"
        subprocess.run([os.environ["MAKE_SYNTHETIC_RUN"], path, str(documents), str(subjects),
                        str(lag), str(sets), *parts], check=True)
        return path
