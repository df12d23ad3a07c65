"""What every refusal of a malformed file must be.

LONGSHADOW_SANITIZED in the environment (CMakeLists.txt sets it) is 1 where the program was built with sanitizers.
"""

import os

from program import ProgramTest, run

MOST_SECONDS = 1.0  # of processor time: the clock's depends on who else is at work
MOST_BYTES = 200 * 10**6

# AddressSanitizer holds on to memory that was given back, to see it used.
MEASURES_MEMORY = os.environ.get("LONGSHADOW_SANITIZED", "0") == "0"


class Refusals(ProgramTest):
    def assert_refused(self, case, named, commands):
        """By each of the case's commands: quickly, in little memory, and so that no file is left behind. `named` is
        the path that must be told, `commands` the words of every command by its name."""
        before = sorted(self.folder.iterdir())
        for command in case.commands:
            with self.subTest(case=case.number, what=case.what, command=command):
                outcome = run(*commands[command])
                self.assert_fails(outcome, named, case.words)
                self.assertEqual(sorted(self.folder.iterdir()), before)
                self.assertLess(outcome.cpu_seconds, MOST_SECONDS)
                if MEASURES_MEMORY:
                    self.assertLess(outcome.peak_bytes, MOST_BYTES)
