"""Head budgets through the real program: learnt, kept by and written by, held to a numpy twin."""

import json
import os
import re
import subprocess
import sys
import unittest

import h5py

from support import ROOT, WithRuns

sys.path.insert(0, str(ROOT / "tests" / "parity"))

import check_budgets  # noqa: E402

MODELS = ROOT / "data/fixtures/models"
DOCUMENT = ROOT / "data/documents/how_a_cache_forgets.txt"
LENGTHS = ("--context", "96", "--future", "16")
CUDA = "cuda" if os.environ["LONGSHADOW_WITH_CUDA"] == os.environ["LONGSHADOW"] else "cuda-host"


class HeadBudgets(WithRuns):
    def setUp(self):
        super().setUp()
        text = DOCUMENT.read_text()
        self.documents = [self.folder / "a.txt", self.folder / "b.txt"]
        self.documents[0].write_text(text[:1500])
        self.documents[1].write_text(text[1500:3000])

    def run_program(self, *words, status=0, program="LONGSHADOW"):
        result = subprocess.run([os.environ[program], *map(str, words)], capture_output=True,
                                text=True, env={**os.environ, "XDG_CACHE_HOME": str(self.folder)})
        self.assertEqual(result.returncode, status, result.stderr)
        return result

    def refused(self, *words, status=2):
        error = self.run_program(*words, status=status).stderr
        self.assertEqual(error.count("\n"), 1, error)
        return error

    def sketch(self, name, *more, model="llama_llama3"):
        output = self.folder / name
        self.run_program("probe", "--model", MODELS / model, "--document", *self.documents, "-o",
                         output, *LENGTHS, "--method", "sketch", "--progress", "none", *more)
        return output

    def retain(self, name, policies, *more, model="llama_llama3", budgets="0.5,0.2,0.1", **which):
        output = self.folder / name
        self.run_program("retain", "--model", MODELS / model, "--document", DOCUMENT, "-o", output,
                         *LENGTHS, "--policies", policies, "--budgets", budgets, "--sinks", "4",
                         "--progress", "none", *more, **which)
        return output

    def test_learnt_and_kept_as_the_twin_does(self):
        for model in ("llama_llama3", "qwen2"):
            with self.subTest(model):
                by_head = self.sketch(f"{model}.h5", "--detail", "head", model=model)
                path = self.folder / f"{model}.json"
                self.run_program("learn", "budgets", by_head, "--model", MODELS / model, "-o", path)
                table = json.loads(path.read_text())
                kept = self.retain(f"{model}_kept.h5", f"budgets:{path}/h2o", model=model)
                with h5py.File(by_head) as runs, h5py.File(kept) as file:
                    documents = list(runs["documents"].values())
                    # Shares have six digits: of 96 tokens to a ten-thousandth of a slot.
                    self.assertLess(check_budgets.check_learnt(table, documents), 1e-4)
                    document = next(iter(file["documents"].values()))
                    rows = check_budgets.check_kept(table, document)
                    self.assertEqual(rows, [("0.1", 0, 0, 0), ("0.2", 0, 0, 0), ("0.5", 0, 0, 0)])
                    group = document[f"retention/budgets:{str(path).replace('/', '+')}+h2o@0.2"]
                    freed = 1 - group.attrs["bytes_kept"] / group.attrs["bytes_full"]
                    self.assertEqual(freed, 1 - 19 / 96)
                    by_layer = group["kept"][:].sum(-1)
                    self.assertNotEqual(by_layer.min(), by_layer.max())
                    slots = check_budgets.slots_at(table, 96, 19)  # another choice is found out
                    slots[0, 0] += 1
                    self.assertEqual(abs(by_layer - slots).max(), 1)

    def test_the_models_own_file_is_found(self):
        error = self.refused("retain", "--model", MODELS / "llama_llama3", "--document", DOCUMENT,
                             "-o", self.folder / "kept.h5", *LENGTHS, "--policies", "budgets/h2o")
        self.assertRegex(error, "found no such file; make it in two minutes: longshadow probe --method "
                                "sketch --detail head .* learn budgets by_head.h5 --ranking h2o")
        by_head = self.sketch("by_head.h5", "--detail", "head")
        result = self.run_program("learn", "budgets", by_head, "--model", MODELS / "llama_llama3")
        path = result.stdout.strip()
        self.assertRegex(path, re.escape(str(self.folder)) + r"/longshadow/[0-9a-f]{16}/budgets-h2o.json$")
        self.assertIn("the name is taken", self.refused("learn", "budgets", by_head, "--model",
                                             MODELS / "llama_llama3", status=1))
        cuts = self.retain("kept.h5", "budgets/h2o,h2o")
        as_cuda = self.retain("host.h5", "budgets/h2o,h2o", "--device", CUDA,
                              program="LONGSHADOW_WITH_CUDA")
        with h5py.File(cuts) as one, h5py.File(as_cuda) as other:
            for run in (one, other):
                configuration = json.loads(run.attrs["configuration"])
                self.assertEqual(len(configuration["policy_files"]), 1)
            retention = "documents/how_a_cache_forgets.txt/retention/budgets+h2o@0.2/kept"
            self.assertTrue((one[retention][:] == other[retention][:]).all())

    def test_text_is_written_on_what_budgets_leave(self):
        model = ("--model", MODELS / "llama_llama3")
        by_head = self.sketch("by_head.h5", "--detail", "head")
        self.run_program("learn", "budgets", by_head, *model, "--ranking", "knorm")
        written = self.run_program("generate", *model, "--document", DOCUMENT, "--context", "96", "-n",
                                   "40", "--policy", "budgets/knorm", "--budget", "0.25", "--every",
                                   "16", "--target-share", "0.25").stderr
        kept, full = map(float, re.search(r"cache: ([\d.]+) MB of the prompt's ([\d.]+) MB", written).groups())
        self.assertAlmostEqual(kept, full / 4, delta=0.006)  # written to hundredths
        tokens, slots = re.search(r"the last at (\d+) tokens from [\d.]+ to ([\d.]+) slots", written).groups()
        self.assertIn(int(tokens), (112, 128))
        self.assertEqual(float(slots), int(tokens) / 4)  # in the mean of the heads

    def test_what_cannot_be_learnt_from_is_refused(self):
        model = ("--model", MODELS / "llama_llama3")
        by_token = self.sketch("by_token.h5")
        by_head = self.sketch("by_head.h5", "--detail", "head")
        file = ("-o", self.folder / "budgets.json")
        self.assertIn("by layer and KV head, found none; `longshadow probe --method sketch --detail head`",
                      self.refused("learn", "budgets", by_token, *model, *file))
        self.assertIn("expected a run of the same model",
                      self.refused("learn", "budgets", by_head, "--model", MODELS / "qwen2", *file))
        self.assertIn("there twice", self.refused("learn", "budgets", by_head, by_head, *model, *file))
        self.assertIn("expected a policy that does not",
                      self.refused("learn", "budgets", by_head, *model, *file, "--ranking", "oracle"))
        self.assertIn("did you mean h2o",
                      self.refused("learn", "budgets", by_head, *model, *file, "--ranking", "h20"))
        self.assertIn("expected budgets", self.refused("learn"))
        self.run_program("learn", "budgets", by_head, *model, *file)
        table = json.loads(file[1].read_text())
        self.assertIn("those of another", self.refused(
            "retain", "--model", MODELS / "qwen2", "--document", DOCUMENT, "-o", self.folder / "kept.h5",
            *LENGTHS, "--policies", f"budgets:{file[1]}/h2o", status=1))
        self.assertIn("4 slots in the mean", self.refused(
            "retain", *model, "--document", DOCUMENT, "-o", self.folder / "kept.h5", *LENGTHS,
            "--policies", f"budgets:{file[1]}/h2o", "--budgets", "0.05", "--sinks", "8").replace(
                "the budget is 4 of 96 slots in the mean", "4 slots in the mean"))
        self.assertEqual(table["learned"]["sinks"], 4)


if __name__ == "__main__":
    unittest.main()
