"""Writes data/fixtures/generation/greedy.json: what transformers writes with the tiny models.

    python3 tests/parity/make_generation_fixtures.py    # with the packages of requirements.txt

For each model of data/fixtures/models: the first tokens of its document as the prompt, and the
tokens that generate() adds greedily in float64 when no token ends the text, without and with a
repetition penalty. Every choice is clear: the script stops where the two likeliest tokens are
closer than MARGIN nats, which no rounding in float32 bridges.
"""

import json
from pathlib import Path

import torch
from transformers import GenerationConfig

from make_tiny_models import FIXTURES, SPECS, load_in_float64

PROMPT, TOKENS, MARGIN = 24, 40, 1e-3
PENALTY = 1.3


def greedy(model, prompt, penalty=1.0):
    settings = GenerationConfig(max_new_tokens=TOKENS, do_sample=False, eos_token_id=None,
                                pad_token_id=0, repetition_penalty=penalty,
                                return_dict_in_generate=True, output_scores=True)
    with torch.no_grad():
        written = model.generate(torch.tensor([prompt]), generation_config=settings)
    best = torch.stack(written.scores)[:, 0].topk(2).values
    margin = float((best[:, 0] - best[:, 1]).min())
    if margin < MARGIN:
        raise SystemExit(f"two tokens are only {margin:.1e} nats apart; take another prompt")
    return written.sequences[0, len(prompt):].tolist()


def main():
    fixtures = {}
    for spec in SPECS:
        model = load_in_float64(FIXTURES / spec.name, spec)
        ids = json.loads((FIXTURES / f"{spec.name}.json").read_text())["token_ids"]
        prompt = ids[:PROMPT]
        fixtures[spec.name] = {"prompt": prompt, "tokens": greedy(model, prompt),
                               "penalty": PENALTY, "penalized": greedy(model, prompt, PENALTY)}
    path = FIXTURES.parent / "generation/greedy.json"
    path.write_text(json.dumps(fixtures).replace("}, ", "},\n ") + "\n")


if __name__ == "__main__":
    main()
