"""What the Python tests of this folder share: the checkout, its programs, and made-up runs.

The programs come from the environment (tests/analysis/CMakeLists.txt sets it):
LONGSHADOW, the command line; LONGSHADOW_WITH_CUDA, the same or one whose kernels run on the processor;
and MAKE_SYNTHETIC_RUN (tests/support/make_synthetic_run.cc).
"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "analysis"))

AT_END = -1  # as a lag


class WithRuns(unittest.TestCase):
    """Tests in a folder of their own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def make_run(self, documents=1, subjects=48, lag=16, sets=0, sketch=False, retention=False,
                 sentences=False):
        """With a sketch, its maps by layer in the first document and by head in the second; no
        subjects: a sketch or a retention alone; with sentences, these are the subjects."""
        parts = [name for name, wanted in (("sketch", sketch), ("retention", retention),
                                           ("sentences", sentences)) if wanted]
        path = self.folder / f"run-{documents}-{subjects}-{lag}-{sets}-{'-'.join(parts)}.h5"
        subprocess.run([os.environ["MAKE_SYNTHETIC_RUN"], path, str(documents), str(subjects),
                        str(lag), str(sets), *parts], check=True)
        return path


def add_retention(run, seed=1):
    """Gives every document of a made-up run what two policies keep at two budgets: "nouns" keeps NOUN
    twice as often as others, "random" anything."""
    random = np.random.default_rng(seed)
    with h5py.File(run, "r+") as file:
        for document in file["documents"].values():
            context, future = (document.attrs[name] for name in ("context_tokens", "future_tokens"))
            layers, heads = document["signals/attention_window"].shape[:2]
            tags = h5py.check_enum_dtype(document["tokens/upos"].dtype)
            is_noun = document["tokens/upos"][:context] == tags["NOUN"]
            for policy in ("nouns", "random"):
                for budget in ("0.4", "0.2"):
                    weight = np.where(is_noun & (policy == "nouns"), 2.0, 1.0)
                    chance = float(budget) * weight / weight.mean()
                    group = document.create_group(f"retention/{policy}@{budget}")
                    group["kept"] = (random.random((layers, heads, context)) < chance).astype("u1")
                    group["kl"] = random.random(future) * (1 - float(budget))
                    group["top1"] = np.ones(future, dtype="u1")
                    group["surprisal"] = random.random(future).astype("f4")
                    group.attrs.update(policy=policy, budget=budget, kv_bits=32, seed=seed,
                                       bytes_kept=int(1000 * float(budget)), bytes_full=1000)
