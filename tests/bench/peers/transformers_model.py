"""The full pass in transformers, f32, that both of its eviction peers start from."""

import torch
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.utils import logging

from task import Divergence, clock


class FullPass:
    """The context's keys and values, and the divergence from the future tokens' full logits."""

    @torch.inference_mode()
    def __init__(self, options):
        logging.disable_progress_bar()
        self.model = AutoModelForCausalLM.from_pretrained(
            options.model.parent, gguf_file=options.model.name, dtype=torch.float32)
        self.model.to(options.device)
        ids = torch.from_numpy(options.ids).to(options.device)
        self.future_ids = ids[None, options.context:]
        self.positions = torch.arange(options.context, len(ids), device=ids.device)[None]
        cache = DynamicCache()
        context_ids = ids[None, :options.context]
        self.prefill_seconds, _ = clock(
            lambda: self.model(context_ids, past_key_values=cache, logits_to_keep=1))
        # [1, K, T, d] per layer; what the cache appends later goes into new tensors.
        self.keys_values = [(layer.keys, layer.values) for layer in cache.layers]
        self.divergence = Divergence(self.future_logits(cache)[0])

    def future_logits(self, cache, mask=None):
        """[B, H, V] of the future tokens at their true positions after `cache`, of B rows."""
        batch = cache.layers[0].keys.shape[0]
        return self.model(self.future_ids.expand(batch, -1), past_key_values=cache,
                          position_ids=self.positions.expand(batch, -1),
                          attention_mask=mask).logits

    def cache_of(self, edit):
        """A new cache of edit(tensor) for every key and value tensor [1, K, T, d]."""
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self.keys_values):
            cache.update(edit(keys), edit(values), layer)
        return cache
