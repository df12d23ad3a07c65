"""Reads the GGUF files of data/fixtures/models with llama.cpp: same tokens, same logits.

llama.cpp is the format's own reader; it shows that the fixtures' rows, names and rotary settings
mean what Longshadow's tests take them to mean.
"""

import json
import sys
from pathlib import Path

import numpy as np
from llama_cpp import Llama

FIXTURES = Path(__file__).resolve().parents[2] / "data/fixtures/models"
# llama.cpp keeps keys and values in f16 and rounds activations to the weights' type, bf16's 2^-9
# among them: logits of size 10 come out up to 0.1 off. A wrong pairing of rotary rows moves them
# by 3.
TOLERANCE = 0.3


def main():
    text = (FIXTURES / "document.txt").read_bytes()
    failed = False
    for path in sorted(FIXTURES.glob("*.gguf")):
        expected = json.loads(path.with_suffix(".json").read_text())
        llama = Llama(str(path), n_ctx=256, logits_all=True, verbose=False)
        ids = llama.tokenize(text, add_bos=True)[:len(expected["token_ids"])]
        same_ids = ids == expected["token_ids"]
        llama.eval(expected["token_ids"])
        rows = expected["logits_positions"]
        error = np.abs(llama.scores[rows] - np.array(expected["logits"])).max()
        failed |= not same_ids or not error <= TOLERANCE  # of NaN too
        print(f"{path.stem:14} tokens {'equal' if same_ids else 'DIFFER'}, logits off {error:.1e}")
    return failed


if __name__ == "__main__":
    sys.exit(int(main()))
