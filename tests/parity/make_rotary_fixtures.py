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
from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding
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


# Of heads of 16, of which 12 elements are rotated.
PHI = {"model_type": "phi3", "num_attention_heads": 32, "partial_rotary_factor": 0.75,
       "max_position_embeddings": 131072, "original_max_position_embeddings": 4096,
       "rope_scaling": {"type": "longrope", "short_factor": [1, 1.02, 1.05, 1.1, 1.3, 1.6],
                        "long_factor": [1.1, 1.3, 2.7, 9.5, 31.25, 47.77]}}
# As their config.json files spell them, but for the divisors, of which only the numbers count here.
LONGROPE_48 = {"type": "longrope", "short_factor": [1 + i / 64 for i in range(48)],
               "long_factor": [1 + i * i / 40 for i in range(48)]}
PHI_3_MINI = {"model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192, "num_attention_heads": 32,
              "num_key_value_heads": 32, "vocab_size": 32064, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
              "attention_bias": False, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
              "original_max_position_embeddings": 4096}
PHI_3_MINI_4K = PHI_3_MINI | {"max_position_embeddings": 4096, "rope_scaling": None, "sliding_window": 2047}
PHI_3_MINI_128K = PHI_3_MINI | {"max_position_embeddings": 131072, "rope_scaling": LONGROPE_48,
                                "sliding_window": 262144}
PHI_4_MINI = PHI_3_MINI_128K | {"num_attention_heads": 24, "num_key_value_heads": 8, "vocab_size": 200064,
                                "partial_rotary_factor": 0.75, "tie_word_embeddings": True, "mlp_bias": False,
                                "lm_head_bias": False, "full_attn_mod": 1, "interpolate_factor": 1}
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
    case(4096, **PHI),
    case(4097, **PHI),
    case(4097, **PHI | {"rope_scaling": PHI["rope_scaling"] | {
        "type": "su", "original_max_position_embeddings": 4096}}),
    case(**PHI_3_MINI_4K, positions=[1, 4095]),
    case(4096, **PHI_3_MINI_128K, positions=[1, 4095]),
    case(40960, **PHI_3_MINI_128K, positions=[1, 4095, 4096, 40959]),
    case(4096, **PHI_4_MINI, positions=[1, 4095]),
    case(40960, **PHI_4_MINI, positions=[1, 4095, 4096, 40959]),
    case(2049, head_dim=8, max_position_embeddings=2048, rope_scaling={
        "rope_type": "longrope", "factor": 4.0, "original_max_position_embeddings": 2048,
        "short_factor": [1, 1, 1.5, 2], "long_factor": [1, 2, 3, 4.5]}),
    case(2048, head_dim=8, max_position_embeddings=8192, rope_scaling={
        "rope_type": "longrope", "original_max_position_embeddings": 2048, "attention_factor": 1.3,
        "short_factor": [1, 1, 1.5, 2], "long_factor": [1, 2, 3, 4.5]}),
    case(model_type="qwen3", rope_theta=1e6, rope_scaling=yarn()),  # heads of 128 for want of a size
]


def turns(config, positions):
    """cos and sin, each [positions, rotated pairs], times the attention factor."""
    embedding = {"phi3": Phi3RotaryEmbedding, "qwen3": Qwen3RotaryEmbedding}[config.model_type]
    with mock.patch.multiple(torch, float=torch.float64, float32=torch.float64), \
            mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        rotary = embedding(config)
        cos, sin = rotary(torch.zeros(1, dtype=torch.float64), torch.tensor([positions]))
    half = cos.shape[-1] // 2
    return {"cos": cos[0, :, :half].tolist(), "sin": sin[0, :, :half].tolist()}


def expected(one):
    members = dict(one["config"])
    config = AutoConfig.for_model(members.pop("model_type"), **json.loads(json.dumps(members)))
    kind = config.rope_parameters["rope_type"]
    of_kind = ROPE_INIT_FUNCTIONS.get(kind, Phi3RotaryEmbedding.compute_default_rope_parameters)
    frequencies, factor = of_kind(config, "cpu", seq_len=one["tokens"] or None)
    result = one | {"frequencies": frequencies.double().tolist(), "attention_factor": factor}
    return result | turns(config, one["positions"]) if "positions" in one else result


def main():
    lines = ",\n".join(json.dumps(expected(one)) for one in CASES)
    OUTPUT.write_text(f'{{"made_with": "transformers {transformers.__version__}",\n'
                      f'"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
