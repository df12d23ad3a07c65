#!/usr/bin/env python3
"""Draws the figures of results.md from what run.sh measured, one folder a model, and fills its tables in:

    python3 notebooks/head_budgets/summarise.py SmolLM2-135M-Instruct=OUTPUT Qwen2.5-Coder-0.5B=OUTPUT_2
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "analysis"), str(HERE.parent / "common")]
import arms
import pictures
import tables
from marks import fill
from studies import read_studies

TABLES = ("claim", "worst", "groups", "policies", "rivals", "lengths", "crossing", "few", "stability", "needles", "greedy")
CAPTIONS = {"cost": "KL against budget", "map": "Slots by layer and KV head"}


@dataclass
class Study:
    """What run.sh measured with one model; legs that were not run are None."""
    model: str
    folder: Path
    main: arms.Arms
    lengths: dict
    crossing: dict
    few: dict


def read(model, folder):
    main = arms.read(folder / "kept")
    if main is None:
        raise SystemExit(f"{folder}: expected a folder that run.sh wrote, found no run in kept/")
    return Study(model, folder, main, {length: arms.read(folder / f"kept_{length}") for length in tables.LENGTHS},
                 {group: arms.read(folder / f"kept_from_{group}") for group in ("prose", "code")},
                 {count: arms.read(folder / f"kept_{count}") for count in tables.COUNTS})


def of_models(studies, name):
    """The table of each model that has it, under the model's name."""
    found = [(study.model, getattr(tables, name)(study)) for study in studies]
    return "\n\n".join(f"**{model}**\n\n{text}" for model, text in found if text) or "Not measured."


def main():
    studies = read_studies(sys.argv[1:], read)
    matplotlib.use("Agg")
    page = (HERE / "results.md").read_text()
    for name in TABLES:
        page = fill(page, name, of_models(studies, name))
    shown = {name: [] for name in CAPTIONS}
    for study in studies:
        folder = HERE / study.model
        folder.mkdir(exist_ok=True)
        for name in pictures.draw(study, folder):
            shown[name].append(f"![{CAPTIONS[name]}, {study.model}]({study.model}/{name}.png)")
    for name, links in shown.items():
        page = fill(page, f"picture: {name}", "\n\n".join(links))
    (HERE / "results.md").write_text(page)


if __name__ == "__main__":
    main()
