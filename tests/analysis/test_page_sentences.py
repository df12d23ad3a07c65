"""The matrix of sentences on the page of `longshadow inspect`, in Chromium without a window."""

import os
import subprocess
import unittest

import h5py
import hostile_run
import numpy as np
from page_support import FOUR_DIGITS, FLOAT32, WithPage, number
from support import AT_END, ROOT


class TheSentences(WithPage):
    """Rows are removed sentences, columns those that are read after one."""

    def open(self, run):
        """Opens the run's page; cells [R, C] are its matrix, from the run's influence position by position."""
        super().open(run)
        influence = self.document()["influence"]
        kl = influence["kl"][:]
        self.sentence = self.document()["tokens/sentence"][:]
        cells = np.full((len(kl), self.sentence[-1] + 1), np.nan)
        for row, start in enumerate(influence["start"][:]):
            for n in range(cells.shape[1]):
                offsets = np.array(self.tokens_of(n)) - start
                if 0 <= offsets[0] and offsets[-1] < kl.shape[1]:
                    cells[row, n] = kl[row, offsets].mean()
        measured = np.flatnonzero(np.isfinite(cells).any(axis=0))
        self.first = measured[0]  # the sentence of the first column
        self.cells = cells[:, self.first:measured[-1] + 1]
        self.removed = [self.sentence[begin] for begin in influence["subject"][:, 0]]

    def place(self, row, column):
        return (column + 0.5) / self.cells.shape[1], (row + 0.5) / self.cells.shape[0]

    def tokens_of(self, sentence):
        return list(np.flatnonzero(self.sentence == sentence))

    def text_of(self, sentence):
        texts = self.document()["tokens/text"].asstr()[:]
        return "".join(texts[self.sentence == sentence]).strip()

    def point_at(self, row, column):
        self.browser.hover(".matrix canvas", *self.place(row, column))
        self.browser.run_async("requestAnimationFrame(arguments[0])")

    def told(self):
        return self.browser.run("return [...document.querySelectorAll('.pair p')].map((p) => p.textContent)")

    def pixels(self):
        """[R, C]: of each cell's middle its red, green, blue and opacity."""
        return np.array(self.browser.run(
            "const canvas = document.querySelector('.matrix canvas'); const [R, C] = arguments;"
            "const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);"
            "const at = (k, n, size) => Math.floor((k + 0.5) / n * size);"
            "return [...Array(R).keys()].map((r) => [...Array(C).keys()].map((c) => {"
            "  const first = 4 * (at(r, R, canvas.height) * canvas.width + at(c, C, canvas.width));"
            "  return [...data.slice(first, first + 4)]; }))", *self.cells.shape))

    def test_pointing_tells_the_runs_own_means(self):
        self.open(self.make_run(lag=0, sentences=True))
        rows, columns = np.nonzero(np.isfinite(self.cells))
        for row, column in list(zip(rows, columns))[::11]:
            self.point_at(row, column)
            nats, removed, read = self.told()
            self.assertAlmostEqual(number(nats), self.cells[row, column],
                                   delta=(FOUR_DIGITS + FLOAT32) * self.cells[row, column])
            self.assertEqual(removed, f"removed: {self.removed[row]} {self.text_of(self.removed[row])}")
            self.assertEqual(read, f"read: {self.first + column} {self.text_of(self.first + column)}")

    def test_cells_are_drawn_where_they_are_measured(self):
        self.open(self.make_run(lag=0, sentences=True))
        self.check_cells()

    def test_cells_of_sentences_removed_at_the_contexts_end(self):
        self.open(self.make_run(lag=AT_END, sentences=True))
        self.check_cells()

    def check_cells(self):
        pixels = self.pixels()
        is_measured = np.isfinite(self.cells)
        self.assertEqual((pixels[:, :, 3] > 0).tolist(), is_measured.tolist())
        order = np.argsort(self.cells[is_measured])
        light = pixels[:, :, :3].sum(axis=2)[is_measured][order]
        self.assertTrue((np.diff(light) <= 3).all(), light)  # darker and darker; three channels, rounded

    def test_a_click_shows_both_in_the_text(self):
        self.open(self.make_run(lag=0, sentences=True))
        row = len(self.cells) - 1
        column = np.flatnonzero(np.isfinite(self.cells[row]))[-1]
        self.browser.click_at(".matrix canvas", *self.place(row, column))
        removed, affected = self.tokens_of(self.removed[row]), self.tokens_of(self.first + column)
        self.assertEqual(self.tokens_with("member"), removed)
        self.assertEqual(self.tokens_with("affected"), affected)
        top, bottom, height = self.browser.run(
            "const box = document.querySelector('.affected').getBoundingClientRect();"
            "return [box.top, box.bottom, innerHeight]")
        self.assertTrue(0 < top < bottom < height)
        self.assertIn(f"Sentence {self.removed[row]} removed, {self.first + column} read", self.browser.text("#live"))
        self.browser.click_at(".matrix canvas", *self.place(row, column))
        self.assertEqual(self.tokens_with("member") + self.tokens_with("affected"), [])

    def test_a_sentence_of_the_text_shades_what_it_acts_on(self):
        self.open(self.make_run(lag=0, sentences=True))
        row = 1
        self.browser.click(f"#t{self.tokens_of(self.removed[row])[0]}")
        self.assertEqual(self.tokens_with("member"), self.tokens_of(self.removed[row]))
        shaded = self.browser.run("return [...document.querySelectorAll('.t')].filter((t) =>"
                                  " t.style.backgroundColor !== '').map((t) => t.token)")
        measured = np.flatnonzero(np.isfinite(self.cells[row]))
        self.assertLessEqual(set(shaded), {i for c in measured for i in self.tokens_of(self.first + c)})
        largest = self.first + np.nanargmax(self.cells[row])
        self.assertIn(self.tokens_of(largest)[0], shaded)
        self.browser.hover(f"#t{self.tokens_of(largest)[0]}")
        told = self.browser.text("#tooltip span")
        self.assertTrue(told.startswith(f"sentence {largest}: "))
        self.assertAlmostEqual(number(told.split(": ")[1]), np.nanmax(self.cells[row]),
                               delta=(FOUR_DIGITS + FLOAT32) * np.nanmax(self.cells[row]))
        self.browser.press("Escape")
        self.assertEqual(self.tokens_with("member"), [])

    def test_m_goes_from_sentence_to_sentence(self):
        self.open(self.make_run(lag=0, sentences=True))
        self.assertEqual(self.tokens_with("measured"), [])  # a line under all of the text would say nothing
        self.browser.press("ArrowRight", "m")
        self.assertEqual(self.tokens_with("cursor"), self.tokens_of(self.removed[1])[:1])
        self.browser.press("Enter")
        self.assertEqual(self.tokens_with("member"), self.tokens_of(self.removed[1]))

    def test_keys_go_from_cell_to_cell(self):
        self.open(self.make_run(lag=AT_END, sentences=True))
        self.browser.run("document.querySelector('.matrix').focus()")
        self.browser.press("ArrowRight", "ArrowRight", "ArrowDown")
        nats, removed, read = self.told()
        self.assertAlmostEqual(number(nats), self.cells[1, 1], delta=(FOUR_DIGITS + FLOAT32) * self.cells[1, 1])
        said = self.browser.text("#live")
        for part in (nats, self.text_of(self.removed[1]), self.text_of(self.first + 1)):
            self.assertIn(part, said)
        self.browser.press("Enter")
        self.assertEqual(self.tokens_with("affected"), self.tokens_of(self.first + 1))
        self.browser.press("ArrowLeft")  # the keys are still there
        self.assertIn(self.text_of(self.first), self.browser.text("#live"))
        self.assertTrue(self.browser.label(".matrix"))

    def test_what_is_not_measured_is_told(self):
        run = self.make_run(lag=AT_END, sentences=True)
        with h5py.File(run, "r+") as file:
            influence = next(iter(file["documents"].values()))["influence"]
            kl = influence["kl"][:]
            kl[2] = influence["noise_floor"][0] / 2
            kl[3] = np.nan
            influence["kl"][...] = kl
        self.open(run)
        self.point_at(2, 0)
        self.assertIn("the noise floor", self.told()[0])
        self.point_at(3, 0)
        self.assertEqual(self.told()[0], "not measured")

    def test_another_shade_puts_it_away(self):
        self.open(self.make_run(lag=0, sentences=True))
        self.browser.click_at(".matrix canvas", *self.place(0, 0))
        self.browser.choose("#signal", "surprisal")
        self.assertEqual(self.browser.run("return document.querySelectorAll('.matrix, .member, .affected').length"), 0)
        self.browser.choose("#signal", "sentence")
        self.assertEqual(self.tokens_with("member"), self.tokens_of(self.removed[0]))

    def test_hostile_text_is_text(self):
        run = self.make_run(lag=0, sentences=True)
        hostile_run.make_hostile(run, groups=False)
        self.open(run)
        row, column = np.argwhere(np.isfinite(self.cells))[5]
        self.browser.click_at(".matrix canvas", *self.place(row, column))
        _, removed, read = self.told()
        self.assertEqual([removed.split(" ", 2)[2], read.split(" ", 2)[2]],
                         [self.text_of(self.removed[row]), self.text_of(self.first + column)])
        self.assertIn("<script>", removed + read)
        self.assertIsNone(self.browser.run("return window.harmed ?? null"))
        elements = self.browser.run("return document.querySelectorAll('main img, main script, main b').length")
        self.assertEqual(elements, 0)

    def test_a_run_without_them_has_no_such_view(self):
        super().open(self.make_run(documents=2))
        views = self.browser.run("return document.querySelectorAll('.matrix, option[value=sentence]').length")
        self.assertEqual(views, 0)
        self.assertTrue(self.browser.run("return document.getElementById('about-sentences').hidden"))

    def test_a_real_run_has_them(self):
        document = self.folder / "short.txt"
        document.write_text("It rained. " * 12)
        run = self.folder / "sentences.h5"
        subprocess.run([os.environ["LONGSHADOW"], "probe", "--model",
                        ROOT / "data" / "fixtures" / "models" / "llama_plain.gguf", "--document", document,
                        "--context", "32", "--future", "16", "--subjects", "sentence:2", "--evict-at", "end",
                        "-o", run], check=True, capture_output=True)
        self.open(run)
        self.browser.run("document.querySelector('.matrix').focus()")
        self.browser.press("ArrowDown", "ArrowDown")  # the first cell, and the one below
        mean = self.document()["influence/by_sentence"][1]
        first = mean[np.isfinite(mean)][0]
        self.assertAlmostEqual(number(self.browser.text(".nats")), first, delta=(FOUR_DIGITS + FLOAT32) * first)


if __name__ == "__main__":
    unittest.main()
