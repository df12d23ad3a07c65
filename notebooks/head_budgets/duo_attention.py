"""DuoAttention's gates (Xiao et al. 2024, arXiv 2410.10819), learnt in small, and kvpress's estimate of them.

Each KV head has a gate between what it reads with all tokens and what it reads with the first and the last
alone; the gates fall as far as the hidden states at passkeys allow. Rules of the paper and of its code, in
words of our own: the output with all tokens is the unchanged model's, from the same pass, as in the code.
"""

import math

import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from inspected_model import plain_attention
from passkeys import passkeys

REGULARISATION = 0.05
LEARNING_RATE = 0.05  # the paper: 0.02, of 2,000 steps
CONTEXTS = (256, 512)  # the paper: 1,000 to 32,000
STREAMING = dict(n_sink=4, n_recent=64)  # the paper: 128 and 256


def streaming_mask(n, n_sink, n_recent):
    """[n, n]: whether a query sees a key, of the first and of the last up to itself."""
    query, key = torch.arange(n)[:, None], torch.arange(n)[None, :]
    return (key <= query) & ((key < n_sink) | (key > query - n_recent))


def mixed_attention(gates, mask):
    """Attention for a batch of two copies of a text: the unchanged model, and the one that is gated."""

    def attend(layer, query, key, value, scaling):
        with torch.no_grad():
            full = plain_attention(layer, query[:1], key[:1], value[:1], scaling)
        streaming = torch.nn.functional.scaled_dot_product_attention(
            query[1:], key[1:], value[1:], attn_mask=mask, scale=scaling, enable_gqa=True)
        gate = gates[layer].clamp(0, 1).repeat_interleave(query.shape[1] // key.shape[1])
        gate = gate.to(full.dtype)[None, :, None, None]
        return torch.cat([full, gate * full + (1 - gate) * streaming])

    return attend


def learnt_gates(model, haystack, steps, random, log):
    """The gates after `steps` of Adam, [L, K] in [0, 1]: near 1 for a retrieval head."""
    gates = torch.ones(model.n_layers, model.n_kv_heads, requires_grad=True)
    optimizer = torch.optim.Adam([gates], lr=LEARNING_RATE)
    # A fifth of the steps to warm up and a fifth to cool down.
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / (steps / 5), (steps - step) / (steps / 5)))
    for step in range(steps):
        text = passkeys(model, haystack, random.randint(*CONTEXTS), random)
        ids = torch.tensor([text.ids, text.ids])
        attend = mixed_attention(gates, streaming_mask(ids.shape[1], **STREAMING))
        asked = model.hidden(ids, attend)[:, text.asked.start:text.asked.stop].float()
        distance = (asked[0].detach() - asked[1]).square().mean()
        loss = distance + REGULARISATION * gates.abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            gates.clamp_(0, 1)
        log(f"step {step + 1} of {steps}: distance {distance.item():.4f}, "
            f"mean gate {gates.mean().item():.3f}")
    return gates.detach().numpy()


def gates_on_the_fly(model, texts, n_keys=500):
    """kvpress's estimate without learning, [L, K]: how far back a head's mean query looks.

    The mean query and key of a text stand at every one of n_keys positions; of what the last query gives
    to the keys, added up from the first, the mean over positions, averaged over query heads and texts.
    """
    scores = torch.zeros(model.n_layers, model.n_kv_heads)
    means = {}

    def remember(layer, name):
        def hook(module, inputs, output):
            means[layer, name] = output[0].float().mean(0).view(1, -1, 1, model.head_dim)
        return hook

    hooks = [getattr(layer.self_attn, name).register_forward_hook(remember(i, name))
             for i, layer in enumerate(model.decoder.layers) for name in ("q_proj", "k_proj")]
    positions = torch.arange(n_keys)[None]
    with torch.no_grad():
        cos, sin = model.decoder.rotary_emb(torch.zeros(1), positions)
        for ids in texts:
            model.hidden(torch.tensor([ids]))
            for layer in range(model.n_layers):
                query = means[layer, "q_proj"].expand(-1, -1, n_keys, -1)
                key = means[layer, "k_proj"].expand(-1, -1, n_keys, -1)
                query, key = apply_rotary_pos_emb(query, key, cos, sin)
                key = key[0].repeat_interleave(query.shape[1] // key.shape[1], dim=0)
                given = (key @ query[0, :, -1, :, None])[..., 0] / math.sqrt(model.head_dim)
                reach = given.softmax(-1).cumsum(-1).mean(-1)
                scores[layer] += reach.view(model.n_kv_heads, -1).mean(-1) / len(texts)
    for hook in hooks:
        hook.remove()
    return scores.numpy()
