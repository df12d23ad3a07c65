"""The figures of results.md, each of what run.sh measured with one model."""

import matplotlib.pyplot as plt
import numpy as np

import arms
from figures.style import BLACK, BLUE, GREEN, GREY, MARKERS, ORANGE, PAGE, SKY, STYLE, VERMILION, add_caption, plain_log_ticks
from run_statistics import bootstrap

DOTS_PER_INCH = 160
TRIED = {"budgets/h2o": VERMILION, "budgets/snapkv": ORANGE, "budgets/learned": GREEN}
LIMITS = {"random": GREY, "oracle:by=token": BLACK, "oracle:by=head": SKY, "oracle:by=global": BLUE}
MAP_BUDGET = "0.2"


def mean_curve(measured, values_at):
    """[budgets, 3] geometric mean over texts and its 95% over sources."""
    rows = []
    for budget in measured.budgets:
        values = values_at(budget)
        use = np.isfinite(values)
        logarithms = np.log(values[use])
        rows.append(np.exp([logarithms.mean(), *bootstrap(logarithms, np.mean, measured.sources[use])]))
    return np.array(rows)


def draw_cost(measured, model):
    """KL against budget: budgets and the limits in colour, every other real policy as a thin line."""
    figure, panels = plt.subplots(1, 2, figsize=(PAGE, 3.4), sharey=True, layout="constrained")
    shares = np.array([float(budget) for budget in measured.budgets])
    for axes, stretch in zip(panels, ("near", "far")):
        others = [policy for policy in measured.real if policy != "random"]
        for policy in others:
            curve = mean_curve(measured, lambda budget, policy=policy: measured.cost(policy, budget, stretch))
            axes.plot(shares, curve[:, 0], color=GREY, alpha=0.45, linewidth=0.6, label="other policies" if policy == others[0] else None)
        best = mean_curve(measured, lambda budget: measured.best_real(budget, stretch))
        styles = {"best other of each text": (BLACK, best)} | {
            policy: (colour, mean_curve(measured, lambda budget, policy=policy: measured.cost(policy, budget, stretch)))
            for policy, colour in (LIMITS | TRIED).items() if policy in measured.policies}
        for (label, (colour, curve)), marker in zip(styles.items(), MARKERS * 2):
            axes.fill_between(shares, curve[:, 1], curve[:, 2], color=colour, alpha=0.12, linewidth=0)
            axes.plot(shares, curve[:, 0], marker, color=colour, label=label, linestyle="--" if label.startswith("oracle") else "-")
        axes.set(xscale="log", yscale="log", xlabel="share of the cache that is kept",
                 title={"near": "first quarter of the future", "far": "last quarter"}[stretch])
        axes.grid(True, which="major", linewidth=0.3, alpha=0.5)
        plain_log_ticks(axes.xaxis, shares.min(), shares.max())
    panels[0].set_ylabel("KL(full || compressed), geometric mean (nats)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    add_caption(figure, f"{model}; {len(measured.texts)} texts of {len(set(measured.sources))} sources, budgets learnt on other "
                        "sources. Bands: 95% over sources.")
    return figure


def influence_of_heads(folder):
    """[L, K] shares that each layer and KV head has of the influence, and [L, K] of the attention outside the
    sinks, in the mean over texts."""
    influence, attention = [], []
    for path in sorted((folder / "influence").glob("*.h5")):
        document = arms.only_document(path)
        influence.append(document["influence"] / document["influence"].sum())
        attention.append(document["attention"] / document["attention"].sum())
    return np.mean(influence, axis=0), np.mean(attention, axis=0)


def draw_map(measured, folder, model):
    """By layer and KV head: measured influence, slots with budgets, and what attention would give."""
    influence, attention = influence_of_heads(folder)
    maps = {"measured influence": influence}
    for policy, title in (("budgets/h2o", "slots learnt from it"), ("oracle:by=global", "slots, free oracle"),
                          ("adakv:over=model/h2o", "slots by attention")):
        slots = [measured.slots[key] for key in measured.slots if key[1:] == (policy, MAP_BUDGET)]
        if slots:
            mean = np.mean(slots, axis=0)
            maps[title] = mean / mean.sum()
    maps["attention"] = attention
    figure, panels = plt.subplots(1, len(maps), figsize=(PAGE, 3.6), sharey=True, layout="constrained")
    for axes, (title, values) in zip(panels, maps.items()):
        image = axes.imshow(values * values.size, cmap="cividis", vmin=0, vmax=4, aspect="auto", origin="lower")
        axes.set_title(title, fontsize=6)
        axes.set(xticks=range(values.shape[1]), xlabel="KV head")
    panels[0].set_ylabel("layer")
    figure.colorbar(image, ax=panels, label="times the mean over heads", shrink=0.8, extend="max")
    add_caption(figure, f"{model}; means over {len(measured.texts)} texts; slots at a budget of {MAP_BUDGET}, "
                        "under H2O's ranking where learnt; attention is the last 64 queries', outside the sinks.")
    return figure


def draw(study, folder):
    """Writes the figures into `folder`; their names."""
    with plt.rc_context(STYLE):
        figures = {"cost": draw_cost(study.main, study.model), "map": draw_map(study.main, study.folder, study.model)}
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.png", dpi=DOTS_PER_INCH)
            plt.close(figure)
    return list(figures)
