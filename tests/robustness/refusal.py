"""What every refusal of a malformed file must be.

The environment (CMakeLists.txt sets it) says which program is tested: LONGSHADOW, the command line, and
LONGSHADOW_SANITIZED, 1 where it was built with sanitizers.
"""

import os
import tempfile
import unicodedata
import unittest
from pathlib import Path

from measured_process import run

FAILED = 1
MOST_SECONDS = 1.0  # of processor time: the clock's depends on who else is at work
MOST_BYTES = 200 * 10**6
OBEYED = {"Cc", "Cf", "Zl", "Zp"}  # Unicode's categories of what is no text to show

# AddressSanitizer holds on to memory that was given back, to see it used.
MEASURES_MEMORY = os.environ.get("LONGSHADOW_SANITIZED", "0") == "0"


class Refusals(unittest.TestCase):
    """Tests in a folder of their own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def assert_accepted(self, command):
        outcome = run(os.environ["LONGSHADOW"], *command)
        self.assertEqual((outcome.status, outcome.errors), (0, ""))

    def assert_refused(self, case, named, commands):
        """By each of the case's commands, which leaves no file behind; `commands` gives their words by name."""
        before = sorted(self.folder.iterdir())
        for command in case.commands:
            with self.subTest(case=case.number, what=case.what, command=command):
                self.assert_fails(run(os.environ["LONGSHADOW"], *commands[command]), named, case.words)
                self.assertEqual(sorted(self.folder.iterdir()), before)

    def assert_fails(self, outcome, named, words):
        """With one line on standard error that names the file and holds the words; quickly, in little memory."""
        self.assertEqual(outcome.status, FAILED, outcome.errors)
        self.assertEqual(outcome.output, "")
        self.assertTrue(outcome.errors.endswith("\n"), outcome.errors)
        line = outcome.errors[:-1]
        self.assertEqual([c for c in line if unicodedata.category(c) in OBEYED], [], repr(line))
        self.assertIn(str(named), line)
        self.assertIn(words, line)
        self.assertLess(outcome.cpu_seconds, MOST_SECONDS)
        if MEASURES_MEMORY:
            self.assertLess(outcome.peak_bytes, MOST_BYTES)
