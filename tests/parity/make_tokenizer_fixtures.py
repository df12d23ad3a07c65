"""Writes data/fixtures/tokenizer: small tokenizers, and the ids that the reference tokenizers give.

    python3 tests/parity/make_tokenizer_fixtures.py [--smollm2 GGUF] [--documents DIR]

The references are the `tokenizers` package for tokenizer.json and llama.cpp for GGUF. Written by
hand are nasty_texts.json, variants.json, sentencepiece_variants.json and unigram_variants.json (a
variant is a small tokenizer with some keys set anew). Made here:

  NAME.json       a small tokenizer for each pre-tokenizer that Longshadow reads
  expected.json   {reference: {tokenizer: {mode: [ids of each valid nasty text, in their order]}}}
  expected_variants.json  {variant: {mode: [ids of each of its own texts]}}
  unsplit.json    a tokenizer whose tokens cross every boundary between words
  names.json      {name: sha256 of llama.cpp's ids of all valid nasty texts, a -1 behind each, for unsplit.json under
                  that pre-tokenizer's name}, and under none: ""
  sentencepiece.json  a byte-pair tokenizer of characters with bytes to fall back to
  unigram.json    the same of the unigram language model
  sentencepiece_ids.json, unigram_ids.json  {variant: {mode: digest like that of names.json, by the tokenizers package,
                  "places": such a digest of where the tokens of text are, in characters}}, and for byte pairs by
                  llama.cpp, for the same tokens with scores: "llama.cpp", "llama.cpp, no prefix"
  byte_pairs.model, characters.model  SentencePiece's own files of byte pairs, with bytes to fall back to and spaces
                  kept, and without either
  models_ids.json  {file: digest like that of names.json, by SentencePiece}
  documents.json  {reference: {tokenizer: {file: {count, sha256 of the ids as little-endian int32}}}}

Without --smollm2 or --documents (both are too large to commit) what needs them is left as it is. A tokenizer that is
there stays, since training it anew would change every id: remove its file for that.
"""

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
from llama_cpp import Llama
from tokenizers import Tokenizer

import tiny_tokenizers
from compare_token_ids import known_names

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "data/fixtures/tokenizer"
VOCAB_SIZE = 700
UNSPLIT_VOCAB_SIZE = 1500
SENTENCEPIECE_VOCAB_SIZE = 900
UNIGRAM_VOCAB_SIZE = 800
MODES = ("as_text", "parse")


def compact(value, depth):
    """JSON with one entry a line in the outermost `depth` levels."""
    if depth == 0 or not isinstance(value, (dict, list)):
        return json.dumps(value, separators=(",", ":"))
    if isinstance(value, dict):
        lines = [f"{json.dumps(key)}: {compact(item, depth - 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + "\n}"
    return "[\n" + ",\n".join(compact(item, depth - 1) for item in value) + "\n]"


def tokenizer_text(name, train):
    """NAME.json's text, trained where there is none."""
    path = FIXTURES / f"{name}.json"
    if not path.exists():
        path.write_text(train() + "\n", encoding="utf-8")
    return path.read_text(encoding="utf-8")


def nasty_texts():
    """Those that are UTF-8; the others are given in hexadecimal, and no reference keeps them."""
    entries = json.loads((FIXTURES / "nasty_texts.json").read_text())
    return [text for text in entries.values() if isinstance(text, str)]


def with_values_set(definition, pointers):
    for pointer, value in pointers.items():
        *path, last = pointer.split("/")[1:]
        target = definition
        for key in path:
            target = target[int(key) if isinstance(target, list) else key]
        target[int(last) if isinstance(target, list) else last] = value
    return definition


def tokenizers_encoder(text):
    """tokenizer.json's text -> a function from (text, mode) to ids."""
    tokenizer = Tokenizer.from_str(text)

    def encode(text, mode):
        tokenizer.encode_special_tokens = mode == "as_text"
        return tokenizer.encode(text, add_special_tokens=False).ids

    return encode


def llama_cpp_encoder(path):
    llama = Llama(str(path), vocab_only=True, verbose=False)
    return lambda text, mode: llama.tokenize(text.encode(), add_bos=False, special=mode == "parse")


def write_gguf(definition, pre, path):
    """The vocabulary of a tokenizer.json, without a model; of no pre-tokenizer where `pre` is empty."""
    added = {token["content"]: token["id"] for token in definition["added_tokens"]}
    ids = definition["model"]["vocab"] | added
    tokens = sorted(ids, key=ids.get)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token in added else gguf.TokenType.NORMAL for token in tokens])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge)
                             for merge in definition["model"]["merges"]])
    first = definition["added_tokens"][0]["id"]
    writer.add_bos_token_id(first)
    writer.add_eos_token_id(first)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def train_tokenizers(folder):
    """Makes the small tokenizers; returns {reference: {name: encode}}."""
    sample = (ROOT / "data/documents/how_a_cache_forgets.txt").read_text()
    text = sample + "\n".join(nasty_texts())
    encoders = {"tokenizers": {}, "llama.cpp": {}}
    for pre in tiny_tokenizers.CONTROL_TOKENS:
        definition = tokenizer_text(
            pre, lambda pre=pre: tiny_tokenizers.to_json(tiny_tokenizers.train(pre, text, VOCAB_SIZE), pre))
        write_gguf(json.loads(definition), pre, folder / f"{pre}.gguf")
        encoders["tokenizers"][pre] = tokenizers_encoder(definition)
        encoders["llama.cpp"][pre] = llama_cpp_encoder(folder / f"{pre}.gguf")
    return encoders


def digest(ids):
    return {"count": len(ids), "sha256": hashlib.sha256(np.array(ids, "<i4").tobytes()).hexdigest()}


def digest_of_texts(encode, mode):
    return digest([id for text in nasty_texts() for id in [*encode(text, mode), -1]])["sha256"]


def ids_by_name(folder):
    """Makes unsplit.json; returns {name: digest}."""
    texts = nasty_texts()
    sample = (ROOT / "data/documents/how_a_cache_forgets.txt").read_text()
    definition = tokenizer_text(
        "unsplit", lambda: tiny_tokenizers.unsplit_json(sample + "".join(3 * texts), UNSPLIT_VOCAB_SIZE))
    digests = {}
    for name in [*known_names(), ""]:
        write_gguf(json.loads(definition), name, folder / "named.gguf")
        encode = llama_cpp_encoder(folder / "named.gguf")
        digests[name] = digest_of_texts(encode, "as_text")
    return digests


def write_sentencepiece_gguf(definition, path, adds_prefix):
    """The same tokens with scores in place of merges; later ones are worse, as merges are."""
    ids = definition["model"]["vocab"]
    tokens = sorted(ids, key=ids.get)
    kinds = {token["content"]: gguf.TokenType.CONTROL for token in definition["added_tokens"]}
    kinds["<unk>"] = gguf.TokenType.UNKNOWN
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(id) for id in range(len(tokens))])
    writer.add_token_types([kinds.get(token, gguf.TokenType.BYTE if token.startswith("<0x") else gguf.TokenType.NORMAL)
                            for token in tokens])
    writer.add_add_space_prefix(adds_prefix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def places(encoding, text):
    """[begin, end, ...] of the tokens in characters of the text. A mark before a text stands for nothing here, for the
    first character in the package; each of a run of fallback bytes stands for its own character, in the package's
    unigram model for all of the run's."""
    tokens, offsets = encoding.tokens, list(encoding.offsets)
    for k, (begin, _) in enumerate(offsets[:-1]):
        if tokens[k] == tiny_tokenizers.SPACE and offsets[k + 1][0] == begin:
            offsets[k] = begin, begin
    characters = []  # of the bytes of the run in hand, last first
    for k, (begin, end) in enumerate(offsets):
        if not tokens[k].startswith("<0x") or end == begin + 1:
            continue
        if not characters:
            characters = [at for at in range(begin, end) for _ in text[at].encode()][::-1]
        at = characters.pop()
        offsets[k] = at, at + 1
    return [edge for place in offsets for edge in place]


def digest_of_places(definition):
    tokenizer = Tokenizer.from_str(definition)
    tokenizer.encode_special_tokens = True
    found = [[*places(tokenizer.encode(text, add_special_tokens=False), text), -1] for text in nasty_texts()]
    return digest(sum(found, []))["sha256"]


def digests_of_variants(name, text):
    """Of a tokenizer.json's variants: {variant: {mode: digest, "places": digest}}. No places where characters are
    composed: a token of the composed one is where all its parts are, but in the package where one of them is."""
    digests = {}
    for variant, pointers in json.loads((FIXTURES / f"{name}_variants.json").read_text()).items():
        definition = json.dumps(with_values_set(json.loads(text), pointers))
        encode = tokenizers_encoder(definition)
        digests[variant] = {mode: digest_of_texts(encode, mode) for mode in MODES}
        if "NF" not in json.dumps(json.loads(definition)["normalizer"]):
            digests[variant]["places"] = digest_of_places(definition)
    return digests


def sentencepiece_ids(folder):
    """Makes sentencepiece.json; returns its encoders by reference, and {variant: {mode: digest}}."""
    sample = (ROOT / "data/documents/how_a_cache_forgets.txt").read_text()
    text = tokenizer_text("sentencepiece", lambda: tiny_tokenizers.sentencepiece_json(
        sample + "".join(nasty_texts()), SENTENCEPIECE_VOCAB_SIZE))
    digests = digests_of_variants("sentencepiece", text)
    encoders = {"tokenizers": tokenizers_encoder(text)}
    for name, adds_prefix in (("llama.cpp, no prefix", False), ("llama.cpp", True)):
        write_sentencepiece_gguf(json.loads(text), folder / "sentencepiece.gguf", adds_prefix)
        encoders["llama.cpp"] = llama_cpp_encoder(folder / "sentencepiece.gguf")
        digests[name] = {mode: digest_of_texts(encoders["llama.cpp"], mode) for mode in MODES}
    return encoders, digests


def unigram_ids():
    """Makes unigram.json; returns the same of it."""
    sample = (ROOT / "data/documents/how_a_cache_forgets.txt").read_text()
    text = tokenizer_text("unigram", lambda: tiny_tokenizers.unigram_json(sample, UNIGRAM_VOCAB_SIZE))
    return {"tokenizers": tokenizers_encoder(text)}, digests_of_variants("unigram", text)


def sentencepiece_encoders():
    """Makes SentencePiece's own files; returns {name: encode}."""
    sample = (ROOT / "data/documents/how_a_cache_forgets.txt").read_text()
    settings = {"byte_pairs": dict(model_type="bpe", vocab_size=500, byte_fallback=True, split_digits=True,
                                   allow_whitespace_only_pieces=True, remove_extra_whitespaces=False),
                "characters": dict(model_type="bpe", vocab_size=300)}
    encoders = {}
    for name, options in settings.items():
        path = FIXTURES / f"{name}.model"
        if not path.exists():
            path.write_bytes(tiny_tokenizers.sentencepiece_model(sample, **options))
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        encoders[name] = lambda text, mode, model=model: model.encode(text)  # control tokens are text in any mode
    return encoders


def variant_ids(variant):
    definition = with_values_set(json.loads((FIXTURES / f"{variant['base']}.json").read_text()),
                                 variant["set"])
    encode = tokenizers_encoder(json.dumps(definition))
    return {mode: [encode(text, mode) for text in variant["texts"]] for mode in MODES}


def update(path, value, depth):
    """Replaces the references' tokenizers that `value` has and keeps the others."""
    merged = json.loads(path.read_text()) if path.exists() else {}
    for reference, tokenizers in value.items():
        merged.setdefault(reference, {}).update(tokenizers)
    path.write_text(compact(merged, depth) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smollm2", type=Path, help="SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--documents", type=Path, help="a folder of .txt files")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        encoders = train_tokenizers(Path(folder))
        of_texts = {}  # encoders of vocabularies of texts
        of_texts["sentencepiece"], digests = sentencepiece_ids(Path(folder))
        (FIXTURES / "sentencepiece_ids.json").write_text(compact(digests, 1) + "\n")
        of_texts["unigram"], digests = unigram_ids()
        (FIXTURES / "unigram_ids.json").write_text(compact(digests, 1) + "\n")
        (FIXTURES / "names.json").write_text(compact(ids_by_name(Path(folder)), 1) + "\n")
    if options.smollm2:
        encoders["llama.cpp"]["smollm2"] = llama_cpp_encoder(options.smollm2)

    texts = nasty_texts()
    expected = {reference: {name: {mode: [encode(text, mode) for text in texts] for mode in MODES}
                            for name, encode in by_name.items()}
                for reference, by_name in encoders.items()}
    update(FIXTURES / "expected.json", expected, 4)

    variants = json.loads((FIXTURES / "variants.json").read_text())
    expected = {variant["name"]: variant_ids(variant) for variant in variants}
    (FIXTURES / "expected_variants.json").write_text(compact(expected, 3) + "\n")

    encoders["SentencePiece"] = sentencepiece_encoders()
    digests = {name: digest_of_texts(encode, "as_text") for name, encode in encoders["SentencePiece"].items()}
    (FIXTURES / "models_ids.json").write_text(compact(digests, 1) + "\n")

    for name, by_reference in of_texts.items():
        for reference, encode in by_reference.items():
            encoders[reference][name] = encode
    if options.documents:
        documents = {path.name: path.read_bytes().decode()
                     for path in sorted(options.documents.glob("*.txt"))}
        update(FIXTURES / "documents.json",
               {reference: {name: {file: digest(encode(text, "as_text"))
                                   for file, text in documents.items()}
                            for name, encode in by_name.items()}
                for reference, by_name in encoders.items()}, 3)


if __name__ == "__main__":
    main()
