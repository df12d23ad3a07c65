"""Writes a Llama of random bf16 weights as a Hugging Face folder: a model of a known size where
none can be fetched. Needs torch.

    python3 tests/device/random_model.py FOLDER 135m|8b [LAYERS]

Its tokenizer is the tests' own, filled up with words that no text has.
"""

import json
import math
import struct
import sys
from pathlib import Path

import torch

TINY = Path(__file__).resolve().parents[2] / "data/fixtures/models/llama_plain"

SHAPES = {
    "135m": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
             "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64,
             "vocab_size": 49152, "tie_word_embeddings": True},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
           "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
           "vocab_size": 128256, "tie_word_embeddings": False},
}
FILE_BYTES = 4 << 30


def tensors_of(shape):
    """(name, rows, columns) of every tensor; the norms' have no rows."""
    width, forward = shape["hidden_size"], shape["intermediate_size"]
    queries = shape["num_attention_heads"] * shape["head_dim"]
    keys = shape["num_key_value_heads"] * shape["head_dim"]
    yield "model.embed_tokens.weight", shape["vocab_size"], width
    for layer in range(shape["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", 0, width
        yield prefix + "self_attn.q_proj.weight", queries, width
        yield prefix + "self_attn.k_proj.weight", keys, width
        yield prefix + "self_attn.v_proj.weight", keys, width
        yield prefix + "self_attn.o_proj.weight", width, queries
        yield prefix + "post_attention_layernorm.weight", 0, width
        yield prefix + "mlp.gate_proj.weight", forward, width
        yield prefix + "mlp.up_proj.weight", forward, width
        yield prefix + "mlp.down_proj.weight", width, forward
    yield "model.norm.weight", 0, width
    if not shape["tie_word_embeddings"]:
        yield "lm_head.weight", shape["vocab_size"], width


def values_of(rows, columns, random):
    if rows == 0:
        return torch.ones(columns, dtype=torch.bfloat16)
    values = torch.randn(rows, columns, generator=random, device=random.device)
    return (values / math.sqrt(columns)).to(torch.bfloat16).cpu()


def write_file(path, tensors, random):
    header, end = {}, 0
    for name, rows, columns in tensors:
        size = 2 * max(rows, 1) * columns
        header[name] = {"dtype": "BF16", "shape": [rows, columns] if rows else [columns],
                        "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, rows, columns in tensors:
            file.write(values_of(rows, columns, random).view(torch.uint8).numpy().data)


def write_tokenizer(folder, vocab_size):
    tokenizer = json.loads((TINY / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    for token in range(len(vocabulary), vocab_size):
        vocabulary[f"<{token}>"] = token
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def main(folder, size, layers=None):
    folder = Path(folder)
    folder.mkdir(parents=True)
    shape = dict(SHAPES[size])
    if layers is not None:
        shape["num_hidden_layers"] = int(layers)
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "max_position_embeddings": 131072,
        "torch_dtype": "bfloat16", "bos_token_id": 0, "eos_token_id": 0, **shape}))
    write_tokenizer(folder, shape["vocab_size"])

    files, used = [[]], 0
    for tensor in tensors_of(shape):
        used += 2 * max(tensor[1], 1) * tensor[2]
        if used > FILE_BYTES and files[-1]:
            files.append([])
            used = 0
        files[-1].append(tensor)
    random = torch.Generator("cuda" if torch.cuda.is_available() else "cpu").manual_seed(7)
    index = {}
    for number, tensors in enumerate(files, start=1):
        name = f"model-{number:05d}-of-{len(files):05d}.safetensors"
        write_file(folder / name, tensors, random)
        index |= {tensor[0]: name for tensor in tensors}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": index}))


if __name__ == "__main__":
    main(*sys.argv[1:])
