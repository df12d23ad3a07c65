"""Compares three computations of the same numbers: `longshadow analyze` (C++), analysis/run_statistics.py
(numpy), and plain loops over the file's arrays."""

import json
import math
import os
import statistics
import subprocess
import unittest

import h5py
import numpy as np
from support import AT_END, WithRuns

import run_file
import run_statistics
from figures.entropy import tagged
from figures.retention import cost_curve, overlap

# Means of up to a few thousand doubles that are summed in different orders.
CLOSE = 1e-12


def trimmed_mean(values):
    cut = values.size // 10
    return np.sort(values)[cut:values.size - cut].mean()


class Agreement(WithRuns):
    def analyze(self, run, *options):
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        subprocess.run([os.environ["LONGSHADOW"], "analyze", run, "--json", report, *options],
                       check=True, stdout=subprocess.DEVNULL)
        return json.loads(report.read_text())

    def assert_close(self, a, b):
        if a is None or math.isnan(b):
            self.assertTrue(a is None and math.isnan(b), (a, b))
        else:
            self.assertAlmostEqual(a / b, 1, delta=CLOSE)

    def compare_with_numpy(self, run):
        report = self.analyze(run)
        documents = run_file.documents(run)
        self.assertEqual(len(documents), len(report["documents"]))
        for document, reported in zip(documents, report["documents"]):
            self.compare_groups(document, reported)
            self.compare_sets(document, reported)
            self.compare_correlations(document, reported)
            self.compare_entropy(document, reported)
            near, far = run_statistics.near_and_far(document)
            self.assertEqual([list(near), list(far)], [reported["near"], reported["far"]])

    def compare_groups(self, document, reported):
        members = {"all": np.flatnonzero(document.population),
                   "sinks": np.flatnonzero(document.is_sink)}
        members |= {f"top {name}": run_statistics.top(document, name) for name in run_file.SIGNALS}
        recorded = set(document.group)
        if len(recorded) > 1:
            members |= {f"chosen: {name}": np.flatnonzero((document.group == name)
                                                          & ~document.is_sink) for name in recorded}
        self.assertEqual({group["name"] for group in reported["groups"]}, set(members))
        for group in reported["groups"]:
            for cell in group["bins"]:
                upper, lower = run_statistics.binned(document, *cell["distance"])
                upper, lower = upper[members[group["name"]]], lower[members[group["name"]]]
                reached = np.isfinite(upper)
                self.assertEqual(cell["n_subjects"], reached.sum())
                for name, statistic in (("mean_nats", np.mean), ("median_nats", np.median),
                                        ("trimmed_mean_nats", trimmed_mean)):
                    value = statistic(upper[reached]) if reached.any() else math.nan
                    self.assert_close(cell[name]["value"], value)
                    if reached.any():
                        bound = statistic(lower[reached]) < 0.95 * value
                        self.assertEqual(cell[name]["is_bound"], bound)

    def compare_sets(self, document, reported):
        self.assertEqual([group["name"] for group in reported["sets"]], list(document.sets))
        for group in reported["sets"]:
            sets = run_file.sets_of(document, group["name"])
            self.assertEqual(group["n_subjects"], len(sets.kl))
            self.assertEqual([tokens.tolist() for tokens in document.set_tokens[group["name"]]],
                             [list(range(10, 488, 9))] * len(sets.kl))  # as the made-up run has them
            for cell in group["bins"]:
                upper, _ = run_statistics.binned(sets, *cell["after_start"])
                self.assertEqual(cell["n_subjects"], upper.size)
                self.assert_close(cell["mean_nats"]["value"], np.mean(upper))

    def compare_correlations(self, document, reported):
        for signal in reported["rank_correlations"]:
            for cell in signal["bins"]:
                value, low, high, n = run_statistics.rank_correlation(document, signal["signal"],
                                                                *cell["distance"])
                self.assertEqual(cell["n_subjects"], n)
                self.assert_close(cell["value"], value)
                if cell["low"] is not None:
                    self.compare_intervals((cell["low"], cell["high"]), (low, high),
                                           n if document.text is None else len(set(document.text)))

    def compare_intervals(self, one, other, n_drawn):
        """Of correlations, from two generators: 2.5% quantiles of 1,000 draws each differ by about
        sqrt(2) * sqrt(.025 * .975 / 1000) / .058 = .12 standard errors of the statistic (a quarter
        of the interval) where it is normal; four times that, and three times as much of fewer than
        80, whose correlations near 1 are skewed: their tails hold fewer draws."""
        tolerance = 0.5 * (other[1] - other[0]) / 4 * (1 if n_drawn >= 80 else 3) + 1e-9
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)

    def compare_entropy(self, document, reported):
        rows = {row["name"]: row for row in reported["entropy_by_part_of_speech"]["rows"]}
        inside = tagged(document)
        for tag in set(document.tokens.upos[inside]):
            own = inside & (document.tokens.upos == tag)
            self.assertEqual(rows[tag]["n_tokens"], own.sum())
            for reading, entropy in (("entropy-before", document.tokens.entropy_before),
                                     ("entropy-at", document.tokens.entropy_at)):
                self.assert_close(rows[tag][reading]["mean_nats"]["value"], entropy[own].mean())
                self.assert_close(rows[tag][reading]["median_nats"]["value"], np.median(entropy[own]))

    def test_numpy_agrees_on_what_stands_for_a_document(self):
        run = self.make_run(subjects=120)
        with h5py.File(run, "r+") as file:
            group = file["documents/document_1/influence/group"]
            group[:60] = "list"  # the other half is still a sample
        document, = run_file.documents(run)
        self.assertEqual(document.population.sum(), (document.group == "sample").sum())
        self.compare_with_numpy(run)

    def test_numpy_agrees_on_the_pool(self):
        run = self.make_run(documents=6)
        pooled = run_file.pool(run_file.documents(run))
        reported = self.analyze(run)["pooled"]
        self.assertEqual(reported["intervals_over"], "documents")
        self.compare_groups(pooled, reported)
        self.compare_correlations(pooled, reported)

    def test_numpy_agrees_for_a_lag(self):
        self.compare_with_numpy(self.make_run(documents=2, subjects=60))

    def test_numpy_agrees_at_the_end(self):
        self.compare_with_numpy(self.make_run(subjects=150, lag=AT_END))

    def test_numpy_agrees_on_sets(self):
        self.compare_with_numpy(self.make_run(documents=2, subjects=150, lag=AT_END, sets=3))

    def test_numpy_agrees_on_chunks(self):
        run = self.make_run(documents=6, lag=AT_END, sets=1)
        random = np.random.default_rng(4)
        with h5py.File(run, "r+") as file:  # made-up sets do the same in every document
            for document in file["documents"].values():
                document["influence/kl"][-1] *= random.lognormal(size=64)
        pooled = self.analyze(run, "--chunks", "10")["pooled"]
        self.assertEqual(pooled["intervals_over"], "documents")
        group, = pooled["sets"]
        with h5py.File(run) as file:  # the set is the last subject of each document
            rows = [np.maximum(one["influence/kl"][-1], one["influence/noise_floor"][:])
                    for one in file["documents"].values()]
        means = [[row[begin:begin + 10].mean() for row in rows] for begin in range(0, 64, 10)]
        self.assertEqual([cell["after_start"] for cell in group["bins"]],
                         [[begin, min(begin + 10, 64)] for begin in range(0, 64, 10)])
        for cell, of_chunk in zip(group["bins"], means):
            self.assert_close(cell["mean_nats"]["value"], np.mean(of_chunk))
            self.assertTrue(min(of_chunk) <= cell["mean_nats"]["low"] <= cell["mean_nats"]["high"]
                            <= max(of_chunk))
        of_file = [run_statistics.chunk_means(document, group["name"], 10)
                   for document in run_file.documents(run)]
        np.testing.assert_allclose(np.transpose(of_file), means, rtol=CLOSE)

    def test_numpy_agrees_on_retention(self):
        run = self.make_run(documents=5, retention=True)
        documents = run_file.documents(run)
        reported = self.analyze(run)["retention"]
        self.assertEqual(len(reported["arms"]), 8)
        for arm in reported["arms"]:
            for where, last in (("near", False), ("far", True)):
                curve = cost_curve(documents, arm["policy"], last)
                value, = curve[curve[:, 0] == float(arm["budget"]), 1]
                self.assert_close(arm[where]["mean_nats"]["value"], value)
        for budget in ("0.2", "0.4"):
            policies, values = overlap(documents, budget)
            self.assertEqual(len(policies), 4)
            for pair in reported["overlaps"]:
                if pair["budget"] == budget:
                    both = [policies.index(pair[which]) for which in ("policy", "other")]
                    self.assertAlmostEqual(pair["jaccard"], values[*both], delta=CLOSE)

    def test_plain_loops_agree(self):
        run = self.make_run()
        cells = {tuple(cell["distance"]): cell
                 for cell in self.analyze(run)["documents"][0]["groups"][0]["bins"]}
        with h5py.File(run) as file:
            influence = file["documents/document_1/influence"]
            subjects, starts = influence["subject"][:], influence["start"][:]
            kl, floor = influence["kl"][:], influence["noise_floor"][:]
        for (begin, end), cell in cells.items():
            means, below = [], 0
            for s, (first, after) in enumerate(subjects):
                values = []
                for h, value in enumerate(kl[s]):
                    if first >= 4 and begin <= starts[s] + h - after + 1 < end:
                        values.append(max(value, floor[h]))
                        below += value <= floor[h]
                if values:
                    means.append(sum(values) / len(values))
            self.assertEqual(cell["n_subjects"], len(means))
            self.assertEqual(cell["n_below_floor"], below)
            self.assert_close(cell["mean_nats"]["value"], sum(means) / len(means))
            self.assert_close(cell["median_nats"]["value"], statistics.median(means))


if __name__ == "__main__":
    unittest.main()
