"""Makes data/fixtures/models/rotary.json: rotary settings of config.json, in the spellings of public
models, and the frequencies and attention factor that transformers takes from them. Of some, too, the
cosines and sines by which it rotates at positions, with its float32 steps taken in float64.

    python3 tests/parity/make_rotary_fixtures.py    # with the packages of requirements.txt
"""

import json
from pathlib import Path
from unittest import mock

import torch
import transformers
from transformers import AutoConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding

OUTPUT = Path(__file__).resolve().parents[2] / "data/fixtures/models/rotary.json"

SHAPE = {"hidden_act": "silu", "hidden_size": 512, "intermediate_size": 64, "num_hidden_layers": 1,
         "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "rms_norm_eps": 1e-6}


def case(tokens=0, model_type="llama", max_position_embeddings=32768, positions=None, **members):
    """A text of so many tokens; 0: its length does not matter."""
    one = {"tokens": tokens, "config": SHAPE | {
        "model_type": model_type, "max_position_embeddings": max_position_embeddings} | members}
    return one if positions is None else one | {"positions": positions}


def yarn(spelling="rope_type", **members):
    return {spelling: "yarn", "factor": 4.0, "original_max_position_embeddings": 32768} | members


DYNAMIC = {"type": "dynamic", "factor": 2.0}
CASES = [
    case(model_type="qwen2", rope_theta=1e6, rope_scaling=yarn("type")),
    case(rope_scaling=yarn(), rope_theta=5e5, head_dim=64),
    case(rope_parameters=yarn(rope_theta=1e6)),
    case(rope_parameters=yarn(rope_theta=1e6), rope_scaling={"rope_type": "linear", "factor": 2.0}),
    case(model_type="mistral", sliding_window=None, max_position_embeddings=131072, rope_theta=1e5,
         rope_scaling={"rope_type": "yarn", "factor": 16.0, "beta_fast": 16.0, "beta_slow": 2.0,
                       "original_max_position_embeddings": 8192}),
    case(rope_scaling=yarn(mscale=0.707, mscale_all_dim=1.0)),
    case(rope_scaling=yarn(mscale=1.0, mscale_all_dim=0.0)),
    case(rope_scaling=yarn(attention_factor=1.25, beta_fast=None)),
    case(rope_scaling=yarn(truncate=False)),
    case(rope_scaling=yarn(factor=None), max_position_embeddings=163840),
    case(rope_scaling={"rope_type": "yarn", "factor": 8.0}, max_position_embeddings=4096),
    case(rope_scaling=yarn(), original_max_position_embeddings=2048),
    case(rope_scaling=yarn(original_max_position_embeddings=16)),
    case(1, rope_scaling=DYNAMIC, max_position_embeddings=2048),
    case(2048, rope_scaling=DYNAMIC, max_position_embeddings=2048),
    case(2049, rope_scaling=DYNAMIC, max_position_embeddings=2048),
    case(4000, rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 5e4},
         max_position_embeddings=2048, head_dim=64),
    case(9000, rope_scaling={"type": "dynamic", "factor": 1.0}, max_position_embeddings=2048),
    case(rope_scaling={"type": "linear", "factor": 2.5}),
    case(rope_theta=5e5, rope_scaling={
        "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192}),
    case(rope_theta=5e5, max_position_embeddings=8192, rope_scaling={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}),
    # Qwen3's model cards ask for this; positions on both sides of the original context.
    case(model_type="qwen3", head_dim=128, max_position_embeddings=40960, rope_theta=1e6,
         rope_scaling=yarn(), positions=[0, 1, 4096, 32767, 32768, 40959]),
    case(model_type="qwen3", rope_theta=1e6, rope_scaling=yarn()),  # heads of 128 for want of a size
]


def turns(config, positions):
    """cos and sin, each [positions, d / 2], times the attention factor."""
    with mock.patch.multiple(torch, float=torch.float64, float32=torch.float64):
        rotary = Qwen3RotaryEmbedding(config)
        cos, sin = rotary(torch.zeros(1, dtype=torch.float64), torch.tensor([positions]))
    half = cos.shape[-1] // 2
    return {"cos": cos[0, :, :half].tolist(), "sin": sin[0, :, :half].tolist()}


def expected(one):
    members = dict(one["config"])
    config = AutoConfig.for_model(members.pop("model_type"), **json.loads(json.dumps(members)))
    kind = config.rope_parameters["rope_type"]
    frequencies, factor = ROPE_INIT_FUNCTIONS[kind](config, "cpu", seq_len=one["tokens"] or None)
    result = one | {"frequencies": frequencies.double().tolist(), "attention_factor": factor}
    return result | turns(config, one["positions"]) if "positions" in one else result


def main():
    lines = ",\n".join(json.dumps(expected(one)) for one in CASES)
    OUTPUT.write_text(f'{{"made_with": "transformers {transformers.__version__}",\n'
                      f'"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
