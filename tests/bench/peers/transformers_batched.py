"""transformers, f32, several evictions at a time: the whole cache, the evicted column masked."""

import torch

import task
from transformers_model import FullPass


@torch.inference_mode()
def evict(full, subjects):
    """KL [B, H]."""
    batch, future = len(subjects), full.future_ids.shape[1]
    context = full.keys_values[0][0].shape[2]
    visible = torch.ones(future, context + future, dtype=torch.bool,
                         device=full.future_ids.device).tril(context)
    visible = visible.repeat(batch, 1, 1, 1)  # [B, 1, H, T + H]
    for row, subject in enumerate(subjects):
        visible[row, :, :, subject] = False
    cache = full.cache_of(lambda x: x.expand(batch, -1, -1, -1))
    return [full.divergence(logits) for logits in full.future_logits(cache, visible)]


def main():
    options = task.arguments(__doc__, batch=(int, 1, "evictions at a time"))
    full = FullPass(options)
    task.measure(options, full.prefill_seconds, lambda subjects: evict(full, subjects),
                 options.batch)


if __name__ == "__main__":
    main()
