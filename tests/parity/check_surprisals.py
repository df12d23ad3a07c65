"""Holds the surprisals of a real model's text to transformers, which dequantises the same GGUF file.

    python3 tests/parity/check_surprisals.py build/longshadow MODEL.gguf TEXT [TEXT ...]

With the packages of requirements.txt, and memory for the model in float64: Longshadow runs in f64 and in f32, and
transformers in float64, but for its cosines and sines. A surprisal may be off by TOLERANCE of itself in f64. In f32,
where a probability near 1 leaves a surprisal few digits, the mean over the text may be.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch
from transformers import AutoModelForCausalLM

TOKENS = 1024
TOLERANCE = 1e-4


def measured(program, model, text, precision, output):
    """Ids [TOKENS] and surprisals [TOKENS - 1], nats, of the text's first tokens."""
    subprocess.run([program, "probe", "--model", model, "--document", text, "-o", output, "--precision", precision,
                    "--context", str(TOKENS - 8), "--future", "8", "--subjects", "list:3", "--evict-at", "end",
                    "--method", "direct", "--pos", "none"], check=True)
    with h5py.File(output) as file:
        document = next(iter(file["documents"].values()))
        return document["tokens/id"][:TOKENS], document["signals/surprisal"][1:TOKENS].astype(float)


def expected(model, ids):
    with torch.no_grad():
        logits = model(torch.from_numpy(ids.astype(np.int64))[None]).logits[0].double()
    return -torch.log_softmax(logits, -1)[range(len(ids) - 1), ids[1:].tolist()].numpy()


def main(program, path, *texts):
    path = Path(path).resolve()
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float64,
                                                 attn_implementation="eager")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for text in texts:
            for precision in ("f64", "f32"):
                ids, found = measured(program, path, text, precision, Path(folder) / f"{Path(text).stem}-{precision}.h5")
                right = expected(model, ids)
                relative = np.abs(found / right - 1)
                mean = abs(found.mean() / right.mean() - 1)
                failed |= (relative.max() if precision == "f64" else mean) > TOLERANCE
                print(f"{Path(text).stem:20} {precision}  mean {found.mean():.4f} nats, off {mean:.1e}; largest "
                      f"{relative.max():.1e} of itself, {np.mean(relative <= TOLERANCE):.1%} within {TOLERANCE:g}")
    sys.exit(int(failed))


if __name__ == "__main__":
    main(*sys.argv[1:])
