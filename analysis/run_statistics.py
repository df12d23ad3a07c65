"""The statistics of figures and notebooks, in numpy: the definitions of `longshadow analyze` (analysis/statistics).

The program's are the source. These exist beside them so that figures can be drawn, and notebooks run, from a run file
by whoever has Python alone: they need every subject's value, in bins of their own, where the report has summaries.
tests/analysis/test_agreement.py holds both to the same numbers. Only intervals differ, by the noise of their draws:
each side has a random generator of its own.

Letters: S subjects, H horizon. Influence is in nats.
"""

import numpy as np

from run_file import FEWEST, sets_of

TOP_SHARE = 0.2  # of the subjects, in a top group
DRAWS = 1000  # of the bootstrap
SEED = 1
ENOUGH = 10  # subjects that the near and the far bin need


def chunk_means(document, group, chunk):
    """Influence in each `chunk` of positions after the start, the last one shorter where the horizon
    is no multiple: means over the positions and over the group's sets."""
    sets = sets_of(document, group)
    starts = range(0, sets.kl.shape[1], chunk)
    return np.array([binned(sets, start, start + chunk)[0].mean() for start in starts])


def stretches(n_chunks):
    """Chunks [begin, end) to compare sets over, since one far chunk alone is mostly chance: the first,
    the next three, and doubling from there."""
    edges = [0, 1, 4]
    while edges[-1] < n_chunks:
        edges.append(2 * edges[-1])
    return [(begin, min(end, n_chunks)) for begin, end in zip(edges[:-1], edges[1:])
            if begin < n_chunks]


def bins(document, first_edge=16, per_octave=1):
    """Distance bins [begin, end): edges at first_edge * 2^(k / per_octave), as integers, clipped to the
    measured distances."""
    low, high = document.distance.min(), document.distance.max() + 1
    octaves = max(1, int(np.ceil(np.log2(high / first_edge))))
    steps = np.arange(octaves * per_octave + 1)
    edges = np.unique(np.round(first_edge * 2.0 ** (steps / per_octave)).astype(int))
    edges = [low, *edges[(low < edges) & (edges < high)], high]
    return [(int(begin), int(end)) for begin, end in zip(edges[:-1], edges[1:])]


def binned(document, begin, end):
    """[S]: each subject's mean influence over distances begin <= d < end, NaN without values there.

    A value at or under the noise floor enters as the floor. Returns the means with the floors, and the
    means with 0 in their place: the truth is between them.
    """
    inside = (document.distance >= begin) & (document.distance < end) & np.isfinite(document.kl)
    below = document.below_floor
    floor = np.broadcast_to(document.noise_floor, document.kl.shape)
    count = inside.sum(axis=1)
    with np.errstate(invalid="ignore"):
        upper = np.where(inside, np.where(below, floor, document.kl), 0).sum(axis=1) / count
        lower = np.where(inside & ~below, document.kl, 0).sum(axis=1) / count
    return upper, lower


def top(document, signal):
    """Indices of the top share of the population by a signal, of each document's own."""
    text = np.zeros(len(document.kl), dtype=int) if document.text is None else document.text
    chosen = []
    for one in np.unique(text):
        candidates = np.flatnonzero(document.population & (text == one))
        values = document.signals[signal][candidates]
        order = np.argsort(-values, kind="stable")  # NaN last
        wanted = max(1, int(np.floor(TOP_SHARE * candidates.size + 0.5)))
        chosen.append(candidates[order[: min(wanted, np.isfinite(values).sum())]])
    return np.concatenate(chosen)


def bootstrap(values, statistic, clusters=None):
    """95% percentile interval of statistic(values, axis), values drawn again with replacement: one at
    a time, or all those of a cluster together."""
    random = np.random.default_rng(SEED)
    if clusters is None:
        if values.size < FEWEST:
            return np.nan, np.nan
        draws = random.integers(0, values.size, (DRAWS, values.size))
        return tuple(np.quantile(statistic(values[draws], axis=1), [0.025, 0.975]))
    parts = [values[clusters == one] for one in np.unique(clusters)]
    if len(parts) < FEWEST:
        return np.nan, np.nan
    draws = random.integers(0, len(parts), (DRAWS, len(parts)))
    replicates = [statistic(np.concatenate([parts[d] for d in draw]), axis=0) for draw in draws]
    return tuple(np.quantile(replicates, [0.025, 0.975]))


def ranks(values):
    """Ranks from 1; tied values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def near_and_far(document):
    """The bins that "near" and "far" stand for: the first and the last that enough subjects reach."""
    choices = bins(document)
    reached = [np.isfinite(binned(document, *b)[0][document.population]).sum() for b in choices]
    enough = [b for b, n in zip(choices, reached) if n >= min(ENOUGH, max(reached))]
    return enough[0], enough[-1]


def influence_to_rank(document, begin, end):
    """[S]: binned influence, 0 where all of it is under the floor, so that those subjects tie."""
    upper, lower = binned(document, begin, end)
    return np.where(lower == 0, 0.0, upper) + 0 * upper


def rank_correlation(document, signal, begin, end):
    """Spearman's correlation over the population: value, low, high, number of subjects."""
    x = document.signals[signal]
    y = influence_to_rank(document, begin, end)
    use = document.population & np.isfinite(x) & np.isfinite(y)
    x, y = x[use], y[use]
    if x.size < FEWEST:
        return np.nan, np.nan, np.nan, x.size

    def correlation(a, b):
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = ranks(a) - (a.size + 1) / 2, ranks(b) - (b.size + 1) / 2
            return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())

    random = np.random.default_rng(SEED)
    clusters = document.clusters(np.flatnonzero(use))
    if clusters is None:
        draws = random.integers(0, x.size, (DRAWS, x.size))
    else:
        parts = [np.flatnonzero(clusters == one) for one in np.unique(clusters)]
        draws = [np.concatenate([parts[d] for d in random.integers(0, len(parts), len(parts))])
                 for _ in range(DRAWS)]
    replicates = np.array([correlation(x[d], y[d]) for d in draws])
    replicates = replicates[np.isfinite(replicates)]
    low, high = np.quantile(replicates, [0.025, 0.975]) if replicates.size else (np.nan, np.nan)
    return correlation(x, y), low, high, x.size


def jaccard(kept, others):
    """How far two sets of slots are the same: slots in both over slots in either."""
    return (kept & others).sum() / (kept | others).sum()
