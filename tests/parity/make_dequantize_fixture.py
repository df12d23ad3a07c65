"""Writes data/fixtures/dequantize.gguf: rows of each storage type and the float32 values that llama.cpp
decodes them to. Each type has a row of ggml's own quantiser, where it has one that needs nothing but
values, and one whose codes are random bytes, so that every bit counts. Run with
tests/parity/requirements.txt, or with another build of ggml's base library:

    python3 tests/parity/make_dequantize_fixture.py data/fixtures/dequantize.gguf [libggml-base.so]
"""

import ctypes
import pathlib
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.gguf_writer import TensorInfo

COLUMNS = 512  # two blocks of the 256-element types
PLAIN = [Type.F32, Type.F16, Type.BF16]
# Where a block's binary16 scales and minima lie, in bytes from its begin. The scales of MXFP4 and
# NVFP4 may be any bytes, but for MXFP4's largest, which make values infinite.
SCALES_AT = {
    "Q1_0": [0], "Q2_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "TQ1_0": [52], "TQ2_0": [64], "MXFP4": [], "NVFP4": [], "IQ4_NL": [0], "IQ4_XS": [0],
    "IQ1_S": [0], "IQ1_M": None, "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0]}
# Types by ggml's number: the gguf package does not name the newest ones.
NUMBERS = {kind.name: kind.value for kind in Type} | {"Q1_0": 41, "Q2_0": 42}
NEEDS_IMPORTANCES = ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS"]


class Ggml:
    """The parts of ggml.h that quantise and dequantise."""

    class Traits(ctypes.Structure):
        _fields_ = [("type_name", ctypes.c_char_p), ("blck_size", ctypes.c_int64),
                    ("blck_size_interleave", ctypes.c_int64), ("type_size", ctypes.c_size_t),
                    ("is_quantized", ctypes.c_bool),
                    ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
                    ("from_float_ref", ctypes.c_void_p)]

    def __init__(self, library):
        self.functions = ctypes.CDLL(str(library))
        self.functions.ggml_get_type_traits.restype = ctypes.POINTER(self.Traits)
        self.functions.ggml_quantize_chunk.restype = ctypes.c_size_t
        self.functions.ggml_quantize_init(0)

    def traits(self, name):
        traits = self.functions.ggml_get_type_traits(NUMBERS[name]).contents
        assert traits.type_name.decode().upper() == name, traits.type_name
        return traits

    def quantize(self, values, name):
        """The blocks of one row, with every value equally important."""
        traits = self.traits(name)
        self.functions.ggml_quantize_init(NUMBERS[name])
        row = np.zeros(COLUMNS // traits.blck_size * traits.type_size, np.uint8)
        importances = np.ones(COLUMNS, np.float32)
        pointer = importances.ctypes.data if name in NEEDS_IMPORTANCES else None
        self.functions.ggml_quantize_chunk(
            NUMBERS[name], ctypes.c_void_p(values.ctypes.data), ctypes.c_void_p(row.ctypes.data),
            ctypes.c_int64(0), ctypes.c_int64(1), ctypes.c_int64(COLUMNS), ctypes.c_void_p(pointer))
        return row

    def dequantize(self, row, name):
        values = np.zeros(COLUMNS, np.float32)
        self.traits(name).to_float(row.ctypes.data, values.ctypes.data, COLUMNS)
        return values


def random_row(rng, ggml, name):
    """Random codes and finite scales, the first of them the smallest subnormal."""
    traits = ggml.traits(name)
    blocks = rng.integers(0, 256, (COLUMNS // traits.blck_size, traits.type_size), dtype=np.uint8)
    scales = rng.normal(0, 0.1, len(blocks)).astype(np.float16)
    scales[0] = np.float16(6e-8)
    bits = scales.view(np.uint16)
    if name == "IQ1_M":  # a quarter of the scale in the highest bits of four 16-bit words
        words = blocks[:, 48:].view(np.uint16)
        for k in range(4):
            words[:, k] = words[:, k] & 0x0fff | (bits >> 4 * k & 15) << 12
    elif name == "MXFP4":
        blocks[:, 0] = np.minimum(blocks[:, 0], 250)
        blocks[:3, 0] = [0, 1, 2]  # subnormal scales
    else:
        for at in SCALES_AT[name]:
            blocks[:, at:at + 2] = bits.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(-1)


def add_rows(writer, name, rows):
    """A tensor of a type that the gguf package may not know; its shape is in elements."""
    writer.tensors[-1][name] = TensorInfo(
        shape=(len(rows), COLUMNS), dtype=NUMBERS[name], nbytes=rows.nbytes, tensor=rows)


def default_library():
    import llama_cpp

    return pathlib.Path(llama_cpp.__file__).parent / "lib/libggml-base.so"


def main(path, library):
    rng = np.random.default_rng(7)
    ggml = Ggml(library)
    writer = gguf.GGUFWriter(path, "fixture")
    for kind in PLAIN:
        values = rng.normal(0, 0.05, (1, COLUMNS)).astype(np.float32)
        stored = gguf.quantize(values, kind)
        writer.add_tensor(kind.name, stored, raw_dtype=kind)
        writer.add_tensor(kind.name + ".expected", gguf.dequantize(stored, kind).astype(np.float32))
    for name in SCALES_AT:
        values = rng.normal(0, 0.05, COLUMNS).astype(np.float32)
        rows = np.stack([ggml.quantize(values, name), random_row(rng, ggml, name)])
        add_rows(writer, name, rows)
        writer.add_tensor(name + ".expected", np.stack([ggml.dequantize(row, name) for row in rows]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else default_library())
