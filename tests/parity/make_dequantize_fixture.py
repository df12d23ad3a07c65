"""Writes data/fixtures/dequantize.gguf: one tensor of each storage type, in blocks that ggml's own
package made, and the float32 values it decodes them to. Run with tests/parity/requirements.txt:

    python3 tests/parity/make_dequantize_fixture.py data/fixtures/dequantize.gguf
"""

import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

COLUMNS = 512  # two blocks of the 256-element types
TYPES = [Type.F32, Type.F16, Type.BF16, Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1,
         Type.Q4_K, Type.Q5_K, Type.Q6_K]
QUANTIZERS_IN_PYTHON = TYPES[:8]  # the package decodes the K types, but does not encode them
# Where a block's binary16 scales and minima lie, in bytes from its begin.
SCALES_AT = {Type.Q8_0: [0], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2],
             Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208]}


def random_blocks(rng, kind):
    """A row whose codes are random bytes, so that every bit counts, and whose scales are finite."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (COLUMNS // elements, size), dtype=np.uint8)
    for at in SCALES_AT[kind]:
        scales = rng.normal(0, 0.1, len(blocks)).astype(np.float16)
        scales[0] = np.float16(6e-8)  # the smallest subnormal
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(1, -1)


def main(path):
    rng = np.random.default_rng(7)
    writer = gguf.GGUFWriter(path, "fixture")
    for kind in TYPES:
        rows = []
        if kind in QUANTIZERS_IN_PYTHON:
            values = rng.normal(0, 0.05, (1, COLUMNS)).astype(np.float32)
            rows.append(gguf.quantize(values, kind).view(np.uint8))
        if kind in SCALES_AT:
            rows.append(random_blocks(rng, kind))
        stored = np.concatenate(rows)
        if kind not in SCALES_AT:
            stored = stored.view({Type.F32: np.float32, Type.F16: np.float16}.get(kind, np.uint8))
        expected = gguf.dequantize(stored, kind).astype(np.float32)
        writer.add_tensor(kind.name, stored, raw_dtype=kind)
        writer.add_tensor(kind.name + ".expected", expected)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1])
