"""The tables of results.md, each of what run.sh measured with one model."""

import json

import numpy as np

import arms
from paired import Effect
from run_statistics import ranks
from wording import effect_text, number, table

LENGTHS = ("512", "2048", "4096")
COUNTS = ("1", "2", "10")


def budgeted(measured):
    """What is tried: every ranking with budgets learnt from influence."""
    return [policy for policy in measured.policies if policy.startswith("budgets/")]


def ratio_text(comparison):
    if comparison is None:
        return "-"
    return f"{effect_text(comparison.effect)}; {comparison.wins} of {comparison.texts}; {number(comparison.worst)}"


def over_best(measured, budgets=None, stretches=arms.STRETCHES, prefix=()):
    """A row for each policy with budgets and each budget, over the best real policy of each text."""
    return [[*prefix, policy, budget, *(ratio_text(arms.compare(
        measured, measured.cost(policy, budget, stretch), measured.best_real(budget, stretch)))
        for stretch in stretches)] for policy in budgeted(measured) for budget in budgets or measured.budgets]


def claim(study):
    """KL over the best other policy of each text: geometric mean, wins, worst text."""
    main, rows = study.main, over_best(study.main)
    if len(main.published) > len(main.real):
        for row in rows:
            policy, budget = row[:2]
            row.append(ratio_text(arms.compare(main, main.cost(policy, budget), main.best_published(budget))))
    titles = ["over the best of each text", "budget", *arms.STRETCHES, "all, and rivals' head scores"]
    return table(titles[:len(rows[0])], rows)


def worst(study):
    """The texts on which budgets lose."""
    rows = []
    for policy in budgeted(study.main):
        for budget in study.main.budgets:
            for stretch in arms.STRETCHES:
                ratios = study.main.cost(policy, budget, stretch) / study.main.best_real(budget, stretch)
                lost = [f"{text} {number(ratio)}" for text, ratio in zip(study.main.texts, ratios) if ratio > 1]
                if lost:
                    rows.append([policy, budget, stretch, ", ".join(lost)])
    return table(["loses", "budget", "where", "texts and ratios"], rows)


def groups(study):
    """By kind of text, the whole future; intervals where there are five sources."""
    names = list(dict.fromkeys(study.main.groups))
    rows = []
    for policy in budgeted(study.main):
        for name in names:
            of_group = study.main.of_group({name})
            rows.append([policy, name, *(ratio_text(arms.compare(
                of_group, of_group.cost(policy, budget), of_group.best_real(budget)))
                for budget in study.main.budgets)])
    return table(["over the best of each text", "group", *study.main.budgets], rows)


def policies(study):
    """Geometric mean KL of all, the lowest first at 0.2, and its ratio to the best real policy of each text."""
    main = study.main
    middle = "0.2" if "0.2" in main.budgets else main.budgets[0]

    def mean(policy, budget):
        return np.exp(np.nanmean(np.log(main.cost(policy, budget)))) if np.isfinite(
            main.cost(policy, budget)).any() else np.nan

    ordered = sorted(main.policies, key=lambda policy: mean(policy, middle))
    rows = [[policy, *(f"{number(mean(policy, budget))} ({ratio_text(arms.compare(main, main.cost(policy, budget), main.best_real(budget)))})"
                       for budget in main.budgets)] for policy in ordered if policy != "full"]
    return table(["KL, nats (over the best)", *main.budgets], rows)


DIVIDING = ("pyramidkv", "adakv/h2o", "adakv/snapkv", "adakv:over=model/h2o", "cake")  # slots between heads or layers


def rivals(study):
    """Budgets from influence over every other way to divide slots between heads, text by text."""
    main, rows = study.main, []
    others = [policy for policy in main.policies
              if policy in DIVIDING or (" budgets/" in policy and not policy.startswith("budgets"))]
    for policy in budgeted(main):
        for other in others:
            rows.append([policy, other, *(ratio_text(arms.compare(
                main, main.cost(policy, budget), main.cost(other, budget))) for budget in main.budgets)])
    return table(["policy", "over", *main.budgets], rows) if rows else None


def lengths(study):
    """Budgets that were learnt at 1,024 tokens, at other lengths."""
    rows = []
    for length in LENGTHS:
        if study.lengths.get(length):
            rows += over_best(study.lengths[length], prefix=(length,))
    return table(["tokens", "over the best of each text", "budget", *arms.STRETCHES], rows) if rows else None


def transferred(study, runs, labels):
    """Budgets learnt otherwise: over the best real policy of each text, and over budgets of main."""
    rows = []
    for label in labels:
        other = runs.get(label)
        if not other:
            continue
        for policy in budgeted(other):
            for budget in other.budgets:
                of_main = arms.Arms(other.texts, study.main.quarters, study.main.slots)
                cost = other.cost(policy, budget)
                rows.append([label, policy, budget,
                             ratio_text(arms.compare(other, cost, of_main.best_real(budget))),
                             ratio_text(arms.compare(other, cost, of_main.cost(policy, budget)))])
    return table(["learnt on", "policy", "budget", "over the best of each text", "over main's budgets"],
                 rows) if rows else None


def crossing(study):
    return transferred(study, study.crossing, ("prose", "code"))


def few(study):
    return transferred(study, study.few, COUNTS)


def rank_correlation(one, other):
    return np.corrcoef(ranks(one.ravel()), ranks(other.ravel()))[0, 1]


def stability(study):
    """Rank correlation of slots by layer and head between every two texts that they were learnt on alone."""
    rows = []
    for ranking in ("h2o", "snapkv", "learned"):
        for budget in (0.4, 0.2, 0.1, 0.05):
            learnt = [arms.learnt_shares(folder, ranking, budget)
                      for folder in sorted((study.folder / "learned/alone").glob("*"))]
            learnt = [one for one in learnt if one is not None]
            pairs = [rank_correlation(one, other) for i, one in enumerate(learnt) for other in learnt[:i]]
            if pairs:
                rows.append([ranking, budget, len(pairs), number(np.median(pairs)), number(min(pairs))])
    return table(["ranking", "budget", "pairs of texts", "median", "least"], rows) if rows else None


def share_text(values):
    low, high = np.nan, np.nan
    return effect_text(Effect(np.mean(values), low, high, np.nan), "{:.2f}".format)


def needles(study):
    """Of the facts that the full cache tells, how many the cut one does, and the answer's log-probability."""
    path = study.folder / "needles" / "facts.json"
    if not path.exists():
        return None
    facts = json.loads(path.read_text())["facts"]
    known = [fact for fact in facts if fact["known"]]
    rows = []
    arms_of = dict.fromkeys((arm["policy"], arm["budget"]) for fact in known for arm in fact["arms"])
    for distance in sorted({fact["distance"] for fact in known}):
        told = [fact for fact in known if fact["distance"] == distance]
        for policy, budget in arms_of:
            lost = np.array([arm["log_probability"] - fact["log_probability"] for fact in told for arm in fact["arms"]
                             if (arm["policy"], arm["budget"]) == (policy, budget)])
            still = [arm["likeliest"] for fact in told for arm in fact["arms"]
                     if (arm["policy"], arm["budget"]) == (policy, budget)]
            rows.append([distance, arms.spoken(policy), budget, f"{sum(still)} of {len(still)}", f"{np.median(lost):+.2f}"])
    title = f"{len(known)} of {len(facts)} facts are told by the full cache"
    return f"{title}.\n\n" + table(["tokens before", "policy", "budget", "still told", "log-probability lost, median"], rows)


def greedy(study):
    """How long greedy text on the cut cache is the full cache's."""
    path = study.folder / "greedy.json"
    if not path.exists():
        return None
    texts_of = json.loads(path.read_text())["arms"]
    rows = []
    for policy, budget in dict.fromkeys((arm["policy"], arm["budget"]) for arm in texts_of):
        of_arm = [arm for arm in texts_of if (arm["policy"], arm["budget"]) == (policy, budget)]
        rows.append([policy, budget, len(of_arm), number(np.median([arm["first_difference"] for arm in of_arm])),
                     share_text([arm["equal"] for arm in of_arm])])
    return table(["policy", "budget", "texts", "tokens of 64 until the first difference, median", "wholly equal"], rows)
