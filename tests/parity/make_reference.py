"""Writes what a real model must measure on a real document, computed in float64 numpy (reference.py).

    pip install -r tests/parity/requirements.txt    # of it gguf, numpy, tokenizers and transformers are used
    python3 tests/parity/make_reference.py

Takes half a minute and 3 GB for SmolLM2 and the article in data/documents, which it reads unless told otherwise, and
writes build/reference/smollm2_how_a_cache_forgets.json: tests/probes/experiments/reference_test.cc holds every precision and method
to it. Weights are dequantised by the gguf package, token ids are those of transformers' tokenizer, and nothing is
Longshadow's. `check_reference.py` compares a reference that was made elsewhere with what is computed here.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

import reference as ref
from load_gguf import load_gguf

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "data/models/SmolLM2-135M-Instruct.Q4_1.gguf"
DOCUMENT = ROOT / "data/documents/how_a_cache_forgets.txt"
OUTPUT = ROOT / "build/reference/smollm2_how_a_cache_forgets.json"
DIGITS = 12  # printed; the largest rounding error of an influence is some 1e-9 of it


def choose(context, future, lag, tokens):
    """What to measure: so many tokens spread over the context, and a span of 12."""
    subjects = [int(i) for i in np.linspace(0, context - 1, tokens + 1)[:-1]]
    return {"context": context, "future": future, "lag": lag, "subjects": subjects, "lag_subjects": subjects,
            "span": [15, 27]}


def measure(model, recipe):
    """Every quantity of the reference under its key, of a recipe as choose() makes it, with `token_ids`, the
    `drift_layers` and the `attention_layers`. Influences are in nats, [subjects, future]."""
    ids = np.array(recipe["token_ids"])
    context, future, lag = recipe["context"], recipe["future"], recipe["lag"]
    full = ref.full_pass(model, ids)

    def influence(removed, start):
        return ref.forward_influence(model, full, removed, start, future)

    def attention(signal):
        return [signal(full.attention[layer], model.n_kv_heads, context) for layer in recipe["attention_layers"]]

    return {
        "kl_end": [influence([i], context) for i in recipe["subjects"]],
        "kl_lag": [influence([i], i + lag + 1) for i in recipe["lag_subjects"]],
        "kl_span": influence(list(range(*recipe["span"])), context),
        "entropy": ref.entropy(full.logits),
        "entropy_top20": ref.top_k_entropy(full.logits, 20),
        "surprisal": ref.surprisal(full.logits, ids),
        "drift": ref.drift(full.residuals)[recipe["drift_layers"]],
        "attention_window64": attention(ref.attention_window),
        "attention_cumulative": attention(ref.attention_cumulative),
        "logits_argmax": full.logits.argmax(axis=-1),
        "logprob_first_row": ref.log_softmax(full.logits[0])[:64],
    }


def token_ids(model, document):
    """By the tokenizer that transformers makes of the GGUF file; text as text, no token before it."""
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(str(model.parent), gguf_file=model.name)
    text = document.read_text(encoding="utf-8")
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def printed(value):
    """Nested lists of numbers of DIGITS digits; NaN is null."""
    if isinstance(value, (list, np.ndarray)):
        return [printed(item) for item in value]
    if isinstance(value, (int, np.integer)):
        return int(value)
    return None if np.isnan(value) else float(f"{value:.{DIGITS}g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL, help="GGUF file")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="UTF-8 text")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--future", type=int, default=64)
    parser.add_argument("--lag", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=15)
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    options = parser.parse_args()

    recipe = choose(options.context, options.future, options.lag, options.tokens)
    needed = options.context + options.lag + 1 + options.future
    ids = token_ids(options.model, options.document)
    if len(ids) < needed:
        parser.error(f"{options.document}: expected at least {needed} tokens, found {len(ids)}")
    model = load_gguf(options.model)
    layers = [0, len(model.layers) // 2, len(model.layers) - 1]
    recipe |= {"token_ids": ids[:needed], "drift_layers": layers, "attention_layers": layers}
    written = {
        "document": options.document.name,
        "document_sha256": hashlib.sha256(options.document.read_bytes()).hexdigest(),
        "weights": f"{options.model.name} dequantised",
    } | recipe | {key: printed(value) for key, value in measure(model, recipe).items()}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(written) + "\n")


if __name__ == "__main__":
    main()
