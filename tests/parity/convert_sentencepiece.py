"""Writes a SentencePiece model as tokenizer.json, as transformers converts Llama's, and byte pairs as a GGUF file too.

    pip download --no-deps mistral-common==1.13.1 && unzip -j mistral_common-*.whl '*/tokenizer.model.v1'
    python3 tests/parity/convert_sentencepiece.py tokenizer.model.v1 FOLDER
    python3 tests/parity/compare_token_ids.py FOLDER/whole.json FOLDER/words.json FOLDER/byte_pairs.gguf

whole.json takes a text for one word, words.json cuts it at spaces. Needs tests/parity/requirements.txt and protobuf.
"""

import argparse
import json
from pathlib import Path

import gguf
from sentencepiece import sentencepiece_model_pb2
from transformers.convert_slow_tokenizer import generate_merges

import tiny_tokenizers

Piece = sentencepiece_model_pb2.ModelProto.SentencePiece
GGUF_TYPES = {
    Piece.NORMAL: gguf.TokenType.NORMAL,
    Piece.UNKNOWN: gguf.TokenType.UNKNOWN,
    Piece.CONTROL: gguf.TokenType.CONTROL,
    Piece.USER_DEFINED: gguf.TokenType.USER_DEFINED,
    Piece.UNUSED: gguf.TokenType.UNUSED,
    Piece.BYTE: gguf.TokenType.BYTE,
}
ADDED = (Piece.UNKNOWN, Piece.CONTROL, Piece.USER_DEFINED)
WORDS = {"type": "Metaspace", "replacement": tiny_tokenizers.SPACE, "prepend_scheme": "always", "split": True}


def byte_pairs(pieces):
    ids = {piece.piece: id for id, piece in enumerate(pieces)}
    added = [piece.piece for piece in pieces if piece.type in ADDED]
    merges = generate_merges(ids, {piece.piece: piece.score for piece in pieces}, added)
    return {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": ids,
            "merges": merges}


def unigram(pieces):
    return {"type": "Unigram", "unk_id": [piece.type for piece in pieces].index(Piece.UNKNOWN),
            "byte_fallback": any(piece.type == Piece.BYTE for piece in pieces),
            "vocab": [[piece.piece, piece.score] for piece in pieces]}


def write_gguf(pieces, path):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list([piece.piece for piece in pieces])
    writer.add_token_scores([piece.score for piece in pieces])
    writer.add_token_types([GGUF_TYPES[piece.type] for piece in pieces])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="tokenizer.model")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()

    proto = sentencepiece_model_pb2.ModelProto.FromString(options.model.read_bytes())
    pieces = list(proto.pieces)
    is_unigram = proto.trainer_spec.model_type == sentencepiece_model_pb2.TrainerSpec.UNIGRAM
    added = {id: piece for id, piece in enumerate(pieces) if piece.type in ADDED}
    whole = {"version": "1.0", "pre_tokenizer": None, "model": unigram(pieces) if is_unigram else byte_pairs(pieces)}
    whole |= tiny_tokenizers.as_llama_2({id: piece.piece for id, piece in added.items()})
    for token in whole["added_tokens"]:
        token["special"] = added[token["id"]].type != Piece.USER_DEFINED

    options.folder.mkdir(parents=True, exist_ok=True)
    words = whole | {"normalizer": None, "pre_tokenizer": WORDS}
    for name, definition in (("whole", whole), ("words", words)):
        (options.folder / f"{name}.json").write_text(json.dumps(definition, ensure_ascii=False), encoding="utf-8")
    if not is_unigram:
        write_gguf(pieces, options.folder / "byte_pairs.gguf")


if __name__ == "__main__":
    main()
