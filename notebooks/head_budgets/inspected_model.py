"""A model of transformers whose attention is computed, or looked at, by a function of ours."""

from pathlib import Path

import torch
from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer, GgufConfig


def plain_attention(layer, query, key, value, scaling):
    """Causal attention. query [B, H, n, d], key and value [B, K, n, d]; returns [B, H, n, d]."""
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=scaling, enable_gqa=True)


def softmax_rows(query, key, scaling, rows):
    """What the queries at `rows` give to every key: [H, rows, n], f32; of one text."""
    query, key = query[0, :, rows].float(), key[0].float()
    key = key.repeat_interleave(query.shape[0] // key.shape[0], dim=0)
    logits = scaling * query @ key.transpose(1, 2)
    seen = torch.arange(key.shape[1])[None, :] <= rows[:, None]
    return logits.masked_fill(~seen, -torch.inf).softmax(-1)


class InspectedModel:
    """Runs the decoder without its head of logits; `attend` is called in every layer."""

    _attend = staticmethod(plain_attention)  # one model at a time runs

    def __init__(self, path, dtype):
        path = Path(path)
        folder, file = str(path.parent), path.name
        self.tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
        # Left packed, weights would be unpacked again in every product.
        whole = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=file, dtype=dtype, quantization_config=GgufConfig(dequantize=True))
        AttentionInterface.register("inspected", _attention)
        whole.config._attn_implementation = "inspected"
        self.decoder = whole.model.requires_grad_(False).eval()
        config = whole.config
        self.n_layers = config.num_hidden_layers
        self.n_heads = config.num_attention_heads
        self.n_kv_heads = config.num_key_value_heads
        self.head_dim = getattr(config, "head_dim", None) or config.hidden_size // self.n_heads

    def ids(self, text):
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def hidden(self, ids, attend=plain_attention):
        """Last hidden states, after the final norm, of token ids [B, n]: [B, n, hidden]."""
        InspectedModel._attend = staticmethod(attend)
        try:
            return self.decoder(input_ids=ids, use_cache=False).last_hidden_state
        finally:
            InspectedModel._attend = staticmethod(plain_attention)

    def over_kv_heads(self, by_query_head):
        """The maximum over each KV head's query heads: [L, H] -> [L, K]."""
        return by_query_head.reshape(self.n_layers, self.n_kv_heads, -1).max(-1)


def _attention(module, query, key, value, attention_mask, scaling, **unused):
    out = InspectedModel._attend(module.layer_idx, query, key, value, scaling)
    return out.transpose(1, 2).contiguous(), None
