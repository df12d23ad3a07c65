"""Malformed safetensors and their index, 50 to 75: a tiny llama's folder with one thing wrong.

A case's `spoil` changes the folder, a copy of source_of(case).
"""

import json
import shutil
import struct

from malformed import MODELS, Case

SINGLE = MODELS / "llama_plain"
SHARDED = MODELS / "llama_llama3"

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
FIRST_OF_INDEX = 73
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
# Tensors by where their data lies.
HEAD, EMBEDDING, NORM = "lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"


def source_of(case):
    return SHARDED if case.number >= FIRST_OF_INDEX else SINGLE


def write(folder, data):
    (folder / WEIGHTS).write_bytes(data)


def parts_of(folder):
    """The header's text and the data."""
    file = (folder / WEIGHTS).read_bytes()
    length, = struct.unpack("<Q", file[:8])
    return file[8:8 + length], file[8 + length:]


def joined(header, data):
    return struct.pack("<Q", len(header)) + header + data


def begins_with(data):
    """The whole file is that."""
    return lambda folder: write(folder, data)


def header_length(claimed):
    def spoil(folder):
        write(folder, struct.pack("<Q", claimed) + joined(*parts_of(folder))[8:])
    return spoil


def header_text(change):
    def spoil(folder):
        header, data = parts_of(folder)
        write(folder, joined(change(header), data))
    return spoil


def inserted(text):
    """The header with more behind its first brace."""
    return header_text(lambda header: b"{" + text + header[1:])


def header(change):
    def changed(text):
        entries = json.loads(text)
        change(entries)
        return json.dumps(entries).encode()
    return header_text(changed)


def tensor(name, **fields):
    return header(lambda entries: entries[name].update(fields))


def metadata(value):
    return header(lambda entries: entries.update(__metadata__=value))


def raw_shape(text):
    """Another shape of the last tensor, as it shall be spelled."""
    return header_text(lambda header: header[:header.rindex(b'"shape":[48]')] + b'"shape":' + text
                       + header[header.rindex(b',"data_offsets"'):])


def sized_header(n):
    """A header of n bytes, nearly all of them a hole in the file."""
    def spoil(folder):
        with open(folder / WEIGHTS, "wb") as file:
            file.write(struct.pack("<Q", n))
            file.truncate(8 + n)
    return spoil


def more_data(n):
    def spoil(folder):
        with open(folder / WEIGHTS, "ab") as file:
            file.write(bytes(n))
    return spoil


def index(change):
    def spoil(folder):
        content = json.loads((folder / INDEX).read_text())
        change(content["weight_map"])
        (folder / INDEX).write_text(json.dumps(content))
    return spoil


def placed(tensor_name, shard):
    return index(lambda weight_map: weight_map.update({tensor_name: shard}))


def renamed_shard(name):
    """The index calls the second shard so."""
    return index(lambda weight_map: weight_map.update(
        {tensor: name for tensor, shard in weight_map.items() if shard == SECOND}))


def link_to_nothing(folder):
    (folder / SECOND).unlink()
    (folder / SECOND).symlink_to("../../blobs/gone")


def missing_shard(folder):
    (folder / SECOND).unlink()


def copied_shard(folder):
    """A third shard with the tensors of the first, of which the index places one more in it."""
    shutil.copy(folder / FIRST, folder / "third")
    placed("model.more", "third")(folder)


CASES = [
    Case(50, "under 8 bytes", "found only 7 bytes", begins_with(bytes(7))),
    Case(51, "header length 2^64 - 1", "found one of 18446744073709551615", header_length(2**64 - 1)),
    Case(52, "header over 100 MB", "1 to 100000000 bytes, found one of 100000001", sized_header(100_000_001)),
    Case(53, "header past the end", "found one of 10000000", header_length(10**7)),
    Case(54, "header length 0", "found one of 0", header_length(0)),
    Case(55, "first byte not {", "a header that begins with '{'", header_text(lambda text: b" " + text)),
    Case(55, "100 MB of zeros", "a header that begins with '{'", sized_header(10**8)),
    Case(56, "not UTF-8", "not valid JSON", inserted(b'"__metadata__x":"\xff",')),
    Case(57, "text behind the header", "ends with '}'", header_text(lambda text: text.rstrip() + b" x")),
    Case(57, "newline behind the header", "ends with '}'", header_text(lambda text: text.rstrip() + b"\n")),
    Case(57, "second object behind the header", "not valid JSON", header_text(lambda text: text.rstrip() + b"{}")),
    Case(58, "repeated tensor", "'lm_head.weight' is repeated",
         inserted(b'"lm_head.weight":{"dtype":"F16","shape":[0],"data_offsets":[0,0]},')),
    Case(59, "repeated inner key", "'dtype' is repeated",
         header_text(lambda text: text.replace(b'"dtype":"F16"', b'"dtype":"F16","dtype":"F32"', 1))),
    Case(60, "metadata that is a number", "'format': expected a string", metadata({"format": 1})),
    Case(60, "metadata that is an array", "'__metadata__': expected an object", metadata([])),
    Case(61, "unknown dtype", "the dtype 'F17' is none of the safetensors format's", tensor(HEAD, dtype="F17")),
    Case(61, "a weight of integers", "'lm_head.weight': the dtype 'I16' is not supported", tensor(HEAD, dtype="I16")),
    Case(61, "a weight of integers of another size", "takes 122880 bytes", tensor(HEAD, dtype="I64")),
    Case(62, "negative dimension", "non-negative integer, found '-48'", tensor(NORM, shape=[-48])),
    Case(62, "dimension 48.0", "non-negative integer, found '48.0'", tensor(NORM, shape=[48.0])),
    Case(63, "dimension over 2^63", "takes more than 2^64 bits", tensor(NORM, shape=[2**63 + 1])),
    Case(63, "dimension over 2^64", "expected a non-negative integer", raw_shape(b"[18446744073709551617]")),
    Case(64, "more than 2^64 elements", "takes more than 2^64 bits", tensor(NORM, shape=[2**62, 3])),
    Case(65, "2^32 x 2^32 elements", "takes more than 2^64 bits", tensor(NORM, shape=[2**32, 2**32])),
    Case(65, "a zero hides an overflow", "takes more than 2^64 bits", tensor(NORM, shape=[2**32, 2**32, 0])),
    Case(66, "begin > end", "found 30720 to 0", tensor(HEAD, data_offsets=[30720, 0])),
    Case(67, "end past the data", "found 0 to 1000000; the file may be cut short",
         tensor(HEAD, data_offsets=[0, 10**6])),
    Case(68, "overlap", "an overlap with", tensor(EMBEDDING, data_offsets=[30718, 61438])),
    Case(68, "two tensors in one place", "an overlap with", tensor(EMBEDDING, data_offsets=[0, 30720])),
    Case(69, "hole", "a hole behind", header(lambda entries: entries.pop(EMBEDDING))),
    Case(70, "trailing bytes", "expected 154080 bytes of data, found 154081", more_data(1)),
    Case(71, "size not shape x dtype", "takes 94 bytes, its data_offsets give 96", tensor(NORM, shape=[47])),
    Case(72, "part of a byte", "ends within a byte", tensor(NORM, dtype="F4", shape=[193])),
    Case(73, "missing shard", SECOND + ": this shard is missing", missing_shard),
    Case(73, "missing shard of a harmful name", "this shard is missing", renamed_shard("\x1b[2J\nall is well\u202e")),
    Case(74, "shard path with ..", "plain file names, found '../" + SECOND + "'", renamed_shard("../" + SECOND)),
    Case(74, "absolute shard path", "plain file names, found '/etc/passwd'", renamed_shard("/etc/passwd")),
    Case(74, "shard in a folder", "plain file names", renamed_shard("more/" + SECOND)),
    Case(73, "a link to nothing", SECOND + ": this shard is missing", link_to_nothing),
    Case(75, "tensor in another shard", "expected it in '" + FIRST + "' alone", placed(NORM, FIRST)),
    Case(75, "tensor in two shards", "is in 'third', expected it in '" + FIRST, copied_shard),
]
