"""llama.cpp, quantised weights, f32 cache: a second sequence shares the prefix but for one slot."""

import numpy as np
import torch
import llama_cpp as llama

import task

FULL, EVICTED = 0, 1  # sequence ids
GGML_TYPE_F32 = 0


class Context:
    """A llama.cpp context with one unified cache for both sequences."""

    def __init__(self, options):
        llama.llama_log_set(quiet, None)
        self.model = llama.llama_model_load_from_file(
            str(options.model).encode(), llama.llama_model_default_params())
        if not self.model:
            raise RuntimeError(f"llama.cpp cannot load {options.model}")
        params = llama.llama_context_default_params()
        params.n_ctx = options.context + 2 * options.future
        params.n_batch = params.n_ubatch = options.future
        params.n_seq_max = 2
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = options.threads
        params.type_k = params.type_v = GGML_TYPE_F32
        self.context = llama.llama_init_from_model(self.model, params)
        if not self.context:
            raise RuntimeError("llama.cpp cannot make a context")
        self.memory = llama.llama_get_memory(self.context)
        self.vocab_size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.batch = llama.llama_batch_init(options.future, 0, 1)

    def decode(self, ids, first_position, sequence, logits):
        """Runs at most n_batch tokens; returns logits [n, V] (a view) where asked for them."""
        self.batch.n_tokens = len(ids)
        for row, token in enumerate(ids):
            self.batch.token[row] = int(token)
            self.batch.pos[row] = first_position + row
            self.batch.n_seq_id[row] = 1
            self.batch.seq_id[row][0] = sequence
            self.batch.logits[row] = logits
        if llama.llama_decode(self.context, self.batch) != 0:
            raise RuntimeError("llama_decode failed")
        llama.llama_synchronize(self.context)
        if logits:
            pointer = llama.llama_get_logits(self.context)
            return torch.from_numpy(
                np.ctypeslib.as_array(pointer, shape=(len(ids), self.vocab_size)))
        return None

    def prefill(self, ids, chunk):
        for first in range(0, len(ids), chunk):
            self.decode(ids[first:first + chunk], first, FULL, False)


@llama.llama_log_callback
def quiet(_level, _text, _user_data):
    pass


def evict(context, subject, future_ids, first_position, divergence):
    llama.llama_memory_seq_cp(context.memory, FULL, EVICTED, 0, first_position)
    llama.llama_memory_seq_rm(context.memory, EVICTED, subject, subject + 1)
    kl = divergence(context.decode(future_ids, first_position, EVICTED, True))
    llama.llama_memory_seq_rm(context.memory, EVICTED, -1, -1)
    return kl


def main():
    options = task.arguments(__doc__)
    context = Context(options)
    future_ids = options.ids[options.context:]
    prefill_seconds, _ = task.clock(
        context.prefill, options.ids[:options.context], options.future)
    full = context.decode(future_ids, options.context, FULL, True).clone()
    llama.llama_memory_seq_rm(context.memory, FULL, options.context, -1)
    divergence = task.Divergence(full)
    task.measure(options, prefill_seconds, lambda subjects: [
        evict(context, *subjects, future_ids, options.context, divergence)])


if __name__ == "__main__":
    main()
