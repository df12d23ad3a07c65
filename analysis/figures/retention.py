"""What eviction policies keep and what it costs: KL against budget, overlap, and a map of the kept slots."""

import itertools

import matplotlib.pyplot as plt
import numpy as np

from figures.style import BLACK, COLOURS, GREY, MARKERS, PAGE, add_caption, plain_log_ticks
from run_statistics import bootstrap, jaccard

REFERENCES = {"random": GREY, "oracle": BLACK}  # what a policy has to beat, what knows the future
DASHES = ("-", "--", ":", "-.")  # of a reference's variants


def retained(documents):
    return [document for document in documents if document.retention]


def policies_of(documents):
    """Policies in the order of the run, the references last, without the one that keeps everything."""
    names = dict.fromkeys(one.policy for document in documents for one in document.retention)
    return sorted(names.keys() - {"full"},
                  key=lambda name: (name.split(":")[0] in REFERENCES, list(names).index(name)))


def counted(documents):
    return f"{len(documents)} document{'s' if len(documents) > 1 else ''}"


def budgets_of(documents):
    """Budgets as they are spelled, smallest first."""
    return sorted({one.budget for document in documents for one in document.retention}, key=float)


def arm(document, policy, budget):
    """The document's retention of the policy at the budget, unquantised first, or None."""
    found = [one for one in document.retention if (one.policy, one.budget) == (policy, budget)]
    return max(found, key=lambda one: one.kv_bits, default=None)


def quarter(kl, last):
    """The first or the last quarter of the future's positions, at least one."""
    count = max(1, len(kl) // 4)
    return kl[-count:] if last else kl[:count]


def cost_curve(documents, policy, last):
    """Rows of (budget, mean KL, low, high) over documents; low and high are NaN where too few."""
    rows = []
    for budget in budgets_of(documents):
        arms = [arm(document, policy, budget) for document in documents]
        means = np.array([quarter(one.kl, last).mean() for one in arms if one is not None])
        if means.size:
            rows.append((float(budget), means.mean(), *bootstrap(means, np.mean)))
    return np.array(rows, dtype=float).reshape(-1, 4)


def draw_budget(documents):
    """A curve for each policy, near and far: mean KL against the share of the cache that is kept."""
    documents = retained(documents)
    figure, panels = plt.subplots(1, 2, figsize=(PAGE, 3.4), sharey=True, layout="constrained")
    looks = itertools.cycle((c, m) for m in MARKERS for c in COLOURS if c not in REFERENCES.values())
    style = {policy: (REFERENCES[policy.split(":")[0]], "x") if policy.split(":")[0] in REFERENCES
             else next(looks) for policy in policies_of(documents)}
    variants = {reference: [policy for policy in style if policy.split(":")[0] == reference]
                for reference in REFERENCES}
    for axes, last, name in zip(panels, (False, True), ("first", "last")):
        for policy, (colour, marker) in style.items():
            budget, value, low, high = cost_curve(documents, policy, last).T
            if colour in REFERENCES.values():  # bands of all policies would hide one another
                axes.fill_between(budget, low, high, color=colour, alpha=0.18, linewidth=0)
            of_reference = variants.get(policy.split(":")[0], [policy])
            axes.plot(budget, value, marker, color=colour, label=policy,
                      linestyle=DASHES[of_reference.index(policy) % len(DASHES)])
        axes.set(xscale="log", yscale="log", xlabel="share of the cache that is kept",
                 title=f"{name} quarter of the future")
        axes.grid(True, which="major", linewidth=0.3, alpha=0.5)
        shares = [float(budget) for budget in budgets_of(documents)]
        plain_log_ticks(axes.xaxis, min(shares), max(shares))
    panels[0].set_ylabel("KL(full || compressed), mean (nats)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    add_caption(figure, f"{documents[0].model}; means over positions and {counted(documents)}; "
                "grey and black: random and oracles, what a policy has to beat and what knows the measured "
                "influence, with 95% bootstrap intervals over documents from five on.")
    return figure


def overlap(documents, budget):
    """Policies and the mean over documents of the Jaccard overlap of their kept slots."""
    policies = [policy for policy in policies_of(documents)
                if all(arm(document, policy, budget) is not None for document in documents)]
    kept = [[arm(document, policy, budget).kept for policy in policies] for document in documents]
    return policies, np.mean([[[jaccard(a, b) for b in of_one] for a in of_one] for of_one in kept],
                             axis=0)


def draw_overlap(documents):
    """A matrix for each budget: which policies keep the same slots."""
    documents = retained(documents)
    budgets = budgets_of(documents)
    n_policies = len(policies_of(documents))
    side = 0.8 + 0.19 * n_policies
    figure, panels = plt.subplots(1, len(budgets), figsize=(1.2 + side * len(budgets), side + 1.4),
                                  sharey=True, squeeze=False, layout="constrained")
    for axes, budget in zip(panels[0], budgets):
        policies, values = overlap(documents, budget)
        image = axes.imshow(values, vmin=0, vmax=1, cmap="magma_r")
        for i, j in np.ndindex(values.shape):
            axes.text(j, i, f"{values[i, j]:.2f}".lstrip("0"), ha="center", va="center", fontsize=4,
                      color="white" if values[i, j] > 0.5 else "black")
        axes.set_xticks(range(len(policies)), policies, rotation=90)
        axes.set_yticks(range(len(policies)), policies)
        axes.set_title(f"budget {budget}")
    figure.colorbar(image, ax=panels[0].tolist(), label="overlap of kept slots (Jaccard)", pad=0.01)
    add_caption(figure, f"{documents[0].model}; slots that both keep over slots that either keeps, of "
                f"all layers and key-value heads, mean over {counted(documents)}.")
    return figure


def kept_strips(kept, width):
    """[L, K, T] -> [L, at most `width`]: the share of heads and of neighbouring tokens that stay."""
    n_tokens = kept.shape[2]
    edges = np.unique(np.linspace(0, n_tokens, min(width, n_tokens) + 1).astype(int))
    sums = np.add.reduceat(kept.mean(axis=1), edges[:-1], axis=1)
    return sums / np.diff(edges), edges


def draw_kept(document):
    """A map for each policy at the middle budget: which tokens each layer keeps."""
    budgets = budgets_of([document])
    budget = budgets[len(budgets) // 2]
    policies = [one for one in policies_of([document]) if arm(document, one, budget) is not None]
    figure, rows = plt.subplots(len(policies), 1, figsize=(PAGE, 0.9 + 0.62 * len(policies)),
                                sharex=True, squeeze=False, layout="constrained")
    for axes, policy in zip(rows[:, 0], policies):
        values, edges = kept_strips(arm(document, policy, budget).kept, 900)
        image = axes.pcolormesh(edges, np.arange(len(values) + 1), values, cmap="magma_r", vmin=0,
                                vmax=1, rasterized=True)
        axes.invert_yaxis()
        axes.set_ylabel(policy, rotation=0, ha="right", va="center")
        axes.set_yticks([0.5, len(values) - 0.5], [0, len(values) - 1])
    rows[-1, 0].set_xlabel("token of the context")
    figure.colorbar(image, ax=rows[:, 0].tolist(), label="share of heads that keep it", pad=0.01)
    figure.suptitle(f"{document.name}, {document.model}: what is kept at budget {budget}", fontsize=8)
    add_caption(figure, "Each row of a map is a layer, the first on top; a column is one token, or "
                "the mean of neighbouring ones where they are more than 900.")
    return figure
