"""Learns head budgets again, and keeps by them again, in numpy and from run files alone.

    longshadow probe --method sketch --detail head --document a.txt b.txt -o by_head.h5
    longshadow learn budgets by_head.h5 --ranking h2o -o budgets.json
    longshadow retain --document c.txt --policies budgets:budgets.json/h2o --sinks 4 -o kept.h5
    python3 tests/parity/check_budgets.py budgets.json kept.h5 by_head.h5

Says by how many slots a head the budgets differ, and for every cache how many slots a head has too
many or too few, how many are kept although an evicted one of the same head has a higher score by more
than TIE, and whether all are the budget's. Exits 1 where any is wrong. It knows H2O's ranking.
"""

import json
import sys

import h5py
import numpy as np

SINKS = 4
# Scores are in run files as f32, to 6e-8 of their value; of two nearer than this either may be kept.
TIE = 1e-7


def not_rising(values):
    """Pool adjacent violators."""
    blocks = []  # [mean, size]
    for value in values:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            (a, m), (b, n) = blocks[-2:]
            blocks[-2:] = [[(a * m + b * n) / (m + n), m + n]]
    return np.concatenate([np.full(size, mean) for mean, size in blocks])


def h2o(document):
    """[L, K, T]"""
    context = int(document.attrs["context_tokens"])
    return document["signals/attention_cumulative"][:, :, :context].astype("f8")


def descending(scores):
    """Tokens behind the sinks from the highest score down, of equal ones the later first: [L, K, T - SINKS]."""
    later_first = scores[..., SINKS:][..., ::-1]
    order = np.argsort(-later_first, axis=-1, kind="stable")
    return scores.shape[-1] - 1 - order


def by_rank(document):
    """[L, K, T - SINKS] shares of the document's influence by rank."""
    sketch = document["sketch"]
    sizes = np.diff(sketch["bins"][:].astype("f8"), axis=1)[:, 0]
    influence = np.tensordot(sizes, sketch["fi_head"][:].astype("f8"), 1)
    ranked = np.take_along_axis(influence, descending(h2o(document)), -1)
    return ranked / influence[..., SINKS:].sum()


def learnt_slots(documents, total):
    """[L, K] slots of each head, `total` in all."""
    falling = np.apply_along_axis(not_rising, -1, sum(map(by_rank, documents)))
    layers, heads, ranks = falling.shape
    of_pair = np.indices(falling.shape)
    order = np.lexsort((of_pair[1].ravel(), of_pair[0].ravel(), of_pair[2].ravel(), -falling.ravel()))
    chosen = np.zeros(falling.size, int)
    chosen[order[:total - SINKS * layers * heads]] = 1
    return SINKS + chosen.reshape(falling.shape).sum(-1)


def slots_at(table, tokens, mean, least=SINKS):
    """[L, K] slots of a budgets file, `mean` in the mean."""
    shape = np.shape(table["shares"])[1:]
    budgets = [0.0, *table["budgets"]] + ([] if table["budgets"][-1] == 1 else [1.0])
    rows = np.concatenate([np.zeros((1, *shape)), table["shares"], np.ones((1, *shape))])
    above = max(1, np.searchsorted(budgets, mean / tokens))
    weight = (mean / tokens - budgets[above - 1]) / (budgets[above] - budgets[above - 1])
    shares = rows[above - 1] + weight * (rows[above] - rows[above - 1])
    total, low, high = mean * shares.size, 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if np.maximum(middle * shares * tokens, least).sum() < total:
            low = middle
        else:
            high = middle
    exact = np.maximum(high * shares * tokens, least).ravel()
    slots = np.floor(exact).astype(int)
    for head in np.argsort(-(exact - slots), kind="stable")[:total - slots.sum()]:
        slots[head] += 1
    return slots.reshape(shape)


def check_learnt(table, documents):
    """The largest difference of a head's slots."""
    worst = 0
    context = int(documents[0].attrs["context_tokens"])
    for budget, shares in zip(table["budgets"], np.array(table["shares"])):
        total = round(budget * shares.size * context)
        worst = max(worst, np.abs(learnt_slots(documents, total) - shares * context).max())
    return worst


def check_kept(table, document):
    """(budget, slots a head off, slots kept against the ranking, slots in all less the budget's)"""
    rows = []
    for group in document["retention"].values():
        if not isinstance(group, h5py.Group) or not group.attrs["policy"].startswith("budgets"):
            continue
        kept = group["kept"][:].astype(bool)
        tokens = kept.shape[-1]
        mean = max(1, int(tokens * (1 - (1 - float(group.attrs["budget"])))))
        wanted = slots_at(table, tokens, mean)
        scores = h2o(document)
        scores[..., :SINKS] = np.inf
        highest_evicted = np.where(kept, -np.inf, scores).max(-1, keepdims=True)
        wrong = (kept & (scores < highest_evicted * (1 - TIE))).sum()
        rows.append((group.attrs["budget"], int(np.abs(kept.sum(-1) - wanted).max()), int(wrong),
                     int(kept.sum() - mean * wanted.size)))
    return rows


def main():
    table = json.load(open(sys.argv[1]))
    with h5py.File(sys.argv[2]) as kept:
        rows = [(name, *row) for name, document in kept["documents"].items()
                for row in check_kept(table, document)]
    files = [h5py.File(path) for path in sys.argv[3:]]
    documents = [document for file in files for document in file["documents"].values()]
    worst = check_learnt(table, documents) if documents else 0
    print(f"learnt: heads' slots differ by at most {worst:.2f}")
    for name, budget, slots, wrong, in_all in rows:
        print(f"{name} at {budget}: {slots} slots a head off, {wrong} against the ranking, {in_all} in all")
    # A file's shares have six digits: a hundredth of a slot at 10,000 tokens.
    return 1 if worst > 0.5 or any(sum(map(abs, row[2:])) for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
