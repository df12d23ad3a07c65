"""Writes data/fixtures/policies/cake.json: the slots that CAKE keeps of the layers kept there.

    python3 tests/parity/make_cake_fixture.py CAKE    # with torch and safetensors

CAKE is a checkout of the paper's code (github.com/antgroup/cakekv; arXiv 2503.12491). Its functions for
a layer's entropy and for budgets are called; what its attention layers do around them needs a GPU, and is
written here again: statistics of the window's softmax, pools, and the highest scores.
"""

import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

FIXTURES = Path(__file__).resolve().parents[2] / "data/fixtures/policies"
WINDOW, GAMMA, KERNEL = 32, 200, 5
TAUS = [(1.0, 1.0), (1.6, 0.4)]
BUDGETS = (0.5, 0.2, 0.1)


def rotated(queries, frequencies):
    """[H, rows, d] at the last positions of n; element i turns with element i + d / 2."""
    angles = torch.arange(queries.shape[1])[:, None] * frequencies[None, :]
    first, second = queries.chunk(2, dim=-1)
    return torch.cat([first * angles.cos() - second * angles.sin(),
                      second * angles.cos() + first * angles.sin()], dim=-1)


def window_softmax(queries, keys):
    """[H, window, n]"""
    keys = keys.repeat_interleave(queries.shape[0] // keys.shape[0], dim=0)
    n = keys.shape[1]
    logits = queries[:, -WINDOW:] @ keys.transpose(1, 2) / math.sqrt(keys.shape[2])
    hidden = torch.arange(n)[None, :] > torch.arange(n - WINDOW, n)[:, None]
    return logits.masked_fill(hidden, -torch.inf).softmax(-1)


def main():
    sys.path.insert(0, sys.argv[1])
    from cake.utils import adjust_budgets, calculate_entropy

    sizes = json.loads((FIXTURES / "kept.json").read_text())
    inputs = load_file(FIXTURES / "inputs.safetensors")
    n, layers, heads = sizes["n"], sizes["n_layers"], sizes["n_heads"]
    frequencies = torch.tensor(sizes["frequencies"], dtype=torch.float64)
    spread, scores = [], []
    for layer in range(layers):
        queries = inputs[f"layer.{layer}.queries"].double().view(n, heads, -1).transpose(0, 1)
        keys = inputs[f"layer.{layer}.keys"].double()
        before = window_softmax(rotated(queries, frequencies), keys)[..., :-WINDOW]
        variance = before.var(dim=1)
        spread.append((calculate_entropy(before).item(), variance.sum().item()))
        score = torch.nn.functional.avg_pool1d(before.mean(dim=1) + GAMMA * variance, KERNEL, stride=1,
                                               padding=KERNEL // 2)
        scores.append(score.view(keys.shape[0], -1, score.shape[1]).mean(dim=1))
    kept = []
    for tau1, tau2 in TAUS:
        preferences = [entropy ** (1 / tau1) * variance ** (1 / tau2) for entropy, variance in spread]
        for budget in BUDGETS:
            kept_of_head = int(n * (1 - (1 - budget)))  # Longshadow rounds as kvpress does
            total = (kept_of_head - WINDOW) * layers
            shares = [preference / sum(preferences) * total for preference in preferences]
            slots = adjust_budgets(shares, total, n - WINDOW, layers)
            kept.append({"policy": f"cake:tau1={tau1},tau2={tau2}", "budget": budget, "slots": [
                [sorted(head.topk(count).indices.tolist()) for head in layer]
                for layer, count in zip(scores, slots)]})
            print(kept[-1]["policy"], budget, slots)
    (FIXTURES / "cake.json").write_text(json.dumps(
        {"about": "slots before the window that CAKE keeps, [L][K]", "kept": kept}) + "\n")


if __name__ == "__main__":
    main()
