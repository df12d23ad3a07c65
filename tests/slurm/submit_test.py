"""submit.sh checks a command before it submits: with an sbatch that only writes down what it was asked for.

    python3 tests/slurm/submit_test.py build/longshadow
"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "data/fixtures/models"
PROBE = ("probe", "--model", MODELS / "llama_plain.gguf", "--document", MODELS / "document.txt", "--context", 150,
         "--future", 60, "--subjects", "all", "--evict-at", "end")


class Submit(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.calls = self.folder / "calls"
        sbatch = self.folder / "sbatch"
        sbatch.write_text(f'#!/bin/sh\necho "$@" >> {self.calls}\necho 42\n')
        sbatch.chmod(0o755)

    def submit(self, *command):
        return subprocess.run(
            ["bash", ROOT / "probes/slurm/submit.sh", "8", self.folder / "run.h5", "--time", "1:00:00", "--",
             *map(str, command)], capture_output=True, text=True, timeout=120, check=False,
            env=os.environ | {"PATH": f"{self.folder}:{os.environ['PATH']}", "LONGSHADOW": PROGRAM})

    def test_what_is_right_is_submitted(self):
        result = self.submit(*PROBE)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("1 document, 150 subjects in 1 shard; nothing is measured", result.stdout)
        array, merge = self.calls.read_text().splitlines()
        self.assertIn("--array 1-8", array)
        self.assertIn("merge", merge)

    def test_what_is_wrong_is_not(self):
        for status, more, *words in ((2, ("--subject", "all"), "--subject"),
                                     (2, ("--subjects", "list:500"), "token 500"),
                                     (2, ("--context", 3000), "3000"),
                                     (2, ("--threads", 2), "--threads"),
                                     (2, ("--output", "else.h5"), "--output"),
                                     (2, ("--device", "gpu"), "--device"),
                                     (1, ("--pos", "none.conllu"), "none.conllu"),
                                     (1, ("--document", "none.txt"), "none.txt"),
                                     (1, ("--model", "none.gguf"), "none.gguf")):
            with self.subTest(more=more):
                given = [word for name, value in zip(PROBE[1::2], PROBE[2::2]) if name != more[0]
                         for word in (name, value)]
                result = self.submit("probe", *given, *more)
                self.assertEqual(result.returncode, status, result.stderr)
                self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
                for word in words:
                    self.assertIn(word, result.stderr)
                self.assertFalse(self.calls.exists())
                self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["sbatch"])


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
