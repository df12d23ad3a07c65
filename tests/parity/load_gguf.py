"""A GGUF file of a family that Longshadow reads as reference.Model: every tensor dequantised to float64."""

import numpy as np
from gguf import GGUFReader, dequantize

from reference import Experts, Layer, Model, Rope

NORMS = {"attention_norm": "attn_norm", "feed_forward_norm": "ffn_norm",
         "query_norm": "attn_q_norm", "key_norm": "attn_k_norm",
         "attention_output_norm": "post_attention_norm", "feed_forward_output_norm": "post_ffw_norm"}


def rotated_halves(weight, n_heads):
    """GGUF llama rows hold a head's rotary pairs side by side; put pair i at rows i and i + d/2."""
    rows = weight.reshape(n_heads, -1, 2, *weight.shape[1:])
    return rows.swapaxes(1, 2).reshape(weight.shape)


def load_gguf(path):
    reader = GGUFReader(path)
    architecture = reader.get_field("general.architecture").contents()

    def setting(name, default=None):
        found = reader.get_field(f"{architecture}.{name}")
        return default if found is None else found.contents()

    tensors = {t.name: t for t in reader.tensors}

    def tensor(name):
        t = tensors[name]
        return dequantize(t.data, t.tensor_type).astype(np.float64)

    n_heads = setting("attention.head_count")
    n_kv_heads = setting("attention.head_count_kv", n_heads)
    hidden = setting("embedding_length")
    head_dim = setting("attention.key_length", hidden // n_heads)
    rope = Rope(theta=setting("rope.freq_base", 10000.0))
    if setting("rope.scaling.type") in ("linear", "yarn"):
        rope.scaling, rope.factor = setting("rope.scaling.type"), setting("rope.scaling.factor")
        rope.original_context = setting("rope.scaling.original_context_length",
                                        setting("context_length"))
    rope.partial = setting("rope.dimension_count", head_dim) / head_dim
    if "rope_factors_long.weight" in tensors:
        rope.scaling, rope.long_factor = "longrope", tensor("rope_factors_long.weight")
        rope.original_context = setting("rope.scaling.original_context_length")
        rope.longrope_attention_factor = setting("rope.scaling.attn_factor")
    if "rope_freqs.weight" in tensors:
        stretch, plain = tensor("rope_freqs.weight"), rope
        rope = Rope(theta=plain.theta)
        rope.frequencies = lambda d: plain.frequencies(d) / stretch

    # Every so many layers one has no window, as llama.cpp has it.
    pattern = setting("attention.sliding_window_pattern", {"gemma2": 2, "gemma3": 6}.get(architecture, 0))
    if not isinstance(pattern, list):
        pattern = [bool(pattern) and (layer + 1) % pattern != 0 for layer in range(setting("block_count"))]

    def window_of(layer):
        return setting("attention.sliding_window") if pattern[layer] else 0

    window_rope = {"gemma3": Rope(theta=10000.0), "olmo2": Rope(theta=rope.theta)}.get(architecture)
    is_gemma = architecture in ("gemma2", "gemma3")
    gemma = {"activation": "gelu_tanh", "embedding_scale": hidden**0.5} if is_gemma else {}

    paired = rotated_halves if architecture in ("llama", "smollm3") else lambda weight, heads: weight
    def feed_forward(layer):
        names = {name: f"blk.{layer}.ffn_{name}" for name in ("gate", "up", "down")}
        if architecture == "phi3":
            gate, up = np.split(tensor(f"{names['up']}.weight"), 2)
            return {"gate": gate, "up": up, "down": tensor(f"{names['down']}.weight")}
        if f"blk.{layer}.ffn_gate_inp.weight" not in tensors:
            return {name: tensor(f"{stored}.weight") for name, stored in names.items()}
        matrices = {name: list(tensor(f"{stored}_exps.weight")) for name, stored in names.items()}
        return {"experts": Experts(tensor(f"blk.{layer}.ffn_gate_inp.weight"), **matrices,
                                   chosen=setting("expert_used_count"), renormalised=True)}

    layers = []
    for i in range(setting("block_count")):
        def part(name):
            return tensor(f"blk.{i}.{name}")

        if architecture == "phi3":
            queries, keys = n_heads * head_dim, n_kv_heads * head_dim
            query, key, value = np.split(part("attn_qkv.weight"), [queries, queries + keys])
        else:
            query, key, value = (part(f"attn_{name}.weight") for name in "qkv")

        bias = {}
        if f"blk.{i}.attn_q.bias" in tensors:
            bias = dict(query_bias=paired(part("attn_q.bias"), n_heads),
                        key_bias=paired(part("attn_k.bias"), n_kv_heads),
                        value_bias=part("attn_v.bias"))
        for name, stored in (("output_bias", "attn_output"), ("gate_bias", "ffn_gate"),
                             ("up_bias", "ffn_up"), ("down_bias", "ffn_down")):
            if f"blk.{i}.{stored}.bias" in tensors:
                bias[name] = part(f"{stored}.bias")
        norms = {name: part(f"{stored}.weight") if f"blk.{i}.{stored}.weight" in tensors else None
                 for name, stored in NORMS.items()}
        layers.append(Layer(
            query=paired(query, n_heads), key=paired(key, n_kv_heads), value=value,
            attention_output=part("attn_output.weight"), **feed_forward(i),
            rotary=architecture != "smollm3" or i % 4 != 3, rope=window_rope if window_of(i) else None,
            window=window_of(i), **bias, **norms))

    embedding = tensor("token_embd.weight")
    output = tensor("output.weight") if "output.weight" in tensors else embedding
    return Model(n_heads, n_kv_heads, head_dim, setting("attention.layer_norm_rms_epsilon"), rope,
                 embedding, tensor("output_norm.weight"), output, layers, **gemma,
                 score_cap=setting("attn_logit_softcapping", 0.0),
                 logit_cap=setting("final_logit_softcapping", 0.0))
