"""The tables of results.md, each of one model's study."""

import numpy as np

import run_file
import run_statistics
from figures.chunks import CHUNK, size_of
from figures.distance import spoken
from figures.entropy import CONTENT, FUNCTION
from figures.kept_words import kept_shares
from measured import stretch_means
from paired import Effect, ratio
from wording import effect_text, p_text, table, with_interval

KINDS = ["random", "entropy-before", "-entropy-before", "entropy-at", "drift", "attention-cumulative"]
SET_PAIRS = [("attention-window", "random"), ("entropy-before", "random"), ("drift", "random"),
             ("attention-window", "entropy-before")]
POLICY_PAIRS = [("infokv", "snapkv"), ("infokv", "expected-attention"), ("infokv", "h2o"),
                ("infokv", "random"), ("snapkv", "random")]
NEAR, FAR = slice(0, 64), slice(192, 256)  # of the 256 positions that run on what policies keep


def documents(study):
    names = dict.fromkeys(one.name.removesuffix(".txt") for runs in study.runs.values()
                          for one in runs)
    lines = [f"{line[:1].upper()}{line[1:]}." for line in study.left_out]
    return "\n".join([f"Documents: {', '.join(names)}.", *lines])


def ratios_with_p(effect):
    return f"{effect_text(effect)} ({p_text(effect.p).lstrip('0')})"


def positions(stretches):
    return [f"{begin * CHUNK}-{end * CHUNK - 1}" for begin, end in stretches]


def smallest_first(size):
    """A key for the kind and the amount of a set: shares of the context, then policies' budgets."""
    kind, amount = size
    return kind != "top", size_of(amount)


def means(study):
    """The paper's own quantity: mean KL of each set, over stretches of chunks."""
    rows = []
    for group in sorted(study.runs["chunks"][0].sets,
                        key=lambda name: smallest_first(run_file.chosen_by(name)[::2])):
        row = [f"`{group}`"]
        for stretch in study.stretches:
            of_documents = study.set_means(group, stretch)
            interval = run_statistics.bootstrap(of_documents, np.mean)
            row.append(effect_text(Effect(of_documents.mean(), *interval, np.nan)))
        rows.append(row)
    return table(["mean nats", *positions(study.stretches)], rows)


def places(study):
    """How late in the context the tokens of each set are: attention's last queries look near."""
    row = ["of its tokens in the newest eighth"]
    groups = [group for group in study.runs["chunks"][0].sets if group.startswith("top:")]
    for group in groups:  # what policies evict differs between layers and heads
        shares = np.array([np.mean(tokens >= len(document.tokens.upos) * 7 / 8)
                           for document in study.runs["chunks"] for tokens in document.set_tokens[group]])
        interval = run_statistics.bootstrap(shares, np.mean)
        row.append(effect_text(Effect(shares.mean(), *interval, np.nan), "{:.0%}".format))
    return table(["", *(f"`{group}`" for group in groups)], [row])


def matched(study):
    """Attention's twentieth against other tokens of the same places in the text."""
    stretches, controls = study.stretches, study.runs["matched"]
    rows = []
    for name, group in (("attention-window", "top:attention-window:5%"), ("random", "top:random:5%")):
        pairs = [(stretch_means(study.in_protocol(controls), group, one),
                  stretch_means(controls, "set", one)) for one in stretches]
        (near, near_control), (far, far_control) = pairs[0], pairs[-1]
        rows.append([f"{name} over matched", "5% leave",
                     *(ratios_with_p(ratio(*pair)) for pair in pairs),
                     ratios_with_p(ratio(near / near_control, far / far_control))])
    return table(["removed at once", "of the context", *positions(stretches), "first over last"], rows)


def comparisons(study):
    """Sets of one size against one another, over stretches of chunks."""
    stretches = study.stretches
    header = ["removed at once", "of the context", *positions(stretches), "first over last"]
    sizes = {run_file.chosen_by(group)[::2] for group in study.runs["chunks"][0].sets}
    rows = []
    for kind, amount in sorted(sizes, key=smallest_first):
        pairs, pattern, size = (
            (SET_PAIRS, "top:{}:{}", f"{amount} leave") if kind == "top" else
            (POLICY_PAIRS, "policy:{}@{}", f"{amount} stays"))
        for pair in pairs:
            groups = [pattern.format(chooser, amount) for chooser in pair]
            if study.has_sets(*groups):
                rows.append([f"{pair[0]} over {pair[1]}", size,
                             *(ratios_with_p(study.set_ratio(*groups, one)) for one in stretches),
                             ratios_with_p(study.fall(*groups, stretches[0], stretches[-1]))])
    return table(header, rows)


def exactness(study):
    """How exact the chunk means are: how far above the noise floor, and how far bf16's from f32's."""
    runs = study.runs["chunks"]
    floor = max(one.noise_floor.max() for one in runs)
    smallest = min(run_statistics.chunk_means(one, group, CHUNK).min() for one in runs for group in one.sets)
    method, precision = runs[0].conditions.split()[-2:]
    above = ("there is no noise floor" if floor == 0 else
             f"the noise floor is at most {floor:.1e} nats, the smallest chunk mean {smallest:.1e}")
    return " ".join([f"{method.capitalize()} method, {precision}: {above}.", *held_to_f32(study)])


def same_tokens(one, other, group):
    return all(np.array_equal(*sets)
               for sets in zip(one.set_tokens[group], other.set_tokens[group], strict=True))


def held_to_f32(study):
    """The sentence on how far bf16's chunk means are from f32's, where both were measured."""
    errors = []
    runs = study.runs["chunks_f32"]
    for in_f32, in_bf16 in zip(runs, study.in_protocol(runs)):
        for group in in_f32.sets:
            if not same_tokens(in_f32, in_bf16, group):  # drawn after other sets
                continue
            of_f32, of_bf16 = (run_statistics.chunk_means(one, group, CHUNK) for one in (in_f32, in_bf16))
            errors += list(np.abs(of_bf16 / of_f32 - 1))
    if not errors:
        return []
    names = " and ".join(one.name.removesuffix(".txt") for one in runs)
    return [f"In f32 ({names}) the {len(errors)} chunk means differ by "
            f"{np.median(errors):.2%} in the median, {max(errors):.1%} at most."]


def policies(study):
    """KL of what each policy keeps, near and far, at every budget."""
    arms = {(arm["policy"], str(arm["budget"])): arm for arm in study.reports["kept"]["retention"]["arms"]}
    budgets = study.budgets
    last = budgets[min(1, len(budgets) - 1)]
    names = sorted({policy for policy, _ in arms},
                   key=lambda name: arms[name, last]["near"]["mean_nats"]["value"])
    header = ["KL, nats", *(f"{budget}, {where}" for budget in budgets for where in ("near", "far"))]
    return table(header, [[name, *(with_interval(arms[name, budget][where]["mean_nats"], "{:.2g}")
                                   for budget in budgets for where in ("near", "far"))]
                          for name in names])


def rivals(study):
    """How many times as far infokv's predictions are from the full cache's as other policies'."""
    rows = []
    for budget in study.budgets:
        for other in ("snapkv", "pyramidkv", "expected-attention", "h2o", "random"):
            if not study.divergence(other, budget):
                continue
            row = [f"infokv over {other}", budget]
            for window in (NEAR, FAR):
                effect = ratio(study.divergence("infokv", budget, window),
                               study.divergence(other, budget, window))
                row += [effect_text(effect), p_text(effect.p)]
            rows.append(row)
    return table(["KL", "budget", "near", "p", "far", "p"], rows)


def kept(study):
    """How much of which words each policy keeps at budget 0.2, relative to all words."""
    rows = []
    for arm in study.reports["kept"]["retention"]["arms"]:
        if str(arm["budget"]) != "0.2":
            continue
        row = [arm["policy"]]
        for tags in (CONTENT, FUNCTION):
            ratios = kept_shares(study.runs["kept"], f"{arm['policy']}@0.2", tags)
            low, high = run_statistics.bootstrap(ratios, np.mean)
            row.append(effect_text(Effect(ratios.mean(), low, high, np.nan), "{:.2f}".format))
        rows.append([*row, *(f"{arm['kept']['by_entropy_quarter'][quarter]:.2f}" for quarter in (0, 3))])
    return table(["keeps 0.2", "content words", "function words", "lowest entropy", "highest entropy"],
                 rows)


def single_tokens(study):
    """What analyze says of InfoKV's claims, one token at a time."""
    rows = []
    claims = (study.reports[kind]["pooled"]["claims"]["claims"] for kind in ("lag", "end"))
    for both in zip(*claims):
        row = [both[0]["claim"].replace("attention-cumulative", "attention")]
        for claim in both:
            row += [with_interval(claim["rank_correlation"], "{:.2f}"), p_text(claim["p"]),
                    p_text(claim["p_holm"])]
        rows.append(row)
    return table(["claim", "`lag:16`", "p", "Holm's", "`end`", "p", "Holm's"], rows)


def distances(study):
    """Medians of the six kinds, a column a bin."""
    groups = study.reports["lag"]["pooled"]["groups"]
    chosen = [group for kind in KINDS for group in groups
              if group["name"].startswith(f"chosen: each:{kind}:")]
    header = ["median nats", *("-".join(map(str, (cell["distance"][0], cell["distance"][1] - 1)))
                               for cell in chosen[0]["bins"])]
    return table(header, [[spoken(group["name"].removeprefix("chosen: ")),
                           *(with_interval(cell["median_nats"], "{:.1e}") for cell in group["bins"])]
                          for group in chosen])


def entropies(study):
    every = study.reports["chunks"]["pooled"]["entropy_by_part_of_speech"]["rows"]
    readings = ("entropy-before", "entropy-at")
    named = {"content words": "content words", "function words": "function words",
             "content less function": "difference"}
    rows = [[named[row["name"]], "" if row["n_tokens"] is None else row["n_tokens"],
             *(with_interval(row[reading]["mean_nats"], "{:.2f}") for reading in readings)]
            for row in every if row["name"] in named]
    return table(["mean nats", "tokens", "before the token", "at the token"], rows)


def partials(study):
    """Rank correlations given position, near and far."""
    lag = study.reports["lag"]["pooled"]
    rows = []
    for signal in lag["rank_correlations"]:
        cells = {tuple(cell["distance"]): cell for cell in signal["bins"]}
        rows.append([signal["signal"], *(with_interval(cells[tuple(lag[where])]["partial"], "{:.2f}")
                                         for where in ("near", "far"))])
    return table(["given position", *("distance {}-{}".format(lag[where][0], lag[where][1] - 1)
                                      for where in ("near", "far"))], rows)
