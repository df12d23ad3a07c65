"""Draws the figures of made-up runs as a user would."""

import subprocess
import sys
import unittest
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import h5py
import matplotlib

matplotlib.use("Agg")
import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
from support import AT_END, ROOT, WithRuns, add_retention

import run_file
import run_statistics
from figures.chunks import draw_chunks, panels_of, with_chunks
from figures.distance import draw_distance, groups, influence_curve
from figures.entropy import draw_entropy
from figures.kept_words import kept_shares
from figures.sentences import draw_sentences
from figures.sets import draw_sets
from figures.shadow_map import draw_map, strips
from figures.signals import draw_signals
from figures.style import COLUMN
from plot import figures_of


OF_SUBJECTS = ("distance", "signals", "entropy")  # of a run of spans


def run_plot(run, output):
    return subprocess.run([sys.executable, ROOT / "analysis" / "plot.py", run, "-o", output],
                          capture_output=True, text=True)


class TheFigures(WithRuns):
    def test_each_document_and_their_pool_get_theirs_in_two_formats(self):
        result = run_plot(self.make_run(documents=2), self.folder / "figures")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        names = {path.name for path in (self.folder / "figures").iterdir()}
        drawn = {f"document_{d}-{figure}" for d in (1, 2) for figure in (*OF_SUBJECTS, "layers")}
        drawn |= {f"2_documents-{figure}" for figure in OF_SUBJECTS}
        self.assertEqual(names, {f"{name}.{suffix}" for name in drawn for suffix in ("png", "svg")})
        image = matplotlib.image.imread(self.folder / "figures" / "document_1-distance.png")
        self.assertEqual(image.shape[1], round(COLUMN * 300))
        self.assertLess(image.min(), 0.1)  # something is drawn
        ElementTree.parse(self.folder / "figures" / "document_1-distance.svg")

    def test_sets_get_a_figure_of_their_own(self):
        run = self.make_run(lag=AT_END, sets=3)
        result = run_plot(run, self.folder / "figures")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertTrue((self.folder / "figures" / "document_1-sets.png").exists())
        document, = run_file.documents(run)
        figure = draw_sets(document)
        labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        self.assertEqual(labels, ["top:drift:11% (n = 2)", "top:random:11% (n = 1)"])
        curve = next(line for line in figure.axes[0].lines if line.get_label() == labels[0])
        self.assertEqual(curve.get_xdata()[0], 1)
        self.assertAlmostEqual(curve.get_ydata()[0], 1e-3)  # the made-up sets' law
        plt.close(figure)

    def test_sentences_get_a_matrix(self):
        document, = run_file.documents(self.make_run(lag=0, sentences=True))
        sentences = document.sentences
        sentences.text[3] = "It is a long way that this one goes on to"
        sentences.total[3] = 1 + sentences.total.max()
        figure = draw_sentences(document)
        axes = figure.axes[0]
        drawn = axes.collections[0].get_array()
        self.assertEqual(drawn[3, 3], sentences.kl[3, 4])  # columns from the second sentence on
        self.assertTrue(np.ma.is_masked(drawn[3, 2]))
        names = dict(zip(axes.get_yticks(), (text.get_text() for text in axes.get_yticklabels())))
        self.assertEqual(names[3], "It is a long way that this one …  3")
        self.assertEqual(len(names), 10)
        plt.close(figure)

    def test_a_matrix_is_drawn_where_any_of_it_is_measured(self):
        document, = run_file.documents(self.make_run(lag=0, sentences=True))
        document.kl, document.tokens.by_layer = np.empty((0, 0)), {}  # other figures
        document.tokens.upos[:] = "NONE"
        for expected in (["sentences"], []):
            self.assertEqual([name for name, _ in figures_of(document)], expected)
            document.sentences.kl[:] = np.nan
        plt.close("all")

    def test_a_sketch_gets_a_map(self):
        for subjects, expected in ((48, {*OF_SUBJECTS, "layers", "map"}),
                                   (0, {"entropy", "layers", "map"})):
            run = self.make_run(subjects=subjects, lag=AT_END, sketch=True)
            result = run_plot(run, self.folder / f"figures-{subjects}")
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            names = {path.name for path in (self.folder / f"figures-{subjects}").iterdir()}
            self.assertEqual(names, {f"document_1-{figure}.{suffix}" for figure in expected
                                     for suffix in ("png", "svg")})

    def test_the_map_loses_no_token(self):
        values = np.zeros((2, 5000))
        values[0, 4321] = 7
        pooled, edges = strips(values, 100)
        self.assertEqual(pooled.shape, (2, 100))
        self.assertEqual(len(edges), 101)
        column, = np.flatnonzero(pooled[0] == 7)
        self.assertTrue(edges[column] <= 4321 < edges[column + 1])
        pooled, edges = strips(values[:, :30], 100)
        self.assertEqual(pooled.shape, (2, 30))

    def test_the_map_names_the_highest_tokens(self):
        document, = run_file.documents(self.make_run(lag=AT_END, sketch=True))
        document.sketch.fi[1, 300] = 1.0
        figure = draw_map(document)
        rows = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
        self.assertEqual(len(rows), 2)
        names = [text.get_text() for text in rows[1].texts]
        self.assertIn(f"{document.sketch.text[300].strip()} 300", names)
        plt.close(figure)

    def test_the_same_run_gives_the_same_figure(self):
        run = self.make_run(subjects=20)
        for folder in ("a", "b"):
            run_plot(run, self.folder / folder)
        a, b = ((self.folder / folder / "document_1-signals.svg").read_bytes() for folder in "ab")
        self.assertEqual(a, b)

    def test_what_is_no_run_file_is_refused_in_one_line(self):
        (self.folder / "text.h5").write_text("not HDF5")
        for name in ("missing.h5", "text.h5"):
            result = run_plot(self.folder / name, self.folder / "figures")
            self.assertEqual(result.returncode, 1)
            self.assertEqual(len(result.stderr.splitlines()), 1)
            self.assertIn("expected", result.stderr)
            self.assertFalse((self.folder / "figures").exists())

    def test_the_figure_shows_the_numbers_of_the_groups(self):
        for lag in (16, AT_END):
            document, = run_file.documents(self.make_run(subjects=100, lag=lag))
            figure = draw_distance(document)
            legend, = filter(None, (axes.get_legend() for axes in figure.axes))
            labels = [text.get_text() for text in legend.get_texts()]
            n = int((~document.is_sink).sum())
            self.assertIn(f"all but sinks (n = {n})", labels)
            self.assertIn("noise floor", labels)
            line = next(line for line in figure.axes[0].lines
                        if line.get_label().startswith("all but sinks"))
            begin, end = run_statistics.bins(document, first_edge=1, per_octave=3)[0]
            upper, _ = run_statistics.binned(document, begin, end)
            expected = np.nanmedian(upper[~document.is_sink])
            self.assertEqual(line.get_ydata()[0], expected)
            plt.close(figure)

    def test_a_far_noise_floor_has_a_strip_of_its_own(self):
        document, = run_file.documents(self.make_run(subjects=30))
        for floor, n_axes in ((1e-12, 4), (1e-7, 2), (0.0, 2)):
            document.noise_floor = np.full_like(document.noise_floor, floor)
            figure = draw_distance(document)
            self.assertEqual(len(figure.axes), n_axes)
            lines = [line for axes in figure.axes for line in axes.lines
                     if line.get_label() == "noise floor"]
            self.assertEqual([line.get_ydata()[0] for line in lines], [floor] * 2 * (floor > 0))
            plt.close(figure)

    def test_values_under_the_floor_are_drawn_apart(self):
        document, = run_file.documents(self.make_run(subjects=30))
        document.kl = np.full_like(document.kl, document.noise_floor.max() / 2)
        curve = influence_curve(document, np.flatnonzero(~document.is_sink), np.median)
        self.assertTrue((curve[:, 1] == document.noise_floor.max()).all())
        self.assertTrue((curve[:, 4] == 1).all())
        for draw in (draw_distance, draw_signals):
            plt.close(draw(document))


    def test_many_subjects_are_counted_in_hexagons(self):
        pooled = run_file.pool(run_file.documents(self.make_run(documents=8)))
        self.assertGreater(pooled.population.sum(), 300)
        figure = draw_signals(pooled)
        hexagons = figure.axes[0].collections[0]
        self.assertEqual(hexagons.get_array().sum(), pooled.population.sum())
        self.assertIn("over 8 documents", figure.get_supxlabel())
        plt.close(figure)

    def test_violins_hold_the_tokens_of_the_tables(self):
        document, = run_file.documents(self.make_run())
        figure = draw_entropy(document)
        labels = dict(text.get_text().split("\n") for text in figure.axes[1].get_xticklabels())
        nouns = (document.tokens.upos == "NOUN")[run_file.SINKS:].sum()
        self.assertEqual(labels.get("NOUN"), str(nouns) if nouns >= 30 else None)
        self.assertEqual(len(figure.axes[0].collections), 3 * len(labels))
        plt.close(figure)

    def test_chosen_groups_are_named_in_words(self):
        document, = run_file.documents(self.make_run())
        document.group[:20] = "each:random:20"
        document.group[20:30] = "each:-entropy-before:10"
        document.group[30:] = "each:attention-cumulative:18"
        names = [name for name, *_ in groups(document)]
        self.assertEqual(names, ["random", "low entropy before", "high attention"])
        self.assertTrue((document.population == (document.group == "each:random:20")
                         & ~document.is_sink).all())


class Chunks(WithRuns):
    """Sets that were followed for 5.5 chunks, their influence and its noise made up."""

    GROUPS = ("top:random:20%", "top:drift:20%", "policy:snapkv:kernel=5@0.2", "policy:random@0.2",
              "top:drift:5%", "a set")

    def documents(self, count):
        document, = run_file.documents(self.make_run(subjects=1, lag=AT_END, sets=2))
        random = np.random.default_rng(3)
        return [replace(document, name=f"text {d}", noise_floor=np.zeros(704), kl=document.kl[:0],
                        sets={name: random.lognormal(size=(1, 704)) for name in self.GROUPS})
                for d in range(count)]

    def test_sets_of_one_size_share_a_panel(self):
        self.assertEqual(panels_of(self.documents(1)), {
            "20% removed": {"random": "top:random:20%", "drift": "top:drift:20%"},
            "policies keep 0.2": {"snapkv:kernel=5": "policy:snapkv:kernel=5@0.2",
                                  "random": "policy:random@0.2"}})

    def test_curves_show_chunks_and_ratios_of_documents(self):
        documents = self.documents(6)
        figure = draw_chunks(documents)
        means, _, ratios, _ = figure.axes
        drift = np.array([one.sets["top:drift:20%"][0] for one in documents])
        other = np.array([one.sets["top:random:20%"][0] for one in documents])
        edges = range(0, 704, 128)
        np.testing.assert_allclose(means.lines[1].get_xdata(), [edge + 64 for edge in edges])
        np.testing.assert_allclose(means.lines[1].get_ydata(),
                                   [drift[:, edge:edge + 128].mean() for edge in edges])
        band = means.collections[1].get_paths()[0].vertices
        at_first = band[band[:, 0] == 64, 1]
        self.assertTrue(at_first.min() < drift[:, :128].mean() < at_first.max())
        first = [np.log(one[:128].mean() / two[:128].mean()) for one, two in zip(drift, other)]
        self.assertAlmostEqual(ratios.lines[0].get_ydata()[0], np.exp(np.mean(first)))
        self.assertEqual(len(ratios.lines[0].get_ydata()), 3)  # chunk 1, 2-4, 5-6
        self.assertIn("6 documents", figure.get_suptitle())
        plt.close(figure)

    def test_one_document_has_curves_and_few_chunks_no_figure(self):
        documents = self.documents(1)
        figure = draw_chunks(documents)
        self.assertIn("text 0", figure.get_suptitle())
        plt.close(figure)
        documents[0].noise_floor = np.zeros(511)
        self.assertEqual(with_chunks(documents), [])

    def test_policies_without_a_random_one_are_held_to_snapkv(self):
        documents = self.documents(1)
        sets = {f"policy:{name}@0.2": documents[0].sets["a set"] for name in ("infokv", "snapkv")}
        figure = draw_chunks([replace(documents[0], sets=sets)])
        self.assertEqual(figure.axes[1].get_title(), "over snapkv")
        np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), 1)
        plt.close(figure)

    def test_stretches_hold_every_chunk_once(self):
        self.assertEqual(run_statistics.stretches(48), [(0, 1), (1, 4), (4, 8), (8, 16), (16, 32), (32, 48)])
        self.assertEqual(run_statistics.stretches(1), [(0, 1)])
        self.assertEqual(run_statistics.stretches(112)[-1], (64, 112))

    def test_runs_of_sets_alone_are_pooled(self):
        run = self.make_run(documents=2, subjects=1, lag=AT_END, sets=2)
        with h5py.File(run, "r+") as file:
            for document in file["documents"].values():
                document["influence/kl"][0] = np.nan  # the one span is not measured
        result = run_plot(run, self.folder / "figures")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertTrue((self.folder / "figures" / "2_documents-sets.png").exists())


class KeptWords(WithRuns):
    def test_a_policy_that_keeps_nouns_shows_it(self):
        run = self.make_run(documents=5)
        add_retention(run)
        result = run_plot(run, self.folder / "figures")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertTrue((self.folder / "figures" / "kept-words.svg").exists())
        documents = run_file.documents(run)
        nouns = kept_shares(documents, "nouns@0.4", "NOUN")
        self.assertEqual(nouns.size, 5)
        # Kept twice as often as others, relative to all words, a fraction f of them nouns: 2 / (1 + f).
        share = np.mean([(one.tokens.upos == "NOUN").mean() / (one.tokens.upos != "NONE").mean()
                         for one in documents])
        # 840 slots of nouns at chances of 0.76 and 0.4: four standard errors.
        self.assertAlmostEqual(nouns.mean(), 2 / (1 + share), delta=0.15)
        self.assertAlmostEqual(kept_shares(documents, "random@0.4", "NOUN").mean(), 1, delta=0.17)


class Pooled(WithRuns):
    def test_a_token_is_high_among_its_own_document(self):
        documents = run_file.documents(self.make_run(documents=3))
        pooled = run_file.pool(documents)
        offset, expected = 0, []
        for document in documents:
            expected += list(offset + run_statistics.top(document, "drift"))
            offset += len(document.kl)
        self.assertEqual(list(run_statistics.top(pooled, "drift")), expected)

    def test_other_conditions_are_refused(self):
        documents = [run_file.documents(self.make_run(lag=lag))[0] for lag in (16, 8)]
        with self.assertRaises(SystemExit) as refusal:
            run_file.pool(documents)
        self.assertIn("lag:8", str(refusal.exception))

    def test_documents_are_drawn_whole(self):
        of_cluster = np.random.default_rng(2).normal(size=8)
        values, clusters = np.repeat(of_cluster, 3), np.repeat(np.arange(8), 3)
        np.testing.assert_allclose(run_statistics.bootstrap(values, np.mean, clusters),
                                   run_statistics.bootstrap(of_cluster, np.mean))


class Statistics(unittest.TestCase):
    def test_ranks_share_ties(self):
        self.assertEqual(list(run_statistics.ranks(np.array([30, 10, 20, 20]))), [4, 1, 2.5, 2.5])

    def test_few_values_have_no_interval(self):
        self.assertTrue(np.isnan(run_statistics.bootstrap(np.arange(4.0), np.mean)).all())
        low, high = run_statistics.bootstrap(np.arange(5.0), np.mean)
        self.assertLess(low, 2)
        self.assertGreater(high, 2)


if __name__ == "__main__":
    unittest.main()
