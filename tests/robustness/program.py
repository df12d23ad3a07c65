"""The program under test, run to its end, and what that took.

The environment (CMakeLists.txt sets it) says which: LONGSHADOW, the command line.
"""

import os
import subprocess
import tempfile
import threading
import unicodedata
import unittest
from dataclasses import dataclass
from pathlib import Path

DONE, FAILED = 0, 1
PATIENCE = 120  # seconds until it counts as one that hangs
OBEYED = {"Cc", "Cf", "Zl", "Zp"}  # Unicode's categories of what a terminal does not show but obeys


@dataclass(frozen=True)
class Outcome:
    status: int  # the exit status; negative: the signal that ended it
    output: str
    errors: str
    cpu_seconds: float  # user and system
    peak_bytes: int  # the most memory that was resident at once


def run(*words, **variables):
    """Of the program with these words; `variables` are put into its environment."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([os.environ["LONGSHADOW"], *map(str, words)], stdout=output, stderr=errors,
                                   env=os.environ | {name: str(value) for name, value in variables.items()})
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        return Outcome(process.returncode, _text(output), _text(errors), usage.ru_utime + usage.ru_stime,
                       usage.ru_maxrss * 1024)


def _text(stream):
    stream.seek(0)
    return stream.read().decode(errors="backslashreplace")


class ProgramTest(unittest.TestCase):
    """In a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def assert_done(self, outcome):
        self.assertEqual((outcome.status, outcome.errors), (DONE, ""))

    def assert_fails(self, outcome, *words):
        """With one line on standard error that holds the words and nothing that a terminal obeys."""
        self.assertEqual(outcome.status, FAILED, outcome.errors)
        self.assertEqual(outcome.output, "")
        self.assertTrue(outcome.errors.endswith("\n"), outcome.errors)
        line = outcome.errors[:-1]
        self.assertEqual([c for c in line if unicodedata.category(c) in OBEYED], [], repr(line))
        for word in words:
            self.assertIn(str(word), line)
