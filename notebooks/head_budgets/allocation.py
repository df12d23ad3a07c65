"""Shares of the cache by head, from head scores: the allocations of the literature.

A share is the part of a context's tokens that a KV head keeps. Scores and shares are [L, K]; the mean of
the shares is the budget. Nothing here knows how scores come about.
"""

import numpy as np

ECHO_HEADS = 1 / 15  # RazorAttention keeps 1% of heads for echo and 14% for induction


def whole_heads(order, budget, floor):
    """The first heads of `order` keep all, as many as the budget pays for, and the others a like share.

    The others get `floor` of the budget at least, and what is left over when heads are kept whole: there
    are only two kinds of heads, as in DuoAttention and RazorAttention. `order` is a permutation of the
    heads, [L K], best first; returns [L K].
    """
    heads = len(order)
    least = floor * budget
    # Rounding may not cost a head whose share is the budget to the last bit.
    n_whole = int(np.floor(heads * (budget - least) / (1 - least) + 1e-9)) if least < 1 else heads
    shares = np.ones(heads)
    if n_whole < heads:
        shares[order[n_whole:]] = (budget * heads - n_whole) / (heads - n_whole)
    return shares


def by_score(scores):
    """All heads, the highest score first; of equal ones, the earlier layer's."""
    return np.argsort(-np.ravel(scores), kind="stable")


def by_induction_and_echo(induction, echo):
    """RazorAttention's order: one head in fifteen is the next by echo, the others the next by induction."""
    waiting = {"induction": list(by_score(induction)), "echo": list(by_score(echo))}
    order = []
    while waiting["induction"]:
        n_echo = round(ECHO_HEADS * len(order))
        is_echo = round(ECHO_HEADS * (len(order) + 1)) > n_echo
        head = waiting["echo" if is_echo else "induction"][0]
        order.append(head)
        for heads in waiting.values():
            heads.remove(head)
    return np.array(order)


def in_proportion(scores, budget, beta):
    """HeadKV's: b (1 - 1/beta) for every head, and b/beta of all shared out by score (arXiv 2410.19258).

    A head that would keep more than all keeps all, and what it leaves over goes to the others by score.
    Scores may not be negative. [L, K].
    """
    weights = np.ravel(scores) + 1e-12  # where all that have a score are full, the rest share alike
    shares = np.full(weights.size, budget * (1 - 1 / beta))
    left = budget * weights.size - shares.sum()
    while left > 1e-12:
        open_heads = shares < 1
        given = np.where(open_heads, weights, 0)
        shares = shares + given * (left / given.sum())
        left = np.maximum(shares - 1, 0).sum()
        shares = np.minimum(shares, 1)
    return shares.reshape(np.shape(scores))


def highest_pairs(curves, budget):
    """Shares of the budget's highest (head, rank) pairs; curves [L, K, n] fall along the last axis.

    A fraction of a slot that the budget pays for goes to the next pair's head.
    """
    layers, heads, n = curves.shape
    slots = budget * layers * heads * n
    whole = int(np.floor(slots + 1e-6))
    order = np.argsort(-curves, axis=None, kind="stable")
    owners = order // n
    counts = np.bincount(owners[:whole], minlength=layers * heads).astype(float)
    if whole < len(owners):
        counts[owners[whole]] += slots - whole
    return (counts / n).reshape(layers, heads)
