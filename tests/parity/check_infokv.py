"""Chooses again, in numpy and from a run file's own signals, what InfoKV keeps of a context.

    longshadow retain --document a.txt --context 2048 --future 64 --policies infokv,snapkv \\
        --budgets 0.4,0.2,0.1 -o kept.h5
    python3 tests/parity/check_infokv.py kept.h5

For every document and budget: the slots that the program kept although the twin scores an evicted
slot of the same head higher by more than TIE, and what share of its slots SnapKV keeps too where the
file has it. Exits 1 where there is such a slot. It knows InfoKV with its standard options.
"""

import sys

import h5py
import numpy as np

ALPHA, TAU = 0.9, 1.0
SINKS, WINDOW, KERNEL = 4, 64, 5
# The signals are f32, attention at most 1 and entropies of some nats: a score of the twin is off by
# less than 1e-6, whichever of two that are nearer to each other is kept.
TIE = 1e-6


def pooled(attention):
    """[..., n] averaged over KERNEL neighbours; one outside counts as zero."""
    padded = np.pad(attention, [(0, 0)] * (attention.ndim - 1) + [(KERNEL // 2,) * 2])
    return sum(padded[..., k:k + attention.shape[-1]] for k in range(KERNEL)) / KERNEL


def softmax(x):
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def scores(document):
    """[L, K, n] of the n tokens that are neither sink nor window."""
    context = int(document.attrs["context_tokens"])
    free = slice(SINKS, context - WINDOW)
    signals = document["signals"]
    attention = signals["attention_window"][:, :, :context - WINDOW].astype("f8")
    entropy = signals["entropy_topk"][:context].astype("f8")
    before = np.concatenate([[0.0], entropy[:-1]])
    # The file has the drift of each layer's input. A layer's output is the next one's input, and the
    # last layer's is what all are compared with.
    inputs = signals["drift"][:, :context].astype("f8")
    drift = np.concatenate([inputs[1:], np.zeros((1, context))])
    uncertainty = softmax(((drift + TAU) * before)[:, free])
    return ALPHA * pooled(attention)[:, :, free] + (1 - ALPHA) * uncertainty[:, None, :]


def contradictions(document, kept):
    """How many slots of a kept mask [L, K, T] the twin would not have kept, ties apart."""
    context = kept.shape[-1]
    protected = kept[:, :, np.r_[0:SINKS, context - WINDOW:context]]
    chosen = kept[:, :, SINKS:context - WINDOW]
    twin = scores(document)
    best_evicted = np.where(chosen, -np.inf, twin).max(axis=-1, keepdims=True)
    return int((chosen & (twin < best_evicted - TIE)).sum() + (~protected).sum())


def overlap(one, other):
    """The mean over layers and heads of what share of `one` is in `other`."""
    return float(((one & other).sum(axis=-1) / one.sum(axis=-1)).mean())


def check(path):
    """Rows (document, budget, slots kept per head, contradictions, overlap with SnapKV or None)."""
    rows = []
    with h5py.File(path) as file:
        for name, document in file["documents"].items():
            for group in document["retention"].values():
                if group.attrs.get("policy") != "infokv":
                    continue
                budget = group.attrs["budget"]
                kept = group["kept"][:].astype(bool)
                snapkv = document.get(f"retention/snapkv@{budget}/kept")
                rows.append((name, budget, kept.sum(axis=-1).max(), contradictions(document, kept),
                             None if snapkv is None else overlap(kept, snapkv[:].astype(bool))))
    return rows


def main():
    rows = check(sys.argv[1])
    for name, budget, slots, wrong, shared in rows:
        with_snapkv = "" if shared is None else f", {shared:.3f} of them SnapKV's"
        print(f"{name} at {budget}: {slots} slots a head{with_snapkv}; contradicted: {wrong}")
    return int(not rows or any(row[3] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
