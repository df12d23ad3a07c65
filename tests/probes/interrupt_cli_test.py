"""Ctrl-C on a real model: the program ends at once and keeps what it has measured.

    python3 tests/probes/interrupt_cli_test.py build/longshadow
"""

import signal
import subprocess
import sys
import unittest

import cli_test
from cli_test import ARTICLE, ROOT, CommandLine

sys.path.insert(0, str(ROOT / "tests/support"))
import suite  # noqa: E402

SMOLLM2 = ROOT / "data/models/SmolLM2-135M-Instruct.Q4_1.gguf"
INTERRUPTED = 128 + signal.SIGINT


class Interrupted(CommandLine):
    @unittest.skipUnless(SMOLLM2.exists(), f"no {SMOLLM2}; bash data/fetch_model.sh fetches it")
    def test_control_c_leaves_no_file(self):
        process = subprocess.Popen(
            [cli_test.PROGRAM, "probe", "--model", SMOLLM2, "--document", ARTICLE, "-o",
             self.output, "--context", "1024", "--future", "256", "--subjects", "all",
             "--progress", "plain"], stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        process.stderr.readline()  # it is at work
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
        self.assertEqual(process.wait(), INTERRUPTED, errors)
        self.assertIn("interrupted", errors.splitlines()[-1])
        self.assertEqual([path.name for path in self.folder.iterdir()], ["run.h5.parts"])


if __name__ == "__main__":
    cli_test.PROGRAM = sys.argv.pop(1)
    suite.main()
