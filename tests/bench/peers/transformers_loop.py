"""transformers, f32, one eviction at a time: cut the token's slot out of a copy of the cache."""

import torch

import task
from transformers_model import FullPass


@torch.inference_mode()
def evict(full, subject):
    cache = full.cache_of(
        lambda x: torch.cat([x[:, :, :subject], x[:, :, subject + 1:]], dim=2))
    return full.divergence(full.future_logits(cache)[0])


def main():
    options = task.arguments(__doc__)
    full = FullPass(options)
    task.measure(options, full.prefill_seconds, lambda subjects: [evict(full, *subjects)])


if __name__ == "__main__":
    main()
