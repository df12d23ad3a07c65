"""Head budgets of the literature, as files that the policy `budgets:FILE/OTHER` reads.

    python3 notebooks/head_budgets/rivals.py MODEL.gguf -o FOLDER --texts FILE... [--only RIVAL...]

With the packages of tests/parity/requirements.txt (torch, transformers, gguf). LONGSHADOW
(build/longshadow) says whose weights they are. TEXTS are the haystacks and the learning documents.
Writes a budgets file, and in it the scores that it is made of, for each rival:

  duo-attention           gates learnt on passkeys (arXiv 2410.10819)
  duo-attention-estimate  kvpress's estimate of them
  razor-attention         induction and echo on random tokens (arXiv 2407.15891)
  headkv                  attention on needles (arXiv 2410.19258)
  attention               H2O's scores: the highest pairs of head and token, by attention alone

The papers keep some heads whole and a few thousand tokens of the others. Here a budget is a share of the
tokens, so the others get a share of the budget: a file for each of FLOORS. HeadKV's beta is a file's as well:
its code tries eight and keeps the best. RazorAttention's compensation token, the mean of what is dropped, is
left out.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np

import allocation

BUDGETS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
FLOORS = (0.25, 0.5, 0.75)
BETAS = (1.01, 1.2, 2, 5)
LEARNING_TOKENS = 1024
LEARNING_TEXTS = 10
RIVALS = ("duo-attention", "duo-attention-estimate", "razor-attention", "headkv", "attention")
ROOT = Path(__file__).resolve().parents[2]


def budgets_file(identity, ranking, learned, allocate):
    """The file's fields; allocate(budget) gives the shares of all heads at a mean budget."""
    shape = (identity["layers"], identity["kv_heads"])
    shares = [np.reshape(allocate(budget), shape) for budget in BUDGETS]
    return {"format": "longshadow head budgets", "format_version": 1, **identity, "ranking": ranking,
            "learned": learned, "budgets": list(BUDGETS), "shares": [s.tolist() for s in shares]}


def budgets_of(rival, scores, identity, learned):
    """(name, fields) of every file that a rival's scores give."""
    scores = {name: np.array(values) for name, values in scores.items()}
    if rival == "headkv":
        for beta in BETAS:
            yield f"headkv-beta{beta}", budgets_file(
                identity, "snapkv", {**learned, "beta": beta},
                lambda budget: allocation.in_proportion(scores["needle"], budget, beta))
    elif rival == "attention":
        yield rival, budgets_file(identity, "h2o", learned,
                                  lambda budget: allocation.highest_pairs(scores["curves"], budget))
    else:
        order = (allocation.by_induction_and_echo(scores["induction"], scores["echo"])
                 if rival == "razor-attention" else allocation.by_score(scores["gates"]))
        for floor in FLOORS:
            yield f"{rival}-floor{floor}", budgets_file(
                identity, "streaming-llm", {**learned, "floor": floor},
                lambda budget: allocation.whole_heads(order, budget, floor))


def weights_identity(path, longshadow):
    """What the file says of the model whose heads these are, from `longshadow info`."""
    said = subprocess.run([longshadow, "info", path], check=True, capture_output=True, text=True).stdout
    lines = dict(line.split("  ", 1) for line in said.splitlines() if "  " in line)

    def found(name):
        return lines[name].strip()

    return {"model": {"name": found("name"), "weights_sha256": found("weights sha256")},
            "layers": int(found("layers")), "kv_heads": int(found("key-value heads"))}


def scores_of(rival, model_path, texts, seed, steps, log):
    """What a rival says of the heads: name -> [L, K] ([L, K, n] of attention)."""
    import torch

    import attention_scores
    import duo_attention
    from inspected_model import InspectedModel

    # The gates are learnt in bf16, as the paper's are; what is read off attention is so in f32.
    model = InspectedModel(model_path, torch.bfloat16 if rival == "duo-attention" else torch.float32)
    chance = random.Random(seed)
    learning = [model.ids(text)[:LEARNING_TOKENS] for text in texts[:LEARNING_TEXTS]]
    haystack = sum((model.ids(text) for text in texts), [])
    if rival == "duo-attention":
        return {"gates": duo_attention.learnt_gates(model, haystack, steps, chance, log)}
    if rival == "duo-attention-estimate":
        return {"gates": duo_attention.gates_on_the_fly(model, learning)}
    if rival == "razor-attention":
        return dict(zip(("induction", "echo"), attention_scores.induction_and_echo(model, chance)))
    if rival == "headkv":
        return {"needle": attention_scores.needle_attention(model, haystack, chance, log)}
    return {"curves": attention_scores.attention_curves(model, learning)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path, help="a GGUF file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    parser.add_argument("--texts", type=Path, nargs="+", required=True,
                        help=f"at least {LEARNING_TOKENS} tokens each")
    parser.add_argument("--only", nargs="+", choices=RIVALS, default=RIVALS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=64, help="of the gates' optimisation")
    options = parser.parse_args()

    longshadow = os.environ.get("LONGSHADOW", ROOT / "build/longshadow")
    identity = weights_identity(options.model, longshadow)
    texts = [path.read_text() for path in options.texts]
    options.output.mkdir(parents=True, exist_ok=True)
    for rival in options.only:
        def log(line):
            print(f"{rival}: {line}", file=sys.stderr, flush=True)

        scores = scores_of(rival, options.model, texts, options.seed, options.steps, log)
        learned = {"how": rival, "seed": options.seed, "texts": [path.name for path in options.texts]}
        if rival == "duo-attention":
            learned["steps"] = options.steps
        if rival != "attention":
            learned["scores"] = {name: np.round(values, 6).tolist() for name, values in scores.items()}
        for name, fields in budgets_of(rival, scores, identity, learned):
            (options.output / f"{name}.json").write_text(json.dumps(fields) + "\n")


if __name__ == "__main__":
    main()
