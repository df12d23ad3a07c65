"""Writes what eviction policies are given and which slots kvpress keeps, for tests/policy.

    python3 tests/parity/make_policy_fixtures.py    # with the packages of requirements_kvpress.txt
    python3 tests/parity/make_policy_fixtures.py --model SmolLM2-135M-Instruct.Q4_1.gguf \\
        --document a.txt --tokens 768 --budgets 0.4 0.2 --to FOLDER

The first makes data/fixtures/policies from a tiny random model; the second the same of a real one,
too large to commit, which `LONGSHADOW_POLICY_PARITY=FOLDER test_policy "[parity]"` compares.

  inputs.safetensors  per layer: keys and values [K, n, d], keys rotated; queries [n, H d], not;
                      rotated_keys [K, kept, d], what key-rotation/snapkv makes of the keys at the
                      last budget
  kept.json           the sizes, the rotary frequencies [d / 2] and, for each policy and budget, the
                      slots kept, [L][K] lists
"""

import argparse
import json
from pathlib import Path

import kvpress
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

FIXTURES = Path(__file__).resolve().parents[2] / "data/fixtures/policies"
TINY_TOKENS = 600  # four blocks of lagkv's, and not a multiple of chunkkv's chunks
SNAPKV, KNORM = kvpress.SnapKVPress, kvpress.KnormPress
EXPECTED_ATTENTION = kvpress.ExpectedAttentionPress

# Longshadow's description of a policy -> kvpress's press for a compression ratio.
PRESSES = {
    "streaming-llm": kvpress.StreamingLLMPress,
    "h2o": kvpress.ObservedAttentionPress,
    "snapkv": SNAPKV,
    "snapkv:window=16,kernel=7": lambda ratio: SNAPKV(ratio, window_size=16, kernel_size=7),
    "pyramidkv": kvpress.PyramidKVPress,
    "pyramidkv:window=16,beta=5":
        lambda ratio: kvpress.PyramidKVPress(ratio, window_size=16, beta=5),
    "tova": kvpress.TOVAPress,
    "knorm": KNORM,
    "keydiff": kvpress.KeyDiffPress,
    "expected-attention": EXPECTED_ATTENTION,
    "expected-attention:n_future=64,n_sink=2,covariance=off,epsilon=0.01":
        lambda ratio: EXPECTED_ATTENTION(ratio, 64, 2, use_covariance=False, epsilon=0.01),
    "expected-attention:value_norm=off": lambda ratio: EXPECTED_ATTENTION(ratio, use_vnorm=False),
    "lagkv": kvpress.LagKVPress,
    "lagkv:lag=32,n_sink=8": lambda ratio: kvpress.LagKVPress(ratio, n_sink=8, lag_size=32),
    "adakv/snapkv": lambda ratio: kvpress.AdaKVPress(SNAPKV(ratio)),
    "adakv:alpha=0.5/knorm": lambda ratio: kvpress.AdaKVPress(KNORM(ratio), alpha_safeguard=0.5),
    "adakv/expected-attention": lambda ratio: kvpress.AdaKVPress(EXPECTED_ATTENTION(ratio)),
    "chunkkv/snapkv": lambda ratio: kvpress.ChunkKVPress(SNAPKV(ratio)),
    "chunkkv:length=16/keydiff":
        lambda ratio: kvpress.ChunkKVPress(kvpress.KeyDiffPress(ratio), chunk_length=16),
    "key-rotation/snapkv": lambda ratio: kvpress.KeyRerotationPress(SNAPKV(ratio)),
}


def tiny_model():
    """A random model whose attention is neither flat nor all on one token, and a text for it."""
    torch.manual_seed(5)
    config = LlamaConfig(vocab_size=256, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, head_dim=16)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                gain = 1.4 if "q_proj" in name or "k_proj" in name else 1.0
                weight.normal_(0, gain * weight.shape[1] ** -0.5)
    return model, torch.randint(0, config.vocab_size, (1, TINY_TOKENS))


def gguf_model(path, document, tokens):
    folder, file = str(path.parent), path.name
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    ids = tokenizer(document.read_text(), return_tensors="pt").input_ids
    return model, ids[:, :tokens]


def slots_of(kept_keys, keys):
    """Which rows of keys [n, d] the rows of kept_keys are. No two keys are the same."""
    slot_of = {key.numpy().tobytes(): slot for slot, key in enumerate(keys)}
    assert len(slot_of) == len(keys)
    return sorted(slot_of[key.numpy().tobytes()] for key in kept_keys)


class LayerRecorder:
    """A forward hook of every attention module, which compresses as each press's own hook would,
    on a copy of the cache's layer, and leaves the cache as it is."""

    def __init__(self, policies, budgets):
        self.policies, self.budgets = policies, budgets
        self.inputs = {}
        self.kept = {(policy, budget): [] for policy in policies for budget in budgets}

    def __call__(self, module, _, kwargs, output):
        layer = module.layer_idx
        cache = kwargs["past_key_values"].layers[layer]
        hidden, keys, values = kwargs["hidden_states"], cache.keys, cache.values
        self.inputs |= {f"layer.{layer}.keys": keys[0].contiguous(),
                        f"layer.{layer}.values": values[0].contiguous(),
                        f"layer.{layer}.queries": module.q_proj(hidden)[0].contiguous()}

        for policy, budget in self.kept:
            press = PRESSES[policy](1.0 - budget)
            attentions = output[1] if policy == "h2o" else None
            # Ada-KV refuses to run eagerly, because of what it does to later tokens only.
            module.config._attn_implementation = "sdpa"
            pressed, _ = press.compress(module, hidden, keys, values, attentions, kwargs)
            module.config._attn_implementation = "eager"
            if policy.startswith("adakv"):
                kept = self.not_masked(module, keys)
            elif policy.startswith("key-rotation"):
                self.inputs[f"layer.{layer}.rotated_keys"] = pressed[0].contiguous()
                continue
            else:
                kept = [slots_of(*heads) for heads in zip(pressed[0], keys[0])]
            self.kept[policy, budget].append(kept)

    @staticmethod
    def not_masked(module, keys):
        _, heads, slots = module.masked_key_indices
        module.masked_key_indices = None
        mask = torch.ones(keys.shape[1:3], dtype=torch.bool)
        mask[heads, slots] = False
        return [head.nonzero().flatten().tolist() for head in mask]


def record(model, ids, policies, budgets):
    model.eval()
    model.set_attn_implementation("eager")  # the others do not return attention
    recorder = LayerRecorder(policies, budgets)
    for layer in model.model.layers:
        layer.self_attn.rotary_emb = model.model.rotary_emb
        layer.self_attn.register_forward_hook(recorder, with_kwargs=True)
    with torch.no_grad():
        model.model(ids, use_cache=True)
    return recorder


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a GGUF file; without one, a tiny random model")
    parser.add_argument("--document", type=Path, help="the text that the model of --model reads")
    parser.add_argument("--tokens", type=int, default=768, help="of the document")
    parser.add_argument("--policies", nargs="+", choices=PRESSES, default=list(PRESSES))
    parser.add_argument("--budgets", nargs="+", type=float, default=[0.6, 0.4, 0.2])
    parser.add_argument("--to", type=Path, default=FIXTURES, help="the folder to write to")
    options = parser.parse_args()

    model, ids = (gguf_model(options.model, options.document, options.tokens) if options.model
                  else tiny_model())
    recorder = record(model, ids, options.policies, options.budgets)
    config = model.config
    summary = {"n": ids.shape[1], "n_layers": config.num_hidden_layers,
               "n_heads": config.num_attention_heads, "n_kv_heads": config.num_key_value_heads,
               "head_dim": config.head_dim,
               "frequencies": model.model.rotary_emb.inv_freq.tolist()}
    kept = [json.dumps({"policy": policy, "budget": budget, "slots": slots}, separators=(",", ":"))
            for (policy, budget), slots in recorder.kept.items() if slots]
    options.to.mkdir(parents=True, exist_ok=True)
    save_file(recorder.inputs, options.to / "inputs.safetensors")
    (options.to / "kept.json").write_text(
        json.dumps(summary)[:-1] + ',\n"kept": [\n' + ",\n".join(kept) + "\n]}\n")


if __name__ == "__main__":
    main()
