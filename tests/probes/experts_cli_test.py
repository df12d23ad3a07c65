"""Models with experts through the program, whose run files h5py reads.

    build/venv/bin/python3 tests/probes/experts_cli_test.py build/longshadow
"""

import json
import shutil
import sys
import unittest
from pathlib import Path

import cli_test
import h5py
import numpy as np
from cli_test import DONE, CommandLine, longshadow

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "data/fixtures/models"
sys.path.insert(0, str(ROOT / "analysis"))
import run_directory  # noqa: E402


class Experts(CommandLine):
    def probe(self, model, *more, output):
        expected = json.loads((MODELS / f"{model.removesuffix('.gguf')}.json").read_text())
        subjects = ",".join(map(str, expected["subjects"]))
        result = longshadow("probe", "--model", MODELS / model, "--document", MODELS / "document.txt",
                            "--context", expected["context"], "--future", expected["future"],
                            "--evict-at", "end", "--subjects", f"list:{subjects}", "--pos", "none",
                            "--precision", "f64", "--progress", "none", "-o", output, *more)
        self.assertEqual(result.returncode, DONE, result.stderr)
        return expected["rerouted"]

    def test_a_run_file_says_what_share_of_positions_went_to_other_experts(self):
        for model in ("mixtral.gguf", "qwen3_moe_mixed"):
            for method in ("direct", "differential"):
                output = self.folder / f"{model}-{method}.h5"
                expected = self.probe(model, "--method", method, output=output)
                with h5py.File(output) as file:
                    influence, = (document["influence"] for document in file["documents"].values())
                    rerouted = influence["rerouted"]
                    self.assertEqual(rerouted.dtype, np.float32)
                    self.assertEqual([one.label for one in rerouted.dims], ["subject", "layer"])
                    self.assertEqual(rerouted.dims[1][0], influence["layer"])
                    np.testing.assert_array_equal(rerouted, np.float32(expected))
                    self.assertEqual(influence["kl"].shape, (len(expected), 32))
        self.assertEqual(longshadow("analyze", output).returncode, DONE)
        self.assertEqual(longshadow("inspect", output, "-o", self.folder / "page.html").returncode, DONE)

    def test_shards_have_the_bytes_of_one_run(self):
        whole, merged = self.folder / "whole.h5", self.folder / "merged.h5"
        expected = self.probe("mixtral", output=whole)
        parts = self.folder / "parts"
        self.probe("mixtral", output=f"{parts}/")
        self.assertEqual(longshadow("merge", parts, "-o", merged).returncode, DONE)
        self.assertEqual(merged.read_bytes(), whole.read_bytes())
        with run_directory.opened(parts) as file:
            influence, = (document["influence"] for document in file["documents"].values())
            np.testing.assert_array_equal(influence["rerouted"], np.float32(expected))

    def test_info_counts_the_parameters_that_a_token_uses(self):
        lines = longshadow("info", MODELS / "qwen3_moe_mixed").stdout.splitlines()
        said = {line[:18].strip(): line[18:].strip() for line in lines}
        self.assertEqual(said["experts"], "2 of 6 for each token, in 1 of 4 layers")
        self.assertEqual(said["expert size"], "24")
        # Four experts of six are idle: three matrices of 24 by 32 each.
        self.assertEqual(int(said["parameters"]) - int(said["active parameters"]), 4 * 3 * 24 * 32)

    def test_experts_of_a_config_alone_are_planned(self):
        shutil.copy(MODELS / "mixtral/config.json", self.folder)
        plan = longshadow("plan", "-m", self.folder / "config.json", "-T", 48, "-H", 16)
        self.assertEqual(plan.returncode, DONE, plan.stderr)
        self.assertIn("experts' tiles", plan.stdout)


if __name__ == "__main__":
    cli_test.PROGRAM = sys.argv.pop(1)
    unittest.main()
