"""Writes one small model as a Hugging Face folder and as a GGUF file."""

import json
import math

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.torch import save_file

import tiny_tokenizers

# Of transformers, where the family's is not capitalized alone.
CLASS_NAMES = {"smollm3": "SmolLM3", "qwen3_moe": "Qwen3Moe", "gemma3_text": "Gemma3"}
# Of architectures, where GGUF calls the family something else.
GGUF_NAMES = {"mistral": "llama", "mixtral": "llama", "qwen3_moe": "qwen3moe", "olmo3": "olmo2",
              "gemma3_text": "gemma3"}
GEMMA_INTERVALS = {"gemma2": 2, "gemma3_text": 6}  # every so many layers one has no window, if no key says so
INTERLEAVED = ("llama", "mistral", "mixtral", "smollm3")  # GGUF's pairs lie side by side
GGUF_TYPE = {"float32": Type.F32, "float16": Type.F16, "bfloat16": Type.BF16}
# Hugging Face's name of a layer's part -> GGUF's, and reference.py's.
PROJECTIONS = {
    "self_attn.q_proj": ("attn_q", "query"),
    "self_attn.k_proj": ("attn_k", "key"),
    "self_attn.v_proj": ("attn_v", "value"),
    "self_attn.o_proj": ("attn_output", "attention_output"),
    "mlp.gate_proj": ("ffn_gate", "gate"),
    "mlp.up_proj": ("ffn_up", "up"),
    "mlp.down_proj": ("ffn_down", "down"),
}
NORMS_BEFORE = {
    "input_layernorm": ("attn_norm", "attention_norm"),
    "post_attention_layernorm": ("ffn_norm", "feed_forward_norm"),
}
NORMS_BEHIND = {
    "post_attention_layernorm": ("post_attention_norm", "attention_output_norm"),
    "post_feedforward_layernorm": ("post_ffw_norm", "feed_forward_output_norm"),
}
NORMS_AROUND = {
    "input_layernorm": ("attn_norm", "attention_norm"),
    "post_attention_layernorm": ("post_attention_norm", "attention_output_norm"),
    "pre_feedforward_layernorm": ("ffn_norm", "feed_forward_norm"),
    "post_feedforward_layernorm": ("post_ffw_norm", "feed_forward_output_norm"),
}
QUERY_KEY_NORMS = {
    "self_attn.q_norm": ("attn_q_norm", "query_norm"),
    "self_attn.k_norm": ("attn_k_norm", "key_norm"),
}
# Of experts, Hugging Face's names of the router and of a matrix: {} is the expert; GGUF has all experts' in one.
EXPERTS = {
    "mixtral": ("block_sparse_moe.gate", "block_sparse_moe.experts.{}.",
                {"w1": "gate", "w3": "up", "w2": "down"}),
    "qwen3_moe": ("mlp.gate", "mlp.experts.{}.",
                  {"gate_proj": "gate", "up_proj": "up", "down_proj": "down"}),
}
GLOBAL_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


# What Phi-3 stores as one matrix, rows below rows.
FUSED = {
    "self_attn.qkv_proj": ("attn_qkv", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
    "mlp.gate_up_proj": ("ffn_up", ("mlp.gate_proj", "mlp.up_proj")),
}


def as_stored(spec, weights):
    """The weights with those that the family fuses in one."""
    if spec.family != "phi3":
        return weights
    stored = dict(weights)
    for layer in range(spec.n_layers):
        for name, (_, parts) in FUSED.items():
            stored[f"model.layers.{layer}.{name}.weight"] = np.concatenate(
                [stored.pop(f"model.layers.{layer}.{part}.weight") for part in parts])
    return stored


def layer_parts(family):
    """The names of the parts that have a weight in a layer of the family."""
    norms = NORMS_BEHIND if is_olmo(family) else NORMS_AROUND if is_gemma(family) else NORMS_BEFORE
    with_norms = family in ("qwen3", "qwen3_moe", "gemma3_text") or is_olmo(family)
    return norms | PROJECTIONS | (QUERY_KEY_NORMS if with_norms else {})


def is_olmo(family):
    return family in ("olmo2", "olmo3")


def is_gemma(family):
    return family in ("gemma2", "gemma3_text")


def gguf_experts(weights, spec):
    """GGUF's names and values of the experts' weights, {Hugging Face's name: value}."""
    if spec.family not in EXPERTS:
        return {}
    router, of_expert, matrices = EXPERTS[spec.family]
    named = {}
    for layer in spec.sparse_layers():
        prefix = f"model.layers.{layer}."
        named[f"blk.{layer}.ffn_gate_inp.weight"] = weights[f"{prefix}{router}.weight"]
        for stored, what in matrices.items():
            named[f"blk.{layer}.ffn_{what}_exps.weight"] = np.stack(
                [weights[f"{prefix}{of_expert.format(e)}{stored}.weight"] for e in range(spec.n_experts)])
    return named


def write_hugging_face(spec, weights, tokenizer, folder):
    """config.json, tokenizer.json and the weights, in `spec.shards` safetensors files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config(spec), indent=2) + "\n")
    (folder / "tokenizer.json").write_text(
        tiny_tokenizers.to_json(tokenizer, spec.pre) + "\n", encoding="utf-8")

    tensors = {name: torch.from_numpy(w).to(getattr(torch, spec.dtype))
               for name, w in as_stored(spec, weights).items()}
    if spec.shards == 1:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return
    names = list(tensors)
    per_shard = math.ceil(len(names) / spec.shards)
    weight_map = {}
    for shard in range(spec.shards):
        part = names[shard * per_shard:(shard + 1) * per_shard]
        file = f"model-{shard + 1:05}-of-{spec.shards:05}.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    (folder / "model.safetensors.index.json").write_text(json.dumps(
        {"metadata": {"total_size": size}, "weight_map": weight_map}, indent=1) + "\n")


def config(spec):
    """config.json; rotary settings in the spelling that spec.rope_spelling names."""
    control = tiny_tokenizers.CONTROL_TOKENS[spec.pre]
    rope = {"rope_type": spec.rope.scaling}
    if spec.rope.scaling != "default":
        rope["factor"] = spec.rope.factor
    if spec.rope.scaling == "llama3":
        rope |= {"low_freq_factor": spec.rope.low_freq_factor,
                 "high_freq_factor": spec.rope.high_freq_factor,
                 "original_max_position_embeddings": spec.rope.original_context}
    if spec.rope.scaling == "yarn":
        rope |= {"original_max_position_embeddings": spec.rope.original_context}
    if spec.rope.scaling == "longrope":
        rope = {"rope_type": "longrope", "short_factor": spec.rope.short_factor,
                "long_factor": spec.rope.long_factor, "attention_factor": spec.rope.attention_factor}
    if spec.rope_spelling == "rope_parameters":  # transformers 5
        rotary = {"rope_parameters": rope | {"rope_theta": spec.rope.theta}}
    elif spec.rope_spelling == "type":  # the oldest files
        rotary = {"rope_theta": spec.rope.theta,
                  "rope_scaling": {"type": rope.pop("rope_type")} | rope}
    else:
        scaling = None if spec.rope.scaling == "default" else rope
        rotary = {"rope_theta": spec.rope.theta, "rope_scaling": scaling}

    settings = {
        "architectures": [f"{CLASS_NAMES.get(spec.family, spec.family.capitalize())}ForCausalLM"],
        "model_type": spec.family,
        "hidden_act": "silu",
        "hidden_size": spec.hidden_size,
        "intermediate_size": spec.feed_forward_size,
        "max_position_embeddings": spec.max_context,
        "num_attention_heads": spec.n_heads,
        "num_hidden_layers": spec.n_layers,
        "num_key_value_heads": spec.n_kv_heads,
        "rms_norm_eps": spec.norm_epsilon,
        "tie_word_embeddings": spec.tied,
        "torch_dtype": spec.dtype,
        "vocab_size": spec.embedding_rows,
        "bos_token_id": spec.control_id(control[0]),
        "eos_token_id": spec.control_id(control[-1]),
    } | rotary
    if spec.all_biases:
        settings |= {"attention_bias": True, "mlp_bias": True}
    if spec.hidden_size != spec.n_heads * spec.head_dim:
        settings["head_dim"] = spec.head_dim
    if spec.family == "qwen3":  # as its public files spell it out
        settings |= {"attention_bias": False, "max_window_layers": spec.n_layers,
                     "sliding_window": None, "use_sliding_window": False}
    if spec.family == "mistral":
        settings |= {"sliding_window": None}
    if spec.family == "phi3":  # a window that no text outgrows
        settings |= {"pad_token_id": None, "sliding_window": spec.max_context,
                     "original_max_position_embeddings": min(spec.max_context, spec.rope.original_context),
                     "partial_rotary_factor": spec.rope.partial}
    if spec.family == "mixtral":
        settings |= {"num_local_experts": spec.n_experts, "num_experts_per_tok": spec.n_chosen,
                     "sliding_window": None}
    if spec.family == "qwen3_moe":
        settings |= {"attention_bias": False, "sliding_window": None, "use_sliding_window": False,
                     "num_experts": spec.n_experts, "num_experts_per_tok": spec.n_chosen,
                     "moe_intermediate_size": spec.expert_size, "norm_topk_prob": spec.renormalised,
                     "decoder_sparse_step": spec.sparse_step, "mlp_only_layers": list(spec.dense_layers)}
    if spec.family == "smollm3":
        settings |= {"pad_token_id": None, "no_rope_layer_interval": 4, "no_rope_layers": [
            int(layer not in spec.unrotated) for layer in range(spec.n_layers)]}
    if spec.family == "olmo3":
        settings |= {"sliding_window": spec.window, "layer_types": [
            "sliding_attention" if spec.window_of(layer) else "full_attention" for layer in range(spec.n_layers)]}
    if is_gemma(spec.family):
        del settings["hidden_act"]
        settings |= {"head_dim": spec.head_dim, "hidden_activation": "gelu_pytorch_tanh", "sliding_window": spec.window,
                     "query_pre_attn_scalar": spec.score_scalar,
                     "attn_logit_softcapping": spec.score_cap or None,
                     "final_logit_softcapping": spec.logit_cap or None}
    if spec.family == "gemma3_text":  # as its public files spell it out
        settings |= {"rope_local_base_freq": spec.window_rope.theta, "sliding_window_pattern": spec.full_interval}
    return settings


def interleaved_pairs(weight, n_heads):
    """A head's rows i and i + d/2, which rotate together, side by side: GGUF's order for INTERLEAVED."""
    rows = weight.reshape(n_heads, 2, -1, *weight.shape[1:])
    return np.ascontiguousarray(rows.swapaxes(1, 2)).reshape(weight.shape)


def write_gguf(spec, weights, tokenizer, path):
    writer = gguf.GGUFWriter(path, GGUF_NAMES.get(spec.family, spec.family))
    writer.add_name(spec.name)
    writer.add_context_length(spec.max_context)
    writer.add_embedding_length(spec.hidden_size)
    writer.add_block_count(spec.n_layers)
    writer.add_feed_forward_length(spec.feed_forward_size)
    writer.add_head_count(spec.n_heads)
    writer.add_head_count_kv(spec.n_kv_heads)
    writer.add_layer_norm_rms_eps(spec.norm_epsilon)
    writer.add_rope_freq_base(spec.rope.theta)
    if spec.family in INTERLEAVED:
        writer.add_vocab_size(spec.embedding_rows)
        writer.add_rope_dimension_count(spec.head_dim)
    if spec.family in ("llama", "mistral", "mixtral", "qwen3", "qwen3_moe", "smollm3") or is_gemma(spec.family):
        writer.add_key_length(spec.head_dim)
        writer.add_value_length(spec.head_dim)
    if spec.family == "phi3":
        writer.add_rope_dimension_count(int(spec.head_dim * spec.rope.partial))
        writer.add_rope_scaling_orig_ctx_len(min(spec.max_context, spec.rope.original_context))
        writer.add_sliding_window(spec.max_context)
    if spec.rope.scaling == "longrope":
        writer.add_rope_scaling_attn_factors(spec.rope.attention_factor)
        for which, factors in (("short", spec.rope.short_factor), ("long", spec.rope.long_factor)):
            writer.add_tensor(f"rope_factors_{which}.weight", np.array(factors, np.float32))
    if spec.family == "olmo3":  # as llama.cpp's converter writes it
        writer.add_sliding_window(spec.window)
        writer.add_sliding_window_pattern([spec.window_of(layer) > 0 for layer in range(spec.n_layers)])
    if is_gemma(spec.family):
        writer.add_sliding_window(spec.window)
        if spec.full_interval != GEMMA_INTERVALS[spec.family]:
            writer.add_uint32(f"{GGUF_NAMES[spec.family]}.attention.sliding_window_pattern",
                              spec.full_interval)
    if spec.family == "gemma2":
        writer.add_attn_logit_softcapping(spec.score_cap)
        writer.add_final_logit_softcapping(spec.logit_cap)
    if spec.rope.scaling == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(spec.rope.factor)
    if spec.rope.scaling == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(spec.rope.factor)
        writer.add_rope_scaling_orig_ctx_len(spec.rope.original_context)
    if spec.rope.scaling == "llama3":
        # llama.cpp knows this scaling as divisors of the plain frequencies.
        plain = spec.rope.theta ** (-np.arange(0, spec.head_dim, 2) / spec.head_dim)
        divisors = plain / spec.rope.frequencies(spec.head_dim)
        writer.add_tensor("rope_freqs.weight", divisors.astype(np.float32))
    if spec.n_experts:
        writer.add_expert_count(spec.n_experts)
        writer.add_expert_used_count(spec.n_chosen)
    if spec.family == "qwen3_moe":
        writer.add_expert_feed_forward_length(spec.expert_size)
    _add_vocabulary(writer, spec, tokenizer)

    for name, weight in gguf_experts(weights, spec).items():
        stored = Type.F32 if "gate_inp" in name else GGUF_TYPE[spec.dtype]
        writer.add_tensor(name, gguf.quantize(weight, stored), raw_dtype=stored)
    for name, weight in as_stored(spec, weights).items():
        if ".experts." in name or name.endswith((".mlp.gate.weight", ".block_sparse_moe.gate.weight")):
            continue
        if is_gemma(spec.family) and weight.ndim == 1:
            weight = weight + np.float32(1)  # what norms multiply with
        stored = Type.F32 if weight.ndim == 1 else GGUF_TYPE[spec.dtype]
        if spec.family in INTERLEAVED and ".q_proj." in name:
            weight = interleaved_pairs(weight, spec.n_heads)
        if spec.family in INTERLEAVED and ".k_proj." in name:
            weight = interleaved_pairs(weight, spec.n_kv_heads)
        writer.add_tensor(_gguf_name(name, spec.family), gguf.quantize(weight, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_name(name, family):
    if name in GLOBAL_NAMES:
        return GLOBAL_NAMES[name]
    layer, part = name.removeprefix("model.layers.").split(".", 1)
    part, kind = part.rsplit(".", 1)
    return f"blk.{layer}.{(FUSED | layer_parts(family))[part][0]}.{kind}"


def _add_vocabulary(writer, spec, tokenizer):
    control = tiny_tokenizers.CONTROL_TOKENS[spec.pre]
    ids = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(ids, key=ids.get)
    types = [gguf.TokenType.CONTROL if t in control else gguf.TokenType.NORMAL for t in tokens]
    for padding in range(len(tokens), spec.embedding_rows):
        tokens.append(f"[PAD{padding}]")
        types.append(gguf.TokenType.UNUSED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(spec.pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(
        [" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]])
    writer.add_bos_token_id(spec.control_id(control[0]))
    writer.add_eos_token_id(spec.control_id(control[-1]))
    writer.add_add_bos_token(spec.pre in tiny_tokenizers.ADDS_BOS)
