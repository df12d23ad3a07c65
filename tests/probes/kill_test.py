"""Kills longshadow with SIGKILL at random moments, and holds it to a ledger of what was durable.

    python3 tests/probes/kill_test.py build/longshadow [--kills N] [--seed S] [--until SHARE]

After every kill the ledger reads the run directory by itself: shards by their names and digests,
journals record by record. What it has seen must never be lost or change, a restart must say that it
goes on from exactly that, and the file in the end must have the bytes of an undisturbed run.
"""

import argparse
import hashlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "data/fixtures/models"
HEAD = struct.Struct("<4sIQ")  # magic, bytes of the payload, unit


class Ledger:
    """What of a run directory would outlive the process now."""

    def __init__(self, folder):
        self.published = {}  # file name -> digest
        self.units = {}  # (document, unit) -> journalled payload, or None from a published shard
        if not folder.is_dir():
            return
        for journal in sorted(folder.glob("journals/*")):
            document = journal.name.split("-")[1]
            for unit, payload in self.records(journal.read_bytes()):
                self.units[document, unit] = payload
        for path in folder.glob("[!.]*.h5"):
            self.published[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
            shard = re.fullmatch(r"[0-9a-f]{16}-(d\d+)-u(\d+)-(\d+)\.h5", path.name)
            if shard:
                document, begin, end = shard[1], int(shard[2]), int(shard[3])
                self.units.update({(document, unit): None for unit in range(begin, end)})

    @staticmethod
    def records(content):
        while len(content) >= HEAD.size:
            magic, size, unit = HEAD.unpack_from(content)
            end = HEAD.size + size
            crc = content[end:end + 4]
            if magic != b"LSJ1" or len(crc) < 4 or crc != struct.pack("<I", zlib.crc32(content[:end])):
                return
            yield unit, content[HEAD.size:end]
            content = content[end + 4:]


class Killed(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.output = self.folder / "run.h5"
        self.parts = self.folder / "run.h5.parts"
        documents = []
        for name in ("one.txt", "two.txt"):
            documents.append(self.folder / name)
            shutil.copy(MODELS / "document.txt", documents[-1])
        self.common = ["--model", MODELS / "llama_plain.gguf", "--document", *documents,
                       "--threads", 1, "--progress", "plain"]
        self.random = random.Random(SEED)

    def start(self, words):
        return subprocess.Popen([PROGRAM, *map(str, words)], stderr=subprocess.PIPE, text=True)

    def finish(self, words):
        """Standard error and seconds of a run that nobody kills."""
        begin = time.monotonic()
        process = self.start(words)
        errors = process.communicate(timeout=300)[1]
        self.assertEqual(process.returncode, 0, errors)
        return errors, time.monotonic() - begin

    def with_least_memory(self, words):
        """So that batches are as small as they can be, and each is a moment to be killed at."""
        low, high = 0, 1 << 26
        while low + 1 < high:
            middle = (low + high) // 2
            process = self.start([*words, "--shard", f"{1 << 19}/{1 << 19}", "-o",
                                  self.folder / "none/", "--memory", middle])
            process.communicate()
            low, high = (low, middle) if process.returncode != 2 else (middle, high)
            shutil.rmtree(self.folder / "none", ignore_errors=True)
        return [*words, "--memory", high * 21 // 20]

    def killed_at_random(self, command, longest):
        """Kills runs until all kills of a test are spent; gives the number that left work behind."""
        reference = self.folder / "reference.h5"
        self.finish([*command, "-o", reference])
        command = [*command, "-o", self.output]
        resumed = finished = 0
        before = Ledger(self.parts)
        for _ in range(KILLS):
            process = self.start(command)
            try:
                errors = process.communicate(timeout=self.random.uniform(0, longest))[1]
            except subprocess.TimeoutExpired:
                process.kill()
                errors = process.communicate()[1]
            self.assertIn(process.returncode, (0, -9), errors)
            if said := re.search(r"resuming .*: (\d+) of \d+ ", errors):
                resumed += 1
                self.assertEqual(int(said[1]), len(before.units), errors)
            after = Ledger(self.parts)
            if self.output.exists():
                self.assertEqual(self.output.read_bytes(), reference.read_bytes())
                if process.returncode == 0:
                    self.assertEqual(self.leftovers(), [])
                    finished += 1
                    self.output.unlink()
                    after = Ledger(self.parts)
            else:
                self.assert_nothing_lost(before, after)
            before = after
        if not self.output.exists() or self.parts.exists():
            self.finish(command)
        self.assertEqual(self.output.read_bytes(), reference.read_bytes())
        self.assertEqual(self.leftovers(), [])
        print(f"{self.id()}: seed {SEED}, {KILLS} starts, {resumed} went on from units that were "
              f"saved, {finished} came to their end", file=sys.stderr)
        self.assertGreater(resumed, KILLS // 4)

    def leftovers(self):
        known = {"one.txt", "two.txt", "run.h5", "reference.h5"}
        return [path.name for path in self.folder.iterdir() if path.name not in known]

    def assert_nothing_lost(self, before, after):
        for name, digest in before.published.items():
            self.assertEqual(after.published.get(name), digest, name)
        for unit, payload in before.units.items():
            self.assertIn(unit, after.units)
            if payload is not None and after.units[unit] is not None:
                self.assertEqual(after.units[unit], payload)

    def test_a_probe(self):
        command = self.with_least_memory(
            ["probe", *self.common, "--context", 150, "--future", 100, "--subjects",
             "all+sample:100", "--evict-at", "end"])
        seconds = self.finish([*command, "-o", self.folder / "timed.h5"])[1]
        (self.folder / "timed.h5").unlink()
        self.killed_at_random(command, seconds * UNTIL)

    def test_two_writers_of_one_directory(self):
        """Of which either may die, and the other be at the same shard, taken for dead or not."""
        command = self.with_least_memory(
            ["probe", *self.common, "--context", 150, "--future", 100, "--evict-at", "end",
             "--subjects", "all+sample:100"])
        reference = self.folder / "reference.h5"
        seconds = self.finish([*command, "-o", reference])[1]
        command = [*command, "-o", f"{self.parts}/"]
        before = Ledger(self.parts)
        for _ in range(KILLS // 4):
            writers = [self.start(command), self.start(command)]
            time.sleep(self.random.uniform(0, seconds * UNTIL))
            self.random.choice(writers).kill()
            for writer in writers:
                errors = writer.communicate(timeout=300)[1]
                self.assertIn(writer.returncode, (0, -9), errors)
            after = Ledger(self.parts)
            self.assert_nothing_lost(before, after)
            before = after
            if self.random.random() < 0.5:
                shutil.rmtree(self.parts)
                before = Ledger(self.parts)
        self.finish(command)
        self.finish(["merge", self.parts, "-o", self.output])
        self.assertEqual(self.output.read_bytes(), reference.read_bytes())
        self.assertEqual(list(self.parts.glob("journals/*")), [])

    def test_a_retention(self):
        command = self.with_least_memory(
            ["retain", *self.common, "--context", 150, "--future", 100, "--policies",
             "snapkv,h2o,random,knorm,tova,keydiff", "--budgets", "0.5,0.4,0.3,0.2"])
        seconds = self.finish([*command, "-o", self.folder / "timed.h5"])[1]
        (self.folder / "timed.h5").unlink()
        self.killed_at_random(command, seconds * UNTIL)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--until", type=float, default=0.5,
                        help="when kills end, as a share of an undisturbed run's time")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments, rest = parser.parse_known_args()
    PROGRAM, KILLS, SEED, UNTIL = (arguments.program, arguments.kills, arguments.seed,
                                   arguments.until)
    print(f"kill_test.py: --seed {SEED}", file=sys.stderr)
    unittest.main(argv=[sys.argv[0], *rest])
