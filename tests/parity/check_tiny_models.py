"""Reads the GGUF files of data/fixtures/models with llama.cpp: same tokens, same predictions.

    python3 tests/parity/check_tiny_models.py    # with the packages of requirements.txt

llama.cpp is the format's own reader: it shows that the fixtures' names, order of rows and rotary settings mean what
Longshadow's tests take them to mean. It reads a copy of each file with its weights as f32, because it rounds the
activations beside f16 and bf16 weights to the weights' type, which moves log-probabilities by up to 0.1. It looks GELU
up in a table of f16, which moves them by some thousandths: the values that it is held to are made with the same table.
"""

import json
import sys
import tempfile
import urllib.request
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

import reference as ref
from load_gguf import load_gguf

FIXTURES = Path(__file__).resolve().parents[2] / "data/fixtures/models"
# llama.cpp's server returns predictions along with a token that it adds. It keeps back a byte that is no whole
# character, and its prediction with it; so it is made to add this token. What it returns is from before that.
ADDED = "a"


def write_as_f32(source, path):
    """A copy of the GGUF file, its matrices dequantised. The numbers stay the same."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(path, reader.get_field("general.architecture").contents())
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            writer.add_key_value(field.name, field.contents(), field.types[0],
                                 field.types[-1] if len(field.types) > 1 else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(path):
    """llama.cpp with the model, f32 throughout."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx, parameters.n_parallel, parameters.warmup, parameters.verbosity = 256, 1, False, 1
    parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return xllamacpp.Server(parameters)


def tokenize(server, text):
    request = urllib.request.Request(f"{server.listening_address}/tokenize",
                                     json.dumps({"content": text, "add_special": True}).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["tokens"]


def log_probabilities(server, ids, vocabulary):
    """Log-probabilities of what comes after the tokens, [vocabulary]; NaN where llama.cpp returns none."""
    answer = server.handle_completions({"prompt": ids, "n_predict": 1, "n_probs": vocabulary, "temperature": 0,
                                        "logit_bias": [[ADDED, 1000]], "cache_prompt": False})
    found = np.full(vocabulary, np.nan)
    for token in answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
        found[token["id"]] = token["logprob"]
    return found


def tabled(x, activation, exact=ref.activate):
    """An activation as llama.cpp has it."""
    if activation != "gelu_tanh":
        return exact(x, activation)
    of_table = exact(x.astype(np.float32).astype(np.float16).astype(np.float64), activation)
    within = of_table.astype(np.float32).astype(np.float16).astype(np.float64)
    return np.where(x <= -10.0, 0.0, np.where(x >= 10.0, x, within))


def expected_logits(model, expected):
    """What llama.cpp is held to: the fixture's logits, where GELU is none of the table's."""
    if model.activation != "gelu_tanh":
        return np.array(expected["logits"])
    ref.activate = tabled
    return ref.full_pass(model, np.array(expected["token_ids"])).logits[expected["logits_positions"]]


def f32_tolerance(model, n, magnitude):
    """The bound of tests/support/tiny_models.h: 5 sqrt(roundings) u, times the largest logit."""
    hidden, experts = model.embedding.shape[1], model.layers[0].experts
    feed_forward = len(model.layers[0].gate if experts is None else experts.gate[0])
    in_a_layer = 2 * hidden + model.head_dim + n + model.n_heads * model.head_dim + feed_forward
    return 5 * np.sqrt(len(model.layers) * in_a_layer + hidden) * 2.0**-24 * magnitude


def check(path, text, folder):
    """Prints a line; whether llama.cpp agrees."""
    expected = json.loads(path.with_suffix(".json").read_text())
    ids = expected["token_ids"]
    copy = folder / path.name
    write_as_f32(path, copy)
    model = load_gguf(copy)
    logits = expected_logits(model, expected)
    server = serve(copy)
    same_ids = tokenize(server, text)[:len(ids)] == ids
    found = [log_probabilities(server, ids[:at + 1], logits.shape[1]) for at in expected["logits_positions"]]
    error = np.abs(found - ref.log_softmax(logits)).max()
    tolerance = f32_tolerance(model, len(ids), np.abs(logits).max())
    print(f"{path.stem:14} tokens {'equal' if same_ids else 'DIFFER'}, log-probabilities off {error:.1e}, "
          f"of {tolerance:.1e} allowed")
    return same_ids and error <= tolerance  # not with a NaN


def main():
    text = (FIXTURES / "document.txt").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        agree = [check(path, text, Path(folder)) for path in sorted(FIXTURES.glob("*.gguf"))]
    return not all(agree)


if __name__ == "__main__":
    sys.exit(int(main()))
