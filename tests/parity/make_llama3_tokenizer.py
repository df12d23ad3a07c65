"""Llama 3's real vocabulary as a tokenizer.json, and tiktoken's ids for what it should give.

    pip download --no-deps llama-models==0.3.0 && unzip -j llama_models-*.whl '*/llama3/tokenizer.model'
    python3 tests/parity/make_llama3_tokenizer.py tokenizer.model [--documents DIR]

Writes data/models/llama3/tokenizer.json, which the licence keeps out of the repository: the tests
that read it are skipped where it is not. Adds tiktoken's ids of the nasty texts and, with
--documents, digests of its ids of the documents to data/fixtures/tokenizer.
"""

import argparse
import base64
import json
from pathlib import Path

import tiktoken

from make_tokenizer_fixtures import FIXTURES, MODES, ROOT, digest, nasty_texts, update
from tiny_tokenizers import SPLIT

CONTROL_TOKENS = {"<|begin_of_text|>": 128000, "<|end_of_text|>": 128001}
PATTERN = SPLIT.format(digits=r"\p{N}{1,3}")


def byte_alphabet():
    """GPT-2's printable character of each byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


def merges_of(ranks):
    """tiktoken keeps only the order of the results: every split of a token into two is a merge."""
    merges = []
    for token in sorted(ranks, key=ranks.get):
        splits = [(token[:cut], token[cut:]) for cut in range(1, len(token))]
        splits = [pair for pair in splits if pair[0] in ranks and pair[1] in ranks]
        merges += sorted(splits, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    return merges


def tokenizer_json(ranks):
    alphabet = byte_alphabet()

    def spelling(token):
        return "".join(alphabet[byte] for byte in token)

    bos, bos_id = next(iter(CONTROL_TOKENS.items()))
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "added_tokens": [{"id": token_id, "content": content, "special": True} | flags
                         for content, token_id in CONTROL_TOKENS.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated",
             "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
             "use_regex": False}]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": bos, "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {bos: {"id": bos, "ids": [bos_id], "tokens": [bos]}}},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "ignore_merges": True,
                  "vocab": {spelling(token): rank for token, rank in ranks.items()},
                  "merges": [[spelling(left), spelling(right)] for left, right in merges_of(ranks)]},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ranks", type=Path, help="llama3/tokenizer.model of llama-models")
    parser.add_argument("--documents", type=Path, help="a folder of .txt files")
    options = parser.parse_args()

    lines = options.ranks.read_text().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(str.split, lines)}
    target = ROOT / "data/models/llama3/tokenizer.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(tokenizer_json(ranks), ensure_ascii=False), encoding="utf-8")

    reference = tiktoken.Encoding("llama3", pat_str=PATTERN, mergeable_ranks=ranks,
                                  special_tokens=CONTROL_TOKENS)

    def encode(text, mode):
        allowed = "all" if mode == "parse" else set()
        return reference.encode(text, allowed_special=allowed, disallowed_special=())

    texts = nasty_texts()
    update(FIXTURES / "expected.json", {"tiktoken": {
        "llama3": {mode: [encode(text, mode) for text in texts] for mode in MODES}}}, 4)
    if options.documents:
        update(FIXTURES / "documents.json", {"tiktoken": {"llama3": {
            path.name: digest(encode(path.read_bytes().decode(), "as_text"))
            for path in sorted(options.documents.glob("*.txt"))}}}, 3)


if __name__ == "__main__":
    main()
