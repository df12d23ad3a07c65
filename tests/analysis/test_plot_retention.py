"""Draws the figures of retention of made-up runs."""

import subprocess
import sys
import unittest

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from support import ROOT, WithRuns

import run_file
from figures.retention import cost_curve, draw_budget, draw_overlap, kept_strips, overlap


class TheFiguresOfRetention(WithRuns):
    def test_a_retention_alone_gets_its_own(self):
        run = self.make_run(documents=2, subjects=0, retention=True)
        result = subprocess.run([sys.executable, ROOT / "analysis" / "plot.py", run, "-o",
                                 self.folder / "figures"], capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        names = {path.name for path in (self.folder / "figures").iterdir()}
        drawn = {f"document_{d}-{figure}" for d in (1, 2) for figure in ("kept", "entropy", "layers")}
        drawn |= {"budget", "overlap", "kept-words"}
        self.assertEqual(names, {f"{name}.{suffix}" for name in drawn for suffix in ("png", "svg")})

    def test_the_curve_is_the_mean_of_documents(self):
        documents = run_file.documents(self.make_run(documents=5, retention=True))
        curve = cost_curve(documents, "snapkv", last=True)
        self.assertEqual(list(curve[:, 0]), [0.2, 0.4])
        means = [next(one for one in document.retention if one.name == "snapkv@0.4").kl[-16:].mean()
                 for document in documents]
        self.assertAlmostEqual(curve[1, 1], np.mean(means))
        self.assertTrue(curve[1, 2] < curve[1, 1] < curve[1, 3])

    def test_policies_have_curves_and_matrices(self):
        documents = run_file.documents(self.make_run(documents=2, retention=True))
        figure = draw_budget(documents)
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        self.assertEqual(labels, ["adakv/snapkv", "snapkv", "oracle", "random"])
        plt.close(figure)
        policies, values = overlap(documents, "0.4")
        self.assertEqual(policies, labels)
        np.testing.assert_array_equal(values, values.T)
        np.testing.assert_array_equal(np.diag(values), 1)
        figure = draw_overlap(documents)
        self.assertEqual(len(figure.axes), 3)  # two budgets and the scale
        plt.close(figure)

    def test_the_map_keeps_every_share(self):
        kept = np.zeros((2, 3, 10), dtype=bool)
        kept[1, 0, 7] = True
        values, edges = kept_strips(kept, 5)
        self.assertEqual(values.shape, (2, 5))
        self.assertAlmostEqual(values[1, 3], 1 / 6)  # one of three heads, one of two tokens
        self.assertEqual(values.sum(), values[1, 3])
        self.assertEqual(kept_strips(kept, 100)[0].shape, (2, 10))


if __name__ == "__main__":
    unittest.main()
