"""The report in the page of `longshadow inspect`: the tables of `longshadow analyze`, in a real browser."""

import os
import subprocess
import unittest

from hostile_run import NAME, make_hostile
from page_support import WithPage
from support import AT_END

ROWS = ("return [...document.querySelectorAll('#report tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))")


def words(cells):
    """The cells as the words of a line."""
    return " ".join(" ".join(cells).split())


class TheReport(WithPage):
    def analyzed(self):
        """The lines of the text, as words."""
        text = subprocess.run([os.environ["LONGSHADOW"], "analyze", self.run_path], check=True,
                              capture_output=True, text=True).stdout
        return [" ".join(line.split()) for line in text.splitlines()]

    def unfold(self):
        self.browser.click("#report summary")
        self.browser.run_async("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def shown(self):
        return self.browser.text("#report div")

    def assert_lines_are_those_of_the_text(self):
        lines = self.analyzed()
        rows = [words(cells) for cells in self.browser.run(ROWS)]
        self.assertGreater(len(rows), 10)
        for row in rows:
            self.assertIn(row, lines)
        return rows

    def test_unfolds_to_the_tables_of_analyze(self):
        for options in ({"lag": AT_END, "sets": 3, "sketch": True, "retention": True},
                        {"lag": 0, "sentences": True}):
            with self.subTest(options):
                self.browser.requests()
                (self.folder / "page.html").unlink(missing_ok=True)
                self.open(self.make_run(**options))
                self.assertEqual(self.browser.run(ROWS), [])
                self.unfold()
                rows = self.assert_lines_are_those_of_the_text()
                tables = [line for line in self.analyzed() if line in rows]
                self.assertEqual(rows, tables)  # all of them, in their order
                self.assertIn("bootstrap interval", self.shown())

    def test_is_of_the_chosen_document_and_of_all(self):
        self.open(self.make_run(documents=2, subjects=48, lag=AT_END, retention=True))
        self.unfold()
        headings = "return [...document.querySelectorAll('#report h3')].map((head) => head.textContent)"
        self.assertEqual(self.browser.run(headings), ["document_1", "all 2 documents"])
        first = self.assert_lines_are_those_of_the_text()
        self.browser.choose("#document", 1)
        self.assertEqual(self.browser.run(headings), ["document_2", "all 2 documents"])
        self.assertNotEqual(first, self.assert_lines_are_those_of_the_text())
        self.assertIn("What eviction policies keep", self.shown())
        self.assertIn("95% bootstrap interval over subjects", self.shown())  # what is said once of all

    def test_is_reached_and_heard(self):
        self.open(self.make_run())
        self.browser.run("document.querySelector('#report summary').focus()")
        self.browser.press("Enter")
        self.assertTrue(self.browser.run("return document.querySelector('#report').open"))
        self.browser.run_async("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        self.assertEqual(self.browser.label("#report table"), "distance 17-31")
        self.assertEqual(self.browser.label("#report .scrolled"), "distance 17-31")
        self.assertEqual(self.browser.run("return [...document.querySelectorAll('#report tbody tr')].every("
                                          "(row) => row.cells[0].scope === 'row')"), True)
        self.browser.run("document.querySelector('#report .scrolled').focus()")
        self.browser.press("ArrowRight")  # scrolls the table, and moves no token
        self.assertEqual(self.browser.run("return document.querySelectorAll('.t.cursor').length"), 0)

    def test_shows_a_strangers_names_as_text(self):
        run = self.make_run(documents=2, lag=0, sentences=True)
        make_hostile(run, groups=False)
        self.open(run)
        self.unfold()
        self.assertIn(NAME, self.shown())
        self.assertEqual(self.browser.run("return document.querySelectorAll('#report :is(img, script, b)').length"),
                         0)
        self.assertIsNone(self.browser.run("return window.harmed ?? null"))


if __name__ == "__main__":
    unittest.main()
