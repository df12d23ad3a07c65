"""`longshadow learn ranking` as a stranger meets it, and what it learns once more in numpy.

    build/venv/bin/python3 tests/probes/learn_ranking_cli_test.py build/longshadow
"""

import json
import sys
import unittest

import cli_test
import h5py
import numpy as np
from cli_test import BAD_USAGE, DOCUMENT, DONE, FAILED, MODEL, MODELS, CommandLine, longshadow

CONTEXT, SINKS = 80, 4


class LearnRanking(CommandLine):
    def setUp(self):
        super().setUp()
        words = DOCUMENT.read_text().split()
        self.documents, self.runs = [], []
        for number, text in enumerate((words, words[7:], words[::-1])):
            self.documents.append(self.folder / f"text_{number}.txt")
            self.documents[-1].write_text(" ".join(text))
            self.runs.append(self.folder / f"by_head_{number}.h5")
            result = longshadow("probe", "--model", MODEL, "--document", self.documents[-1],
                                "--context", CONTEXT, "--future", 16, "--method", "sketch",
                                "--detail", "head", "--progress", "none", "-o", self.runs[-1])
            self.assertEqual(result.returncode, DONE, result.stderr)
        self.ranking = self.folder / "ranking.json"

    def learn(self, *runs, more=(), output=None, model=MODEL):
        return longshadow("learn", "ranking", *runs, "--model", model, "-o",
                          output or self.ranking, *more)

    def influence(self, run):
        with h5py.File(run) as file:
            (document,) = file["documents"].values()
            sizes = np.diff(document["sketch/bins"][:], axis=1)[:, :, None, None]
            return (document["sketch/fi_head"][:].astype(float) * sizes).sum(0)

    def test_the_weights_are_a_ridges(self):
        features = self.folder / "features"
        result = self.learn(*self.runs, more=("--features", features, "--sinks", SINKS))
        self.assertEqual((result.returncode, result.stdout), (DONE, f"{self.ranking}\n"),
                         result.stderr)
        ranking = json.loads(self.ranking.read_text())
        self.assertEqual([one["name"] for one in ranking["learned"]["documents"]],
                         [path.name for path in self.documents])
        self.assertTrue(0 < ranking["learned"]["unexplained"] < 1)
        n_features = len(ranking["features"])
        values = [np.load(features / f"{path.name}.npy") for path in self.documents]
        weights = np.array(ranking["weights"])
        self.assertEqual(weights.shape, (*values[0].shape[:2], n_features + 1))
        self.assertEqual(values[0].shape[2:], (n_features + 1, CONTEXT))
        penalty = ranking["learned"]["penalty"]
        x = np.concatenate([one[:, :, :n_features, SINKS:] for one in values], axis=-1)
        y = np.log(np.maximum(np.concatenate([self.influence(run)[:, :, SINKS:]
                                              for run in self.runs], axis=-1), 1e-12))
        for layer, head in np.ndindex(weights.shape[:2]):
            rows, target = x[layer, head], y[layer, head]
            deviation = rows.std(axis=1)
            self.assertTrue((deviation > 0).all())
            standard = (rows - rows.mean(axis=1, keepdims=True)) / deviation[:, None]
            n = len(target)
            matrix = standard @ standard.T / n + penalty * np.eye(n_features)
            expected = np.linalg.solve(matrix, standard @ (target - target.mean()) / n)
            # A covariance from sums around 0 is off by n roundings of the mean squares, here in
            # units of the deviations; a solution by that times the matrix's condition, which is
            # (F + penalty) / penalty at most, and once more for the right-hand side.
            squares = ((rows**2).mean(axis=1) / deviation**2).max()
            targets = (target**2).mean() ** 0.5
            off = 2 * n * 2.0**-53 * squares * n_features / penalty
            bound = off * (np.abs(expected).max() * (n_features + penalty) + targets)
            found = weights[layer, head]
            self.assertLess(np.abs(found[:-1] * deviation - expected).max(), bound)
            constant = target.mean() - (expected / deviation) @ rows.mean(axis=1)
            self.assertLess(abs(found[-1] - constant),
                            bound * (1 + np.abs(rows.mean(axis=1) / deviation).sum()))
        self.assertLess(bound, 1e-6)

    def test_what_is_learnt_ranks_a_prompt_and_a_text(self):
        result = self.learn(self.runs[0])
        self.assertEqual(result.returncode, DONE, result.stderr)
        policy = f"learned:{self.ranking}"
        result = longshadow("retain", "--model", MODEL, "--document", self.documents[1], "--context",
                            CONTEXT, "--future", 16, "--sinks", SINKS, "--policies",
                            f"{policy},adakv/{policy}", "--progress", "none", "-o", self.output)
        self.assertEqual(result.returncode, DONE, result.stderr)
        result = longshadow("generate", "--model", MODEL, "--document", self.documents[1],
                            "--context", CONTEXT, "--policy", policy, "--budget", "0.5", "--every", 64, "--target", 40,
                            "-n", 70)
        self.assertEqual(result.returncode, DONE, result.stderr)

    def test_the_model_s_own_file_is_found(self):
        environment = {"XDG_CACHE_HOME": str(self.folder / "cache")}
        words = ("retain", "--model", MODEL, "--document", self.documents[1], "--context", CONTEXT,
                 "--future", 16, "--policies", "learned", "--progress", "none", "-o", self.output)
        result = longshadow(*words, env=environment)
        self.assert_refused(result, BAD_USAGE, "ranking.json", "longshadow learn ranking")
        result = longshadow("learn", "ranking", self.runs[0], "--model", MODEL, env=environment)
        self.assertEqual(result.returncode, DONE, result.stderr)
        result = longshadow(*words, env=environment)
        self.assertEqual(result.returncode, DONE, result.stderr)

    def test_what_cannot_be_learnt_from(self):
        plain = self.folder / "plain.h5"
        result = longshadow("probe", "--model", MODEL, "--document", DOCUMENT, "--context", CONTEXT,
                            "--future", 16, "--method", "sketch", "--progress", "none", "-o", plain)
        self.assertEqual(result.returncode, DONE, result.stderr)
        other = MODELS / "qwen2.gguf"
        for refused, words in ((self.learn(plain), ("plain.h5", "head")),
                               (self.learn(self.runs[0], self.runs[0]), ("twice",)),
                               (self.learn(self.runs[0], model=other), ("same model",)),
                               (self.learn(self.runs[0], more=("--sinks", CONTEXT)), ("sink",))):
            self.assert_refused(refused, BAD_USAGE, *words)
            self.assertFalse(self.ranking.exists())
        self.assertEqual(self.learn(self.runs[0]).returncode, DONE)
        result = longshadow("retain", "--model", other, "--document", DOCUMENT, "--context", CONTEXT,
                            "--future", 16, "--policies", f"learned:{self.ranking}", "--progress",
                            "none", "-o", self.output)
        self.assert_refused(result, FAILED, "ranking.json", "this model's weights")


if __name__ == "__main__":
    cli_test.PROGRAM = sys.argv.pop(1)
    unittest.main()
