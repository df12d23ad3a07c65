"""InfoKV keeps what its published score says, by a twin that reads nothing but the run file."""

import os
import subprocess
import sys
import unittest

import h5py
import numpy as np

from support import ROOT, WithRuns

sys.path.insert(0, str(ROOT / "tests" / "parity"))

import check_infokv  # noqa: E402

MODEL = ROOT / "data/fixtures/models/qwen2"
DOCUMENT = ROOT / "data/documents/how_a_cache_forgets.txt"


class InfoKv(WithRuns):
    def test_kept_slots_are_the_twins(self):
        run = self.folder / "kept.h5"
        subprocess.run([os.environ["LONGSHADOW"], "retain", "--model", MODEL, "--document", DOCUMENT,
                        "-o", run, "--context", "192", "--future", "8", "--policies",
                        "infokv,snapkv", "--budgets", "0.7,0.5", "--progress", "none"], check=True)
        rows = check_infokv.check(run)
        self.assertEqual([(row[1], row[2]) for row in rows], [("0.5", 96), ("0.7", 134)])
        for *_, wrong, shared in rows:
            self.assertEqual(wrong, 0)
            self.assertTrue(0.5 < shared < 1)  # and it is not SnapKV

        with h5py.File(run, "r+") as file:  # another choice is found out
            document = next(iter(file["documents"].values()))
            kept = document["retention/infokv@0.5/kept"][:].astype(bool)
            kept[0, 0, 4:128] = np.roll(kept[0, 0, 4:128], 1)
            self.assertGreater(check_infokv.contradictions(document, kept), 0)


if __name__ == "__main__":
    unittest.main()
