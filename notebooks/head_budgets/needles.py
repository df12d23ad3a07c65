#!/usr/bin/env python3
"""Whether what was said once can still be told, and how long text stays the same, on caches that were cut:

    python3 needles.py facts  --longshadow P --model M --learned F --texts T --policies P,P -o FOLDER
    python3 needles.py greedy --longshadow P --model M --learned F --texts T --policies P,P -o FILE.json

A fact is stated once in a prose text and asked for about 1,000 and 3,000 tokens later; the context is cut some
tokens before the question, and the answer's tokens are read from `longshadow retain`'s surprisal. A fact is
told where each token of its answer has more than half of the probability: greedy text would have it. Both go
on where they were stopped. LEARNED has a folder fold_N for the fold of every text (run.sh).
"""

import argparse
import json
import math
import os
import re
import subprocess
from pathlib import Path

import h5py
import numpy as np

import texts

BUDGETS = "0.4,0.2,0.1"
DISTANCES = (1000, 3000)  # tokens from fact to question, about
AHEAD = 100  # tokens of prose before the fact, about
MARGIN = 8  # tokens of the future before the question
WRITTEN = 64  # tokens of greedy text
GREEDY_TEXTS = 8
FACTS = [  # what is asked for, and the answer
    ("access code of the north gate", "48213"), ("number of the blue locker", "7306"),
    ("name of the harbour master's dog", "Barnaby"), ("password of the old archive", "marigold"),
    ("depth of the well in the courtyard", "361 feet"), ("colour of the courier's bicycle", "turquoise"),
    ("serial number of the broken pump", "90574"), ("town where the clockmaker was born", "Lindenau"),
    ("price of the silver compass", "842 dollars"), ("favourite fruit of the lighthouse keeper", "quince"),
    ("room of the visiting geologist", "2719"), ("secret ingredient of the baker's bread", "cardamom")]


def budgets():
    return BUDGETS.split(",")


class Program:
    """The command with its model; each text's fold has a folder of what it may use."""

    def __init__(self, options):
        self.options = options
        self.folds = texts.folds()

    def run(self, name, *arguments, check=True):
        folder = Path(self.options.learned).resolve() / f"fold_{self.folds[name]}"
        return subprocess.run([self.options.longshadow, *arguments, "--model", self.options.model], text=True,
                              capture_output=True, check=check, env={**os.environ, "XDG_CACHE_HOME": str(folder)})

    def tokens(self, name, path):
        """How many tokens the text has: what the refusal of too long a context says."""
        refusal = self.run(name, "retain", "--document", str(path), "--context", "8000", "--future", "64", "--policies", "random",
                           "--dry-run", "-o", str(path.with_suffix(".none")), check=False).stderr
        found = re.search(r"but the document has (\d+)", refusal)
        if not found:
            raise SystemExit(f"needles.py: expected a count of the text's tokens, found: {refusal}")
        return int(found[1])


def prose():
    """Names of texts to put facts into, none of them one that LEARN of the environment names."""
    learnt = os.environ.get("LEARN", "").split()
    return [row["name"] for row in texts.rows() if row["group"] == "prose" and row["name"] not in learnt]


def first_words(text, letters):
    """The text up to the end of the word at about this many letters."""
    return text[:text.index(" ", letters)]


def with_fact(text, letters_a_token, distance, what, answer):
    """The prose with the fact in it as far as the question, and with question and answer."""
    before = first_words(text, round(AHEAD * letters_a_token))
    through = first_words(text[len(before):], round(distance * letters_a_token))
    asked = f"{before}. The {what} is {answer}. {through.strip()}."
    return asked, f"{asked}\n\nQuestion: What is the {what}?\nAnswer: The {what} is {answer}."


def answer_tokens(document, text, answer):
    """[first, last + 1) of the tokens that have bytes of the answer at the text's end."""
    end = len(text.encode()) - 1  # the full stop
    begin_end = document["tokens/bytes"][:]
    is_answer = (begin_end[:, 1] > end - len(answer.encode())) & (begin_end[:, 0] < end)
    found = np.flatnonzero(is_answer)
    return found[0], found[-1] + 1


def scores(surprisal):
    """What is kept of the surprisal of an answer's tokens."""
    return {"log_probability": -float(surprisal.sum()), "likeliest": bool((surprisal < math.log(2)).all())}


def read_answer(run, text, answer):
    """The answer on the full cache, and on what each policy left."""
    with h5py.File(run) as file:
        document, = file["documents"].values()
        context = document.attrs["context_tokens"]
        first, last = answer_tokens(document, text, answer)
        told = scores(document["signals/surprisal"][first:last].astype(float))
        arms = [{"policy": arm.attrs["policy"], "budget": arm.attrs["budget"],
                 **scores(arm["surprisal"][first - 1 - context:last - 1 - context].astype(float))}
                for name, arm in document["retention"].items() if "@" in name]
    return {"log_probability": told["log_probability"], "known": told["likeliest"], "arms": arms}


def measure_fact(program, folder, name, what, answer, distance):
    """Measures one fact in one text, unless it is there."""
    text = (Path(program.options.texts) / f"{name}.txt").read_text()
    stem = folder / f"{name}_{distance}"
    whole = stem.with_suffix(".txt")
    if not whole.exists():
        whole.write_text(text[:16000])
        letters_a_token = 16000 / program.tokens(name, whole)
        asked, told = with_fact(text, letters_a_token, distance, what, answer)
        cut = stem.with_suffix(".cut.txt")
        cut.write_text(asked)
        context = program.tokens(name, cut) - MARGIN
        whole.write_text(told)
        stem.with_suffix(".json").write_text(json.dumps(
            {"context": context, "future": program.tokens(name, whole) - context}))
    lengths = json.loads(stem.with_suffix(".json").read_text())
    run = stem.with_suffix(".h5")
    if not run.exists():
        program.run(name, "retain", "--document", str(whole), "--context", str(lengths["context"]), "--future",
                    str(lengths["future"]), "--sinks", "4", "--policies", program.options.policies, "--budgets",
                    BUDGETS, "--progress", "none", "-o", str(run))
    return {"text": name, "what": what, "distance": distance, **read_answer(run, whole.read_text(), answer)}


def facts(options):
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    program = Program(options)
    found = [measure_fact(program, folder, name, what, answer, distance) for distance in DISTANCES
             for name, (what, answer) in zip(prose(), FACTS)]
    (folder / "facts.json").write_text(json.dumps({"facts": found}, indent=1) + "\n")


def common_prefix(one, other):
    return next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))


def greedy(options):
    """Of 64 tokens, how many are the full cache's before the first other one: its share of the letters."""
    program, path = Program(options), Path(options.output)
    arms = json.loads(path.read_text())["arms"] if path.exists() else []
    done = {(arm["text"], arm["policy"]) for arm in arms}
    for name in prose()[:GREEDY_TEXTS]:
        def written(*choice):
            return program.run(name, "generate", "--document", str(Path(options.texts) / f"{name}.txt"), "-T",
                               "1024", "-n", str(WRITTEN), *choice).stdout
        missing = [policy for policy in options.policies.split(",") if (name, policy) not in done]
        full = written() if missing else ""
        for policy in missing:
            for budget in budgets():
                text = written("--policy", policy, "--budget", budget)
                arms.append({"text": name, "policy": policy, "budget": budget, "equal": text == full,
                             "first_difference": WRITTEN * common_prefix(full, text) / max(1, len(full))})
            path.write_text(json.dumps({"arms": arms}, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("facts", "greedy"))
    for name in ("longshadow", "model", "learned", "texts", "policies", "output"):
        parser.add_argument(f"--{name}", *(["-o"] if name == "output" else []), required=True)
    options = parser.parse_args()
    {"facts": facts, "greedy": greedy}[options.what](options)


if __name__ == "__main__":
    main()
