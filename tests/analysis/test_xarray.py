"""Run files as xarray opens them: every array with its dimensions and coordinates."""

import os
import subprocess
import unittest

import h5py
import numpy as np
import xarray
from support import ROOT, WithRuns

PROGRAM = os.environ["LONGSHADOW"]
MODELS = ROOT / "data/fixtures/models"

# Of each group of a document the arrays that are no coordinates, with their dimensions.
TOKENS = {"id": ("position",), "text": ("position",), "bytes": ("position", "begin_end"),
          "upos": ("position",), "word": ("position",),
          "sentence": ("position",)}
SIGNALS = {name: ("position",) for name in ("entropy", "entropy_topk", "surprisal")} | {
    "drift": ("layer", "position"), "attention_window": ("layer", "kv_head", "position"),
    "attention_cumulative": ("layer", "kv_head", "position")}
INFLUENCE = {"subject": ("label", "begin_end"), "group": ("label",), "start": ("label",),
             "kl": ("label", "offset"), "noise_floor": ("offset",)}
SKETCH = {"bins": ("bin", "begin_end"), "fi": ("bin", "position"),
          "standard_error": ("bin", "position")}
BY_LAYER = {"fi_layer": ("bin", "layer", "position")}
BY_HEAD = {"fi_head": ("bin", "layer", "kv_head", "position")}
PROJECTIONS = {"g": ("bin", "probe", "layer", "kv_head", "position")}
RETENTION = {"kept": ("layer", "kv_head", "position"), "kl": ("offset",), "top1": ("offset",),
             "surprisal": ("offset",)}


class OpenedByXarray(WithRuns):
    def assert_labelled(self, path, groups):
        """Groups by their names below the document -> its arrays; the first document's are looked at."""
        with xarray.open_datatree(path, engine="h5netcdf") as tree, h5py.File(path) as file:
            name, document = next(iter(tree["documents"].children.items()))
            for group, arrays in groups.items():
                data = document[group].to_dataset()
                self.assertEqual({one: data[one].dims for one in data.data_vars}, arrays, group)
                for dimension in data.dims:
                    self.assertIn(dimension, data.coords, group)
                for one in data.data_vars:
                    stored = file[f"documents/{name}/{group}/{one}"]
                    values = stored.asstr()[:] if stored.dtype.kind == "S" else stored[()]
                    np.testing.assert_array_equal(data[one].values, values, one)
            self.assertEqual(list(document["tokens"].coords["begin_end"].values), ["begin", "end"])
            self.assertEqual(tree["model"].attrs["n_layers"], file["model"].attrs["n_layers"])

    def measured(self, command, *more):
        path = self.folder / f"{len(list(self.folder.iterdir()))}.h5"
        subprocess.run([PROGRAM, command, "--model", MODELS / "llama_plain.gguf", "--document",
                        MODELS / "document.txt", "--context", "48", "--future", "16",
                        "--progress", "none", *more, "-o", path], check=True)
        return path

    def test_probes_of_spans_and_of_sets(self):
        whole = {"tokens": TOKENS, "signals": SIGNALS, "influence": INFLUENCE}
        self.assert_labelled(self.measured("probe", "--subjects", "list:3,7-9"), whole)
        sets = self.measured("probe", "--subjects", "set:3,7-9", "--layers", "1", "--heads", "0")
        self.assert_labelled(sets, whole)
        with xarray.open_datatree(sets, engine="h5netcdf") as tree:
            influence = tree["documents/document.txt/influence"]
            self.assertEqual(list(influence.coords["removed"].values), [3, 7, 8, 9])
            self.assertEqual(list(influence.coords["removed_offset"].values), [0, 4])

    def test_sentences_and_the_matrix_of_them(self):
        whole = {"tokens": TOKENS, "signals": SIGNALS,
                 "influence": INFLUENCE | {"by_sentence": ("label", "sentence")}}
        run = self.measured("probe", "--subjects", "sentence:all")
        self.assert_labelled(run, whole)
        with xarray.open_datatree(run, engine="h5netcdf") as tree:
            document = tree["documents/document.txt"]
            self.assertEqual(list(document["influence"].coords["sentence"].values),
                             sorted(set(document["tokens/sentence"].values)))

    def test_sketches_and_a_screen(self):
        whole = {"tokens": TOKENS, "signals": SIGNALS}
        for arrays, *detail in (({}, "token"), (BY_LAYER, "layer"), (BY_HEAD, "head"),
                                (BY_HEAD | PROJECTIONS, "head", "--projections")):
            sketch = self.measured("probe", "--method", "sketch", "--pos", "none", "--detail", *detail)
            tokens = {one: TOKENS[one] for one in ("id", "text", "bytes")}
            self.assert_labelled(sketch, whole | {"tokens": tokens, "sketch": SKETCH | arrays})
        screen = self.measured("probe", "--method", "screen", "--control", "9")
        self.assert_labelled(screen, whole | {"sketch": SKETCH, "influence": INFLUENCE})

    def test_what_policies_keep(self):
        run = self.measured("retain", "--policies", "random,streaming-llm", "--budgets", "0.5")
        self.assert_labelled(run, {"tokens": TOKENS, "signals": SIGNALS,
                                   "retention/random@0.5": RETENTION,
                                   "retention/streaming-llm@0.5": RETENTION})

    def test_a_merged_run(self):
        directory = self.folder / "parts"
        subprocess.run([PROGRAM, "probe", "--model", MODELS / "llama_plain.gguf", "--document",
                        MODELS / "document.txt", "--context", "48", "--future", "16", "--subjects",
                        "sample:5", "--progress", "none", "-o", f"{directory}/"], check=True)
        run = self.folder / "merged.h5"
        subprocess.run([PROGRAM, "merge", directory, "-o", run], check=True)
        self.assert_labelled(run, {"tokens": TOKENS, "signals": SIGNALS, "influence": INFLUENCE})

    def test_tokens_of_one_byte_each(self):
        """xarray takes strings of one byte for the characters of one string."""
        path = self.make_run(sketch=True)
        with h5py.File(path) as file:
            self.assertGreater(file["documents/document_1/influence/group"].dtype.itemsize, 1)
        letters = self.folder / "letters.txt"
        letters.write_text("a." * 60)
        run = self.folder / "letters.h5"
        subprocess.run([PROGRAM, "probe", "--model", MODELS / "llama_plain.gguf", "--document",
                        letters, "--context", "48", "--future", "16", "--subjects", "list:3",
                        "--pos", "none", "--progress", "none", "-o", run], check=True)
        tokens = {one: TOKENS[one] for one in ("id", "text", "bytes")}
        self.assert_labelled(run, {"tokens": tokens, "influence": INFLUENCE})


if __name__ == "__main__":
    unittest.main()
