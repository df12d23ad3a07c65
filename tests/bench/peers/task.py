"""What every peer is asked to do, and the divergence that all of them use.

One task: read T context tokens, then for each subject remove that one token's keys and values and
run the H future tokens again, and report KL(full || evicted) at each. A peer runs alone:

    python3 tests/bench/peers/transformers_loop.py --model M.gguf --tokens ids.npy \\
        --subjects 0,512,1024 --output result     # writes result.json and result.npy (KL [S, H])
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch


def arguments(description, **extra):
    """The command line of a peer; `extra` adds options as name=(type, default, help)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, required=True, help="GGUF file")
    parser.add_argument("--tokens", type=Path, required=True, help="token ids, .npy")
    parser.add_argument("--context", type=int, default=2048, help="T")
    parser.add_argument("--future", type=int, default=512, help="H")
    parser.add_argument("--subjects", type=lambda s: [int(i) for i in s.split(",")], required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="PyTorch's: cpu or cuda")
    parser.add_argument("--output", type=Path, required=True, help="path without its ending")
    for name, (kind, default, text) in extra.items():
        parser.add_argument(f"--{name}", type=kind, default=default, help=text)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.ids = np.load(options.tokens)[:options.context + options.future].astype(np.int64)
    return options


def clock(function, *args):
    """(seconds, result)"""
    begin = time.perf_counter()
    result = function(*args)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin, result


class Divergence:
    """KL(full || evicted) in nats at each row, in the form that does not cancel.

    With d = evicted logits - full logits less its mean under p, KL = log1p(E_p[expm1(d) - d]).
    Rows go a few at a time so that the vocabulary's temporaries stay in the processor's cache; on a
    GPU, where starting work is what takes time, all at once.
    """

    def __init__(self, full_logits):
        self.logits = full_logits  # [H, V] f32
        self.probabilities = torch.softmax(full_logits, dim=-1)
        self.rows_at_once = 16 if full_logits.device.type == "cpu" else len(full_logits)

    def __call__(self, evicted_logits):
        kl = torch.empty(len(self.logits), dtype=torch.float64)
        for row in range(0, len(kl), self.rows_at_once):
            rows = slice(row, row + self.rows_at_once)
            p = self.probabilities[rows]
            d = evicted_logits[rows] - self.logits[rows]
            d -= (p * d).sum(-1, keepdim=True)
            kl[rows] = torch.log1p((torch.expm1(d).sub_(d).mul_(p)).sum(-1))
        return kl.numpy()


def measure(options, prefill_seconds, evict, batch=1):
    """Times `evict` (subjects -> KL rows [B, H]), divergence included, and writes the results."""
    evict(options.subjects[:batch])  # the first call pays for allocations; it is not counted
    seconds, kl = [], []
    for first in range(0, len(options.subjects), batch):
        subjects = options.subjects[first:first + batch]
        spent, rows = clock(evict, subjects)
        seconds += [spent / len(subjects)] * len(subjects)
        kl += rows
    np.save(options.output.with_suffix(".npy"), np.array(kl))
    options.output.with_suffix(".json").write_text(json.dumps({
        "prefill_tokens_per_second": options.context / prefill_seconds,
        "evictions_per_second": len(seconds) / sum(seconds),
        "subject_seconds": seconds,
    }, indent=1) + "\n")
