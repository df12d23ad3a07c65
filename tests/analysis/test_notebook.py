"""Runs notebooks/first_look.ipynb with its one path changed."""

import re
import unittest

import nbformat
from nbclient import NotebookClient
from support import AT_END, ROOT, WithRuns

NOTEBOOK = ROOT / "notebooks" / "first_look.ipynb"
PATH_CELL = re.compile(r'^RUN = ".*"$')


class FirstLook(WithRuns):
    def execute(self, run):
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        path_cells = [cell for cell in notebook.cells if PATH_CELL.match(cell.source)]
        self.assertEqual(len(path_cells), 1)
        path_cells[0].source = f'RUN = "{run}"'
        NotebookClient(notebook, timeout=300,
                       resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
        return [output for cell in notebook.cells if cell.cell_type == "code"
                for output in cell.outputs]

    def test_it_shows_tables_and_figures(self):
        for lag in (16, AT_END):
            outputs = self.execute(self.make_run(lag=lag))
            text = "".join(output.text for output in outputs if output.output_type == "stream")
            images = [output for output in outputs
                      if output.output_type == "display_data" and "image/png" in output.data]
            self.assertIn("document_1: synthetic, context 512", text)
            self.assertIn("top entropy-before", text)
            self.assertEqual(len(images), 2)

    def test_it_is_stored_without_outputs(self):
        for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
            self.assertFalse(cell.get("outputs"))


if __name__ == "__main__":
    unittest.main()
