"""Runs the notebooks, each with its one path changed."""

import re
import unittest

import nbformat
from nbclient import NotebookClient
from support import AT_END, ROOT, WithRuns, add_retention

NOTEBOOKS = ROOT / "notebooks"
PATH_CELL = re.compile(r'^RUN = ".*"$')


class Notebooks(WithRuns):
    def execute(self, name, run):
        """What the notebook prints, and how many pictures it shows."""
        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        path_cells = [cell for cell in notebook.cells if PATH_CELL.match(cell.source)]
        self.assertEqual(len(path_cells), 1)
        path_cells[0].source = f'RUN = "{run}"'
        NotebookClient(notebook, timeout=300,
                       resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
        outputs = [output for cell in notebook.cells if cell.cell_type == "code"
                   for output in cell.outputs]
        text = "".join(output.text for output in outputs if output.output_type == "stream")
        return text, sum(output.output_type == "display_data" and "image/png" in output.data
                         for output in outputs)

    def test_a_first_look_shows_tables_and_figures(self):
        for lag in (16, AT_END):
            text, images = self.execute("first_look", self.make_run(lag=lag))
            self.assertIn("document_1: synthetic, context 512", text)
            self.assertIn("top entropy-before", text)
            self.assertEqual(images, 2)

    def test_influence_and_distance_of_one_document(self):
        text, images = self.execute("influence_and_distance", self.make_run())
        self.assertIn("distance 17-31", text)
        # The made-up law: KL falls as distance^-1.2; its noise moves the slope of 48 medians.
        slope = float(re.search(r"all but sinks +(-\d\.\d+)", text).group(1))
        self.assertAlmostEqual(slope, -1.2, delta=0.2)
        self.assertIn("content words", text)
        self.assertEqual(images, 3)

    def test_influence_and_distance_of_several(self):
        text, images = self.execute("influence_and_distance", self.make_run(documents=5, lag=AT_END))
        self.assertIn("5 documents: synthetic", text)
        self.assertIn("over 5 documents", text)
        self.assertEqual(images, 3)

    def test_which_heads_the_cache_is_for(self):
        run = self.make_run(documents=2, sketch=True)  # the second by head
        add_retention(run)
        text, images = self.execute("head_budgets", run)
        self.assertIn("1 documents with influence by head, 4 policies at budgets", text)
        self.assertRegex(text, r"half of the influence lies in \d+ of \d+ heads")
        self.assertRegex(text, r"budget 0.2  nouns +KL \d\.\d\de-\d\d nats")
        self.assertEqual(images, 2)

    def test_what_policies_keep(self):
        run = self.make_run(documents=5)
        add_retention(run)
        text, images = self.execute("what_policies_keep", run)
        self.assertIn("5 documents, synthetic: nouns@0.2", text)
        self.assertIn("budget 0.2: by chance 0.11", text)
        content, function = map(float, re.search(
            r"nouns@0.4 +content ([\d.]+)%, function ([\d.]+)%", text).groups())
        self.assertGreater(content, function + 5)
        self.assertEqual(images, 2)

    def test_they_are_stored_without_outputs(self):
        for path in NOTEBOOKS.glob("*.ipynb"):
            for cell in nbformat.read(path, as_version=4).cells:
                self.assertFalse(cell.get("outputs"), path)


if __name__ == "__main__":
    unittest.main()
