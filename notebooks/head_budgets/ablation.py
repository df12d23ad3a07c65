"""Which features a learnt ranking needs: each set is learnt anew from all sources but one.

    longshadow learn ranking by_head/*.h5 -o ranking.json --features features
    python3 notebooks/head_budgets/ablation.py --features features by_head/*.h5

Two measures on the source left out, means over its heads: the rank correlation of score and measured
influence within a head, and the share of the influence that is lost where each head keeps the same
number of slots. Differences are paired, with 95% bootstrap intervals over sources.
"""

import argparse
import json
import re
from pathlib import Path

import h5py
import numpy as np

# As `longshadow learn ranking --features` writes them.
NAMES = ["window_mean", "window_largest", "window_latest", "removal", "key_norm", "value_norm",
         "output_norm", "key_cosine", "distance", "distance_square", "cumulative"]
SIGNALS = ["entropy_before", "entropy_at", "surprisal", "drift"]
WINDOW = ["window_mean", "window_largest", "window_latest"]
DISTANCE = ["distance", "distance_square"]
NORMS = ["key_norm", "value_norm", "output_norm", "key_cosine"]
LEARNED = WINDOW + ["removal"] + NORMS + DISTANCE
SETS = {
    "learned": LEARNED,
    "learned, and all queries": LEARNED + ["cumulative"],
    "learned, and entropy and surprisal": LEARNED + SIGNALS[:3],
    "learned, and drift": LEARNED + ["drift"],
    "learned without the window's attention": ["removal"] + NORMS + DISTANCE,
    "learned without DropKV's form": WINDOW + NORMS + DISTANCE,
    "learned without norms and cosine": WINDOW + ["removal"] + DISTANCE,
    "learned without W_O v": [name for name in LEARNED if name != "output_norm"],
    "learned without distance": WINDOW + ["removal"] + NORMS,
    "window's mean": ["window_mean"],
    "window": WINDOW,
    "all queries": ["cumulative"],
    "window and all queries": WINDOW + ["cumulative"],
    "window, all queries, distance": WINDOW + ["cumulative"] + DISTANCE,
    "window, distance": WINDOW + DISTANCE,
    "DropKV's form": ["removal"],
    "distance, norms": NORMS + DISTANCE,
    "distance, entropy, surprisal, drift": DISTANCE + SIGNALS,
}
PENALTIES = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]


def source_of(name: str) -> str:
    """Chapters of one book are one source."""
    return re.sub(r"_ch[\d_]+$", "", Path(name).stem)


class Document:
    """Features [L K, F, T], influence [L K, T] in nats, tokens behind the sinks."""

    def __init__(self, run: h5py.Group, name: str, features: Path, sinks: int):
        self.source = source_of(name)
        context = int(run.attrs["context_tokens"])
        sizes = np.diff(run["sketch/bins"][:], axis=1)[:, :, None, None]
        by_head = (run["sketch/fi_head"][:].astype(float) * sizes).sum(0)
        self.influence = by_head.reshape(-1, context)[:, sinks:]
        values = np.load(features / f"{name}.npy").astype(float)
        layers, heads = values.shape[:2]
        signals = run["signals"]
        entropy = signals["entropy"][:context].astype(float)
        before = np.concatenate([[0], entropy[:-1]])
        surprisal = np.nan_to_num(signals["surprisal"][:context].astype(float))
        plain = np.stack([before, entropy, surprisal])
        drift = np.concatenate([signals["drift"][1:, :context], np.zeros((1, context))])
        more = np.concatenate([np.broadcast_to(plain, (layers, 3, context)), drift[:, None]], 1)
        more = np.repeat(more[:, None], heads, 1)
        values = np.concatenate([values, more], 2)
        self.values = values.reshape(layers * heads, -1, context)[:, :, sinks:]
        self.context, self.sinks = context, sinks
        target = np.log(np.maximum(self.influence, 1e-12))
        rows = np.concatenate([self.values, np.ones_like(target)[:, None], target[:, None]], 1)
        self.moments = rows @ rows.transpose(0, 2, 1)
        self.ranks = rank(self.influence)


def rank(values: np.ndarray) -> np.ndarray:
    return values.argsort(-1, kind="stable").argsort(-1, kind="stable").astype(float)


def centred(moments: np.ndarray, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of features and of features with the target."""
    constant, target = moments.shape[-1] - 2, moments.shape[-1] - 1
    index = np.array([*columns, target])
    n = moments[:, constant, constant][:, None, None]
    means = moments[:, index, constant][:, :, None] / n
    covariance = moments[:, index][:, :, index] / n - means * means.transpose(0, 2, 1)
    return covariance[:, :-1, :-1], covariance[:, :-1, -1], covariance[:, -1, -1]


def fit(moments: np.ndarray, columns: list[int], penalty: float) -> np.ndarray:
    """[heads, features] weights of a ridge in standardised features."""
    features, with_target, _ = centred(moments, columns)
    variance = np.maximum(np.einsum("hii->hi", features), 0)
    varies = variance > 1e-12  # drift is 0 throughout the last layer
    scale = varies / np.sqrt(np.where(varies, variance, 1))
    standard = features * scale[:, :, None] * scale[:, None, :]
    standard += np.where(varies, penalty, 1)[:, :, None] * np.eye(len(columns))
    return np.linalg.solve(standard, (with_target * scale)[..., None])[..., 0] * scale


def unexplained(moments: np.ndarray, columns: list[int], weights: np.ndarray) -> float:
    features, with_target, variance = centred(moments, columns)
    left = (variance - 2 * (weights * with_target).sum(-1)
            + np.einsum("ha,hab,hb->h", weights, features, weights))
    return float(np.mean(left / variance))


def choose_penalty(documents: list[Document], columns: list[int]) -> float:
    total = sum(document.moments for document in documents)
    losses = [sum(unexplained(one.moments, columns, fit(total - one.moments, columns, penalty))
                  for one in documents) for penalty in PENALTIES]
    return PENALTIES[int(np.argmin(losses))]


def measures(document: Document, scores: np.ndarray, budget: float) -> tuple[float, float]:
    ranks = rank(scores)
    correlation = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(ranks, document.ranks)])
    n_kept = int(document.context * budget) - document.sinks
    lost = document.influence[ranks < ranks.shape[1] - n_kept].sum() / document.influence.sum()
    return float(correlation), float(lost)


def bootstrap(by_source: np.ndarray, seed: int = 0) -> list[float]:
    draws = np.random.default_rng(seed).integers(len(by_source), size=(10_000, len(by_source)))
    return [float(x) for x in np.percentile(by_source[draws].mean(1), [2.5, 97.5])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--budget", type=float, default=0.2)
    parser.add_argument("--sinks", type=int, default=4)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    documents = []
    for path in arguments.runs:
        with h5py.File(path) as file:
            documents += [Document(run, name, arguments.features, arguments.sinks)
                          for name, run in file["documents"].items()]
    sources = sorted({document.source for document in documents})
    columns = {name: i for i, name in enumerate(NAMES + SIGNALS)}
    found = {}  # [sources, 2] each
    for label, names in SETS.items():
        chosen = [columns[name] for name in names]
        by_source = []
        for source in sources:
            others = [document for document in documents if document.source != source]
            penalty = choose_penalty(others, chosen)
            weights = fit(sum(document.moments for document in others), chosen, penalty)
            by_source.append(np.mean([
                measures(document, np.einsum("hf,hft->ht", weights, document.values[:, chosen]),
                         arguments.budget)
                for document in documents if document.source == source], axis=0))
        found[label] = np.array(by_source)
    print(f"{len(documents)} documents of {len(sources)} sources, budget {arguments.budget:g}")
    print("| features | rank correlation | less `learned` | influence lost | less `learned` |")
    print("|---|---|---|---|---|")
    table = {}
    for label, values in found.items():
        cells, table[label] = [], {}
        for i, name in enumerate(("rank_correlation", "influence_lost")):
            difference = values[:, i] - found["learned"][:, i]
            low, high = bootstrap(difference)
            cells += [f"{values[:, i].mean():.3f}",
                      f"{difference.mean():+.4f} [{low:+.4f}, {high:+.4f}]"]
            table[label][name] = {"mean": values[:, i].mean(), "difference": difference.mean(),
                                  "interval": [low, high]}
        print(f"| {label} | " + " | ".join(cells) + " |")
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
