#!/usr/bin/env python3
"""Draws the figures of results.md from the runs of run.sh, and fills its tables in:

    python3 notebooks/study/summarise.py OUTPUT
"""

import json
import re
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "analysis"))
import run_file
from figures.distance import draw_distance, spoken
from figures.entropy import CONTENT, FUNCTION, draw_entropy
from figures.kept_words import draw_kept_words, kept_shares
from figures.sets import draw_sets
from figures.signals import draw_signals
from figures.style import STYLE

DOTS_PER_INCH = 130
NEAR, FAR = slice(0, 16), slice(128, 256)  # positions after the start
KINDS = ["random", "entropy-before", "-entropy-before", "entropy-at", "drift",
         "attention-cumulative"]
PAIRS = [("attention-window", "random"), ("entropy-before", "random"), ("drift", "random"),
         ("entropy-at", "random"), ("attention-window", "entropy-before")]


def read(folder):
    return [document for path in sorted(folder.glob("*.h5")) for document in run_file.documents(path)]


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def with_interval(estimate, spelling):
    if estimate["value"] is None:
        return "cannot be said"
    if estimate["low"] is None:
        return spelling.format(estimate["value"])
    return (spelling + " [" + spelling + ", " + spelling + "]").format(
        estimate["value"], estimate["low"], estimate["high"])


def p_text(p):
    return "-" if p is None else f"{p:.3f}"


def claims(lag, end):
    rows = []
    for at_lag, at_end in zip(lag["claims"]["claims"], end["claims"]["claims"]):
        row = [at_lag["claim"].replace("attention-cumulative", "attention")]
        for claim in (at_lag, at_end):
            row += [with_interval(claim["rank_correlation"], "{:.2f}"), p_text(claim["p"]),
                    p_text(claim["p_holm"])]
        rows.append(row)
    return table(["claim", "`lag:16`", "p", "Holm's", "`end`", "p", "Holm's"], rows)


def distances(lag):
    """Medians of the six kinds, a column a bin."""
    chosen = [group for kind in KINDS for group in lag["groups"]
              if group["name"].startswith(f"chosen: each:{kind}:")]
    header = ["median nats", *("-".join(map(str, (cell["distance"][0], cell["distance"][1] - 1)))
                               for cell in chosen[0]["bins"])]
    return table(header, [[spoken(group["name"].removeprefix("chosen: ")),
                           *(with_interval(cell["median_nats"], "{:.1e}") for cell in group["bins"])]
                          for group in chosen])


def entropies(lag):
    report = lag["entropy_by_part_of_speech"]
    readings = ("entropy-before", "entropy-at")
    rows = [[row["name"], row["n_tokens"],
             *(with_interval(row[reading]["mean_nats"], "{:.2f}") for reading in readings)]
            for row in report["rows"][:2]]
    rows.append(["difference", "", *(with_interval(report["content_less_function_nats"][reading],
                                                   "{:.2f}") for reading in readings)])
    return table(["mean nats", "tokens", "before the token", "at the token"], rows)


def partials(lag):
    """Rank correlations given position, near and far."""
    rows = []
    for signal in lag["rank_correlations"]:
        cells = {tuple(cell["distance"]): cell for cell in signal["bins"]}
        rows.append([signal["signal"], *(with_interval(cells[tuple(lag[where])]["partial"], "{:.2f}")
                                         for where in ("near", "far"))])
    return table(["given position", *("distance {}-{}".format(lag[where][0], lag[where][1] - 1)
                                      for where in ("near", "far"))], rows)


def flipped_p(values):
    """Two-sided p of a mean of 0, by all patterns of signs."""
    signs = 1 - 2 * ((np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1)
    return np.mean(np.abs(signs @ values) >= abs(values.sum()) * (1 - 1e-12))


def lead(values, others):
    """How many times as much `values` are as `others`, document by document, and its p."""
    logarithms = np.log(np.array(values) / np.array(others))
    low, high = run_file.bootstrap(logarithms, np.mean)
    return [f"{np.exp(logarithms.mean()):.2g} [{np.exp(low):.2g}, {np.exp(high):.2g}]",
            p_text(flipped_p(logarithms))]


def sets(documents):
    """How many times more one set does than another, near and far."""
    rows = []
    for share in ("5%", "20%"):
        for one, other in PAIRS:
            row = [f"{one} over {other}", share]
            for window in (NEAR, FAR):
                row += lead(*([document.sets[f"top:{signal}:{share}"][0, window].mean()
                               for document in documents] for signal in (one, other)))
            rows.append(row)
    return table(["removed at once", "share", "positions 0-15", "p", "positions 128-255", "p"], rows)


def rivals(documents):
    """How many times as far infokv's predictions are from the full cache's as other policies'."""
    def divergence(policy, window):
        return [next(one for one in document.retention if one.policy == policy).kl[window].mean()
                for document in documents]

    rows = []
    for other in ("snapkv", "h2o", "expected-attention", "random"):
        row = [f"infokv over {other}"]
        for window in (slice(0, 64), slice(192, 256)):
            row += lead(divergence("infokv", window), divergence(other, window))
        rows.append(row)
    return table(["", "KL near", "p", "KL far", "p"], rows)


def kept(report, documents):
    """What each policy costs, and how much of which words it keeps, relative to all words."""
    rows = []
    for arm in sorted(report["arms"], key=lambda one: one["far"]["mean_nats"]["value"]):
        name = f"{arm['policy']}@{arm['budget']}"
        row = [arm["policy"], *(with_interval(arm[where]["mean_nats"], "{:.2g}")
                                for where in ("near", "far"))]
        for tags in (CONTENT, FUNCTION):
            ratios = kept_shares(documents, name, tags)
            low, high = run_file.bootstrap(ratios, np.mean)
            row.append(f"{ratios.mean():.2f} [{low:.2f}, {high:.2f}]")
        rows.append([*row, *(f"{arm['kept']['by_entropy_quarter'][quarter]:.2f}"
                             for quarter in (0, 3))])
    return table(["budget 0.2", "KL near, nats", "KL far, nats", "content words", "function words",
                  "lowest entropy", "highest entropy"], rows)


def fill(page, name, text):
    """Puts `text` between the marks of `name`."""
    marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
    return re.sub("{}.*?{}".format(*map(re.escape, marks)),
                  lambda _: f"{marks[0]}\n{text}\n{marks[1]}", page, flags=re.DOTALL)


def draw(lag, end, kept_runs):
    at_end = run_file.pool(end)
    at_end.sets = {name: kl for name, kl in at_end.sets.items() if name.endswith(":20%")}
    pooled = run_file.pool(lag)
    with plt.rc_context(STYLE):
        for name, figure in (("distance", draw_distance(pooled)), ("signals", draw_signals(pooled)),
                             ("entropy", draw_entropy(pooled)), ("sets", draw_sets(at_end)),
                             ("kept", draw_kept_words(kept_runs))):
            figure.savefig(HERE / f"{name}.png", dpi=DOTS_PER_INCH)


def main():
    output = Path(sys.argv[1])
    matplotlib.use("Agg")
    documents = {kind: read(output / kind) for kind in ("lag", "end", "kept")}
    draw(documents["lag"], documents["end"], documents["kept"])
    analyzed = {kind: json.loads((output / f"{kind}.json").read_text()) for kind in documents}
    report = {kind: analyzed[kind]["pooled"] for kind in ("lag", "end")}
    page = (HERE / "results.md").read_text()
    for name, text in (
            ("documents", "Documents: " + ", ".join(one.name for one in documents["lag"]) + "."),
            ("claims", claims(report["lag"], report["end"])),
            ("distances", distances(report["lag"])), ("entropies", entropies(report["lag"])),
            ("partials", partials(report["lag"])), ("sets", sets(documents["end"])),
            ("kept", kept(analyzed["kept"]["retention"], documents["kept"])),
            ("rivals", rivals(documents["kept"]))):
        page = fill(page, name, text)
    (HERE / "results.md").write_text(page)
    for kind, begin in (("lag", r"^all \d+ documents"), ("end", r"^all \d+ documents"),
                        ("kept", r"^KL\(full")):  # what analyze says of all documents together
        text = (output / f"{kind}.txt").read_text()
        (HERE / f"{kind}.txt").write_text(text[re.search(begin, text, re.M).start():])


if __name__ == "__main__":
    main()
