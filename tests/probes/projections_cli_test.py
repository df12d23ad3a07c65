"""`longshadow probe --projections`, whose files h5py reads.

    build/venv/bin/python3 tests/probes/projections_cli_test.py build/longshadow
"""

import sys
import unittest

import cli_test
import h5py
import numpy as np
from cli_test import BAD_USAGE, DOCUMENT, DONE, MODEL, CommandLine, longshadow


class Projections(CommandLine):
    def test_projections_are_what_a_map_by_head_squares(self):
        by_head = ("--detail", "head", "--bins", "0:4,4:16", "--probes", 5)
        plain, kept, merged = (self.folder / name for name in ("plain.h5", "kept.h5", "merged.h5"))
        for more, output in (((), plain), (("--projections",), kept),
                             (("--projections",), f"{self.folder / 'parts'}/")):
            result = self.sketch("sketch", *by_head, *more, output=output)
            self.assertEqual(result.returncode, DONE, result.stderr)
        result = longshadow("merge", self.folder / "parts", "-o", merged)
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertEqual(merged.read_bytes(), kept.read_bytes())
        with h5py.File(plain) as without, h5py.File(kept) as file:
            sketch, = (document["sketch"] for document in file["documents"].values())
            other, = (document["sketch"] for document in without["documents"].values())
            self.assertNotIn("g", other)
            np.testing.assert_array_equal(sketch["fi_head"], other["fi_head"])
            g = sketch["g"][:].astype(float)
            rows = np.diff(sketch["bins"], axis=1)[:, :, None, None]
            # The products of f32 values are exact in double; the map is rounded to 2^-24.
            np.testing.assert_allclose(sketch["fi_head"], (g**2).mean(1) / 2 / rows, rtol=2**-23)
        reports = [longshadow("analyze", run).stdout for run in (plain, kept)]
        self.assertEqual(*(report.replace(str(run), "") for report, run in zip(reports, (plain, kept))))

    def test_projections_without_a_map_by_head(self):
        for arguments in ((), ("--detail", "layer")):
            self.assert_refused(self.sketch("sketch", "--projections", *arguments), BAD_USAGE,
                                "--projections", "--detail head")
        result = longshadow("probe", "--model", MODEL, "--document", DOCUMENT, "-o", self.output,
                            "--context", 48, "--future", 16, "--projections")
        self.assert_refused(result, BAD_USAGE, "--projections", "sketch or screen")
        # The projections are 64 probes of 3 bins; without them the plan has room.
        many = ("--detail", "head", "--probes", 64, "--bins", "0:16,0:16,0:16", "--memory", "1.15M")
        result = self.sketch("sketch", *many, output=self.folder / "plain.h5")
        self.assertEqual(result.returncode, DONE, result.stderr)
        result = self.sketch("sketch", *many, "--projections")
        self.assert_refused(result, BAD_USAGE, "--memory", "projections")


if __name__ == "__main__":
    cli_test.PROGRAM = sys.argv.pop(1)
    unittest.main()
