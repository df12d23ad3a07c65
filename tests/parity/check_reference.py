"""Recomputes a reference of a real model with plain float64 numpy and prints how far it is off.

    python3 tests/parity/check_reference.py --model SmolLM2-135M-Instruct.Q4_1.gguf \\
        --reference smollm2_lomb_scargle.json

Exits 1 where a quantity differs by more than its reference's printed digits allow.
"""

import argparse
import json
import sys

import numpy as np

import reference as ref
from load_gguf import load_gguf


def measure(model, expected):
    """The reference's quantities, recomputed, under the reference's keys."""
    ids = np.array(expected["token_ids"])
    context, future, lag = expected["context"], expected["future"], expected["lag"]
    full = ref.full_pass(model, ids)

    def influence(removed, start):
        return ref.forward_influence(model, full, removed, start, future)

    def attention(signal):
        return [signal(full.attention[layer], model.n_kv_heads, context)
                for layer in expected["attention_layers"]]

    return {
        "kl_end": [influence([i], context) for i in expected["subjects"]],
        "kl_lag": [influence([i], i + lag + 1) for i in expected["lag_subjects"]],
        "kl_span": influence(list(range(*expected["span"])), context),
        "entropy": ref.entropy(full.logits),
        "entropy_top20": ref.top_k_entropy(full.logits, 20),
        "surprisal": ref.surprisal(full.logits, ids),
        "drift": ref.drift(full.residuals)[expected["drift_layers"]],
        "attention_window64": attention(ref.attention_window),
        "attention_cumulative": attention(ref.attention_cumulative),
        "logits_argmax": full.logits.argmax(axis=-1),
        "logprob_first_row": ref.log_softmax(full.logits[0])[:len(expected["logprob_first_row"])],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--reference", required=True, help="JSON file")
    # The references are printed to 8 to 10 digits, and a KL summed as p (log p - log q) carries a
    # rounding error of some 1e-14 whatever its size.
    parser.add_argument("--tolerance", type=float, default=1e-6, help="relative")
    parser.add_argument("--floor", type=float, default=1e-13, help="absolute, added to it")
    options = parser.parse_args()
    with open(options.reference, encoding="utf-8") as file:
        expected = json.load(file)

    worst = 0.0
    for key, ours in measure(load_gguf(options.model), expected).items():
        ours, theirs = np.array(ours, float), np.array(expected[key], float)
        if ours.shape != theirs.shape:
            sys.exit(f"{key}: expected shape {theirs.shape}, computed {ours.shape}")
        known = ~np.isnan(theirs)
        difference = np.abs(ours - theirs)[known]
        allowed = options.tolerance * np.abs(theirs[known]) + options.floor
        print(f"{key:22} largest difference {difference.max():.2e}, "
              f"of what is allowed {np.max(difference / allowed):.3f}")
        worst = max(worst, np.max(difference / allowed))
    print(f"worst {worst:.3f} of what is allowed")
    return worst > 1.0


if __name__ == "__main__":
    sys.exit(int(main()))
