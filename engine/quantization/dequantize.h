#pragma once

#include <cstddef>
#include <span>

#include "engine/io/stored_tensor.h"

namespace longshadow {

/// Decodes elements [first, first + out.size()) to f32; both must be multiples of the block, and
/// the range inside the tensor. Throws Error where they are not. The data may lie at any alignment.
/// Formulas follow ggml's block formats (https://github.com/ggml-org/ggml, ggml-quants.c).
void dequantize(const StoredTensor& tensor, std::size_t first, std::span<float> out);

}  // namespace longshadow
