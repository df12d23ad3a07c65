"""Malformed GGUF files, 1 to 49: the tiny llama model with one thing wrong.

A case's `spoil` takes the model (gguf_layout.Gguf) and gives back it, or the file's bytes, or several files: {name:
either}, of which the first is opened and the one that the refusal names is the last.
"""

import copy

from gguf_layout import (ARRAY, BOOL, F32, F64, I32, I64, STRING, U8, U16, U32, U64, array, f32, f64, i32, i64, text,
                         u8, u16, u32, u64)
from malformed import MODELS, PROBE, Case

MODEL = MODELS / "llama_plain.gguf"
NAN, INFINITY = float("nan"), float("inf")


def cut(end):
    return lambda model: model.encode()[:end]


def header(**fields):
    return lambda model: model.change(**fields)


def pair(key, value_type, value):
    """One metadata pair more."""
    return lambda model: model.add_pair(key, value_type, value)


def only_pair(data):
    """A file without tensors whose one metadata pair is these bytes."""
    return lambda model: model.change(n_tensors=0, n_pairs=1).encode()[:24] + data + bytes(16)


def llama(key, value_type, value):
    """Another value of one of the architecture's keys."""
    return lambda model: model.replace_pair("llama." + key, value_type, value)


def tokenizer(key, value_type, value):
    return lambda model: model.replace_pair("tokenizer.ggml." + key, value_type, value)


def without(key):
    return lambda model: model.remove_pair(key)


def last_tensor(**fields):
    return lambda model: model.change_tensor(-1, **fields)


def another_tensor(name, dimensions=(8,), data=bytes(32), **claims):
    return lambda model: model.add_tensor(name, dimensions, data, **claims)


def second_tensor_moved(by):
    return lambda model: model.move_tensor(1, by)


def added_bos(model):
    """Put before a text, and the id of no token."""
    return (model.replace_pair("tokenizer.ggml.bos_token_id", U32, u32(320))
            .replace_pair("tokenizer.ggml.add_bos_token", BOOL, b"\x01"))


def byte_token(model):
    """Such as vocabularies have that are not byte-level; a peer read the number with its sign."""
    return (model.replace_element("tokenizer.ggml.tokens", 300, text("<0x-1>"))
            .replace_element("tokenizer.ggml.token_type", 300, i32(6)))


def of_texts(model):
    """The same tokens as SentencePiece's."""
    return model.replace_pair("tokenizer.ggml.model", STRING, text("llama"))


def part(model, number, count=2, tensors=None):
    """That part of the model, numbered from 0: the first half of its tensors or, without other metadata, the rest."""
    half = len(model.tensors) // 2
    model = copy.deepcopy(model).change(tensors=model.tensors[:half] if number == 0 else model.tensors[half:])
    if number > 0:
        model.pairs.clear()
    if tensors is not None:
        model.change(tensors=tensors)
    return model.add_pair("split.no", U16, u16(number)).add_pair("split.count", U16, u16(count))


def parts(**second):
    """The model in two parts, of which the second is made as told; without a word, it is missing."""
    def spoil(model):
        files = {"model-00001-of-00002.gguf": part(model, 0)}
        if second:
            files["model-00002-of-00002.gguf"] = part(model, **second)
        return files
    return spoil


def first_part_twice(model):
    return {"model-00001-of-00002.gguf": part(model, 0), "model-00002-of-00002.gguf": part(model, 0)}


def tensor_in_two_parts(model):
    """Told of the first part."""
    return {"model-00002-of-00002.gguf": part(model, 1, tensors=model.tensors),
            "model-00001-of-00002.gguf": part(model, 0)}


def tensor_in_no_part(model):
    first = part(model, 0).add_pair("split.tensors.count", I32, i32(len(model.tensors)))
    return {"model-00002-of-00002.gguf": part(model, 1, tensors=model.tensors[-2:]), "model-00001-of-00002.gguf": first}


def cut_part(model):
    return {"model-00001-of-00002.gguf": part(model, 0), "model-00002-of-00002.gguf": part(model, 1).encode()[:-1]}


CASES = [
    Case(1, "empty", "has 0 left", cut(0)),
    Case(2, "under 24 bytes", "may be cut short", cut(23)),
    Case(3, "bad magic", "begins with 'GGUF'", header(magic=b"GGML")),
    Case(4, "version 0", "version 2 or 3, found 0", header(version=0)),
    Case(5, "version 1", "version 2 or 3, found 1", header(version=1)),
    Case(6, "version 4", "version 2 or 3, found 4", header(version=4)),
    Case(6, "version 2^32 - 1", "found 4294967295", header(version=2**32 - 1)),
    Case(7, "byte-swapped version", "big-endian", header(version=3 << 24)),
    Case(8, "2^63 tensors", "tensors in the bytes that are left, found 9223372036854775808", header(n_tensors=2**63)),
    Case(9, "2^64 - 1 keys", "metadata pairs in the bytes that are left", header(n_pairs=2**64 - 1)),
    Case(10, "more keys than there is room for", "metadata pairs in the bytes that are left",
         lambda model: model.change(n_pairs=len(model.encode()) // 13)),
    Case(11, "key length past the end", "metadata key 0 takes 60000 bytes", only_pair(u64(60000) + b"key")),
    Case(11, "key length 2^64 - 1", "expected at most 65535 bytes", only_pair(u64(2**64 - 1) + b"key")),
    Case(12, "empty key", "is empty", pair("", U8, u8(1))),
    Case(13, "repeated key", "'llama.block_count' is repeated", pair("llama.block_count", U32, u32(2))),
    Case(14, "value type 13", "value type of 0 to 12, found 13", pair("k", 13, u64(0))),
    Case(14, "value type 2^32 - 1", "found 4294967295", pair("k", 2**32 - 1, u64(0))),
    Case(14, "element type 13", "value type of 0 to 12, found 13", pair("k", ARRAY, array(13, 0))),
    Case(15, "arrays 1,000 deep", "arrays of arrays are not supported",
         pair("k", ARRAY, 999 * array(ARRAY, 1) + array(U8, 0))),
    Case(16, "array whose bytes overflow", "elements of", pair("k", ARRAY, array(U64, 2**61 + 2, bytes(16)))),
    Case(16, "2^64 - 1 strings", "elements of", pair("k", ARRAY, array(STRING, 2**64 - 1, bytes(16)))),
    Case(17, "array past the end", "elements of", pair("k", ARRAY, array(F64, 10**6, bytes(16)))),
    Case(18, "string length 2^64 - 1", "takes 18446744073709551615 bytes", pair("k", STRING, u64(2**64 - 1))),
    Case(18, "string length 2^64 - 1 in an array", "takes 18446744073709551615 bytes",
         pair("k", ARRAY, array(STRING, 1, u64(2**64 - 1)))),
    Case(19, "boolean 2", "0 or 1, found 2", pair("k", BOOL, u8(2))),
    Case(19, "boolean 255 in an array", "0 or 1, found 255", pair("k", ARRAY, array(BOOL, 2, b"\x01\xff"))),
    Case(20, "alignment of 64 bits", "expected a 32-bit unsigned", pair("general.alignment", U64, u64(32))),
    Case(20, "alignment as text", "expected a 32-bit unsigned", pair("general.alignment", STRING, text("32"))),
    Case(21, "alignment 0", "power of two up to 1048576, found 0", pair("general.alignment", U32, u32(0))),
    Case(22, "alignment 24", "power of two up to 1048576, found 24", pair("general.alignment", U32, u32(24))),
    Case(23, "alignment over 1 MiB", "found 2097152", pair("general.alignment", U32, u32(2**21))),
    Case(24, "tensor name of 65 bytes", "at most 64 bytes, found 65", last_tensor(name=65 * "n")),
    Case(24, "tensor name of 2^63 bytes", "at most 64 bytes", last_tensor(name_length=2**63)),
    Case(25, "repeated tensor", "'output_norm.weight' is repeated", another_tensor("output_norm.weight")),
    Case(26, "5 dimensions", "1 to 4 dimensions, found 5", last_tensor(dimensions=(1, 1, 1, 1, 1))),
    Case(26, "2^32 - 1 dimensions", "1 to 4 dimensions, found 4294967295", last_tensor(n_dimensions=2**32 - 1)),
    Case(27, "dimension -1", "dimensions of 1 to 2^63 - 1, found -1", last_tensor(dimensions=(2**64 - 1,))),
    Case(28, "dimension 0", "dimensions of 1 to 2^63 - 1, found 0", last_tensor(dimensions=(48, 0))),
    Case(29, "more than 2^64 elements", "more than 2^64 bytes", last_tensor(dimensions=(2**63 - 1, 3))),
    Case(30, "2^32 x 2^32 elements", "more than 2^64 bytes", last_tensor(dimensions=(2**32, 2**32))),
    Case(31, "2^32 x 2^31 elements", "more than 2^64 bytes", last_tensor(dimensions=(2**32, 2**31))),
    Case(32, "unknown tensor type", "tensor type 1000 (unknown)", last_tensor(type=1000)),
    Case(32, "removed tensor type", "tensor type 4 (Q4_2)", last_tensor(type=4)),
    Case(33, "rows of part of a block", "whole Q8_0 blocks of 32", last_tensor(type=8)),
    Case(34, "offset not aligned", "multiple of 32", second_tensor_moved(8)),
    Case(35, "offset and size wrap", "a gap", last_tensor(offset=2**64 - 32)),
    Case(36, "offset past the end", "a gap", last_tensor(offset=2**40)),
    Case(36, "data past the end", "the file may be cut short", another_tensor("more", (10**6,), b"")),
    Case(37, "overlap", "an overlap", second_tensor_moved(-32)),
    Case(37, "two tensors in one place", "an overlap", another_tensor("more", offset=0)),
    Case(38, "gap", "a gap", second_tensor_moved(32)),
    Case(39, "cut by one byte", "the file may be cut short", cut(-1)),
    Case(40, "fewer scores than tokens", "expected one entry for each of the 320 tokens, found 319",
         pair("tokenizer.ggml.scores", ARRAY, array(F32, 319, bytes(4 * 319)))),
    Case(40, "a score that is not a number", "token 7: expected a finite number",
         lambda model: of_texts(model).add_pair("tokenizer.ggml.scores", ARRAY,
                                                array(F32, 320, 7 * f32(0) + f32(NAN) + 312 * f32(0)))),
    Case(41, "token types of 8 bits", "'tokenizer.ggml.token_type': expected an array of signed integers",
         tokenizer("token_type", ARRAY, array(U8, 320, 320 * b"\x01"))),
    Case(42, "bos_token_id = vocabulary, and added", "id 320 names none of the 320 tokens", added_bos, PROBE),
    Case(42, "negative bos_token_id", "'tokenizer.ggml.bos_token_id': expected a non-negative integer",
         tokenizer("bos_token_id", I32, i32(-1))),
    Case(42, "eos_token_id as text", "tokenizer.ggml.eos_token_id", tokenizer("eos_token_id", STRING, text("0"))),
    Case(43, "byte token <0x-1>", "token 300 is of type 6, a byte token", byte_token),
    Case(43, "byte token <0x-1> among texts", "expected a spelling of <0x00> to <0xFF>",
         lambda model: of_texts(byte_token(model))),
    Case(44, "no layers", "'llama.block_count': expected 1 to 1024, found 0", llama("block_count", U32, u32(0))),
    Case(44, "2^32 - 1 layers", "'llama.block_count': expected 1 to 1024", llama("block_count", U32, u32(2**32 - 1))),
    Case(45, "heads do not divide the width", "2 key-value heads divide, found 5", llama("attention.head_count", U32, u32(5))),
    Case(45, "key-value heads do not divide", "3 key-value heads", llama("attention.head_count_kv", U32, u32(3))),
    Case(45, "no key-value heads", "expected 1 to 4096, found 0", llama("attention.head_count_kv", U32, u32(0))),
    Case(46, "no embedding_length", "'llama.embedding_length' is missing", without("llama.embedding_length")),
    Case(46, "no tokens", "'tokenizer.ggml.tokens' is missing", without("tokenizer.ggml.tokens")),
    Case(46, "embedding_length as text", "expected a non-negative integer", llama("embedding_length", STRING, text("48"))),
    Case(46, "negative embedding_length", "found a negative integer", llama("embedding_length", I64, i64(-48))),
    Case(47, "key not UTF-8", r"not UTF-8: 'k\xff'", pair(b"k\xff", U8, u8(1))),
    Case(48, "rope base NaN", "'llama.rope.freq_base': expected a positive number",
         llama("rope.freq_base", F32, f32(NAN))),
    Case(48, "rope base infinite", "'llama.rope.freq_base': expected a positive number",
         llama("rope.freq_base", F64, f64(INFINITY))),
    Case(48, "epsilon NaN", "epsilon': expected a positive number",
         llama("attention.layer_norm_rms_epsilon", F32, f32(NAN))),
    Case(48, "epsilon infinite", "epsilon': expected a positive number",
         llama("attention.layer_norm_rms_epsilon", F32, f32(INFINITY))),
    Case(49, "a part without its name", "one of 3 parts of a model, so expected a name that ends in -NNNNN-of-00003.gguf",
         pair("split.count", U16, u16(3))),
    Case(49, "a part is missing", "part 2 of the model's 2 is missing; put 'model-00002-of-00002.gguf' beside it", parts()),
    Case(49, "a part twice", "expected 'split.no' 1 by the file's name, found 0", first_part_twice),
    Case(49, "a part of three among two", "expected one of 2 parts like the first", parts(number=1, count=3)),
    Case(49, "a tensor in two parts", "is in two of its 2 parts", tensor_in_two_parts),
    Case(49, "a tensor in no part", "tensors in its 2 parts (split.tensors.count)", tensor_in_no_part),
    Case(49, "a part cut by one byte", "the file may be cut short", cut_part),
]
