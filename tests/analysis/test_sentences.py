"""Probes whose subjects are sentences: the matrix beside counterfactuals of one sentence each."""

import os
import subprocess
import unittest

import h5py
import numpy as np
from support import ROOT, WithRuns

PROGRAM = os.environ["LONGSHADOW"]
MODEL = ROOT / "data/fixtures/models/llama_plain.gguf"
BAD_USAGE = 2

SENTENCES = ["We add. ", "It is 4.\n\n", "Then we halve it. ", "So? ", "It is 2 \u2014 no less.\n", "1. Go on. ",
             "We halve 2. ", "\"It is 1.\" ", "We wait. ", "It was 1, and it is. ", "Is it so?\n", "Yes. "]


class Sentences(WithRuns):
    def setUp(self):
        super().setUp()
        self.text = self.folder / "steps.txt"
        self.text.write_text("".join(SENTENCES * 2))

    def probe(self, subjects, *more, document=None, context=120, future=60):
        path = self.folder / f"{len(list(self.folder.iterdir()))}.h5"
        result = subprocess.run(
            [PROGRAM, "probe", "--model", MODEL, "--document", document or self.text, "--context", str(context),
             "--future", str(future), "--subjects", subjects, "--evict-at", "lag:0", "--progress",
             "none", *more, "-o", path], capture_output=True, text=True, check=False)
        return path, result

    def measured(self, *arguments, **options):
        """The first document's datasets by name, in memory."""
        path, result = self.probe(*arguments, **options)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        with h5py.File(path) as file:
            document, = file["documents"].values()
            names = []
            document.visit(names.append)
            return {name: document[name][()] for name in names
                    if isinstance(document[name], h5py.Dataset)}

    def assert_refused(self, result, *named):
        self.assertEqual(result.returncode, BAD_USAGE, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for word in named:
            self.assertIn(word, result.stderr)

    def test_cells_are_means_of_single_counterfactuals_to_the_bit(self):
        for precision in (("--precision", "f64"), ("--precision", "f32"), ("--layers", "1")):
            run = self.measured("sentence:all", *precision)
            sentence, matrix = run["tokens/sentence"], run["influence/by_sentence"]
            self.assertGreater(len(matrix), 9)
            for k, row in enumerate(matrix):
                tokens = np.flatnonzero(sentence == k)
                alone = self.measured(f"list:{tokens[0]}-{tokens[-1]}", *precision)
                kl = dict(zip(range(alone["influence/start"][0], len(sentence)),
                              alone["influence/kl"][0]))
                self.assertEqual(alone["influence/start"][0], tokens[-1] + 1)
                n_measured = 0
                for n, cell in enumerate(row):
                    positions = np.flatnonzero(sentence == n)
                    if not all(j in kl for j in positions):
                        self.assertTrue(np.isnan(cell))
                        continue
                    total = 0.0
                    for j in positions:
                        total += float(kl[j])
                    self.assertEqual(cell, total / len(positions))
                    n_measured += 1
                self.assertGreater(n_measured, 0)
                self.assertFalse(np.isnan(row[k + 1]))  # the next sentence is measured whole

    def test_the_taggers_sentences_are_those_of_the_text(self):
        run = self.measured("sentence:all")
        begins = np.flatnonzero(np.diff(run["tokens/sentence"], prepend=-1))
        text = self.text.read_bytes()
        at = [int(run["tokens/bytes"][token][0]) for token in begins]
        found = [text[a:b].decode().strip() for a, b in zip(at, at[1:])]
        self.assertEqual(found, [one.strip() for one in SENTENCES * 2][:len(found)])
        self.assertGreater(len(found), 10)

    def test_an_older_file_or_another_selection_has_no_matrix(self):
        run = self.measured("sample:4")
        self.assertIn("tokens/sentence", run)
        self.assertNotIn("influence/by_sentence", run)
        self.assertNotIn("tokens/sentence", self.measured("sample:4", "--pos", "none"))

    def test_some_sentences_and_other_subjects_have_rows(self):
        run = self.measured("sentence:2+list:7-9")
        self.assertEqual(list(run["influence/group"]), [b"sentence", b"sentence", b"list"])
        self.assertEqual(len(run["influence/by_sentence"]), 3)
        self.assertTrue(np.isfinite(run["influence/by_sentence"][2]).any())

    def test_a_conllu_file_says_where_sentences_end(self):
        text, tags = self.folder / "a.txt", self.folder / "a.conllu"
        words = "one two three four five six seven eight".split() * 8
        text.write_text(" ".join(words))
        rows = [f"{w % 5 + 1}\t{word}\t_\tNUM" + "\t_" * 6 for w, word in enumerate(words)]
        tags.write_text("".join("\n".join(rows[first:first + 5]) + "\n\n"
                                for first in range(0, len(rows), 5)))
        run = self.measured("sentence:all", "--pos", tags, document=text, context=60, future=16)
        word, sentence = run["tokens/word"], run["tokens/sentence"]
        np.testing.assert_array_equal(sentence[word >= 0], word[word >= 0] // 5)
        whole = [k for k in range(sentence[-1]) if np.flatnonzero(sentence == k)[-1] < 60]
        self.assertEqual(len(run["influence/subject"]), len(whole))
        self.assertGreater(len(whole), 1)
        # The tagger sees no end of a sentence in it.
        self.assert_refused(self.probe("sentence:all", document=text, context=60, future=16)[1],
                            "ends within the context's 60")

    def test_what_has_no_sentence_is_refused(self):
        self.assert_refused(self.probe("sentence:all", "--pos", "none")[1], "--pos none",
                            "--pos auto", "CoNLL-U")
        self.assert_refused(self.probe("sentence:all", context=2)[1], "ends within the context's 2",
                            "--context", "steps.txt")
        self.assert_refused(self.probe("sentence:200")[1], "as many as the context has whole sentences")
        self.assert_refused(self.probe("sentence:some")[1], "some")


if __name__ == "__main__":
    unittest.main()
