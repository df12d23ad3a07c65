"""Holds data/FORMAT.md to a run file that the writer wrote."""

import csv
import os
import re
import subprocess
import sys
import unittest

import h5py
from support import ROOT, WithRuns

POLICY = "POLICY@BUDGET"  # as the page calls the group of any policy
OF_SOME_MODELS = {"influence/rerouted"}  # of models with experts: experts_cli_test.py looks at it
PAGE = (ROOT / "data" / "FORMAT.md").read_text()


class TheFormatPage(WithRuns):
    def test_its_lines_of_python_run(self):
        snippet = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL).group(1)
        os.rename(self.make_run(), self.folder / "run.h5")
        output = subprocess.run([sys.executable, "-c", snippet], cwd=self.folder, check=True,
                                capture_output=True, text=True).stdout
        self.assertEqual(len(snippet.strip().splitlines()), 3)
        self.assertIn(" w0", output)
        self.assertIn("e-05", output)

    def test_it_lists_exactly_what_a_file_holds(self):
        written = set()

        def note(name, item):
            if isinstance(item, h5py.Dataset):
                written.add(re.sub(r"[^/]+@[^/]+", POLICY, name))

        with h5py.File(self.make_run(documents=2, sets=3, sketch=True, retention=True,
                                     sentences=True)) as file:
            for document in file["documents"].values():
                document.visititems(note)
        listed = set(re.findall(r"`((?:tokens|signals|influence|sketch|retention)/"
                                rf"(?:{POLICY}/)?\w+)`", PAGE))
        self.assertEqual(written | OF_SOME_MODELS, listed)

    def test_it_names_every_attribute(self):
        attributes = set()
        with h5py.File(self.make_run(sketch=True, retention=True)) as file:
            objects = [file, file["model"], file["documents/document_1"],
                       file["documents/document_1/influence"],
                       file["documents/document_1/sketch"],
                       file["documents/document_1/retention/snapkv@0.4"]]
            for thing in objects:
                attributes |= set(thing.attrs)
        for attribute in attributes:
            self.assertIn(f"`{attribute}`", PAGE)

    def test_types_units_and_dimensions_are_as_it_says(self):
        with h5py.File(self.make_run(documents=2, sets=3, sketch=True, retention=True,
                                     sentences=True)) as file:
            document = file["documents/document_1"]
            kl = document["influence/kl"]
            self.assertEqual(kl.attrs["units"], "nats")
            self.assertEqual(kl.dims[0].label, "subject")
            self.assertEqual(kl.dims[1][0], document["influence/offset"])
            self.assertEqual([d.label for d in document["signals/drift"].dims], ["layer", "token"])
            rows = [row for row in re.findall(r"^\| `([\w/@]+)` \| (u?int\d+|float\d+) \[", PAGE, re.MULTILINE)
                    if row[0] not in OF_SOME_MODELS | {"model/windows"}]
            self.assertGreater(len(rows), 10)
            sketch = document["sketch/fi"]
            self.assertEqual(sketch.attrs["units"], "nats")
            self.assertEqual([d.label for d in sketch.dims], ["bin", "token"])
            kept = document["retention/adakv+snapkv@0.2/kept"]
            self.assertEqual([d.label for d in kept.dims], ["layer", "kv_head", "token"])
            for name, dtype in rows:
                name = name.replace(POLICY, "snapkv@0.4")
                if name in ("sketch/fi_head", "sketch/g", "sketch/probe"):
                    document = file["documents/document_2"]
                self.assertEqual(document[name].dtype, dtype, name)
                self.assertTrue(document[name].fletcher32, name)

    def test_it_names_the_tables_and_columns_of_the_csv(self):
        section = PAGE[PAGE.index("## What `longshadow analyze --csv` writes"):]
        columns = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)))
        listed = re.search(r"^\| `table` \| (.*) \|$", section, re.MULTILINE).group(1)
        tables = set()
        for n, options in enumerate(({"lag": -1, "sets": 3, "sketch": True, "retention": True},
                                     {"lag": 0, "sentences": True})):
            written = self.folder / f"{n}.csv"
            subprocess.run([os.environ["LONGSHADOW"], "analyze", self.make_run(**options), "--csv", written],
                           check=True, capture_output=True)
            with open(written, newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            self.assertEqual(list(rows[0]), columns)
            self.assertEqual({row["unit"] for row in rows}, {"", "nats"})
            tables |= {row["table"] for row in rows}
        self.assertEqual(len(tables), 13)
        for table in tables:
            self.assertIn(f"`{table}`", listed)

    def test_removed_tokens_are_where_it_says(self):
        with h5py.File(self.make_run(sets=2)) as file:
            influence = file["documents/document_1/influence"]
            removed, offset = influence["removed"][:], influence["removed_offset"][:]
            for s, (begin, end) in enumerate(influence["subject"][:]):
                tokens = removed[offset[s]:offset[s + 1]]
                self.assertEqual((tokens[0], tokens[-1]), (begin, end - 1))
                self.assertEqual(list(tokens), sorted(set(tokens)))
            self.assertLess(len(tokens), end - begin)  # the last is a set

    def test_distance_is_as_it_says(self):
        with h5py.File(self.make_run(lag=16)) as file:
            influence = file["documents/document_1/influence"]
            distance = influence["start"][:] - (influence["subject"][:, 1] - 1)
            self.assertEqual(set(distance), {17})  # lag:W leaves W tokens between


if __name__ == "__main__":
    unittest.main()
