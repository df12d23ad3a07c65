#pragma once

#include "engine/quantization/block_formats.h"

namespace longshadow {

// Blocks whose codes name values, or points of four or eight values, in a table. `out` takes the
// block's elements as f32, ggml's own to the bit.

void decode(const BlockMXFP4& block, float* out);
void decode(const BlockNVFP4& block, float* out);
void decode(const BlockIQ4_NL& block, float* out);
void decode(const BlockIQ4_XS& block, float* out);
void decode(const BlockIQ1_S& block, float* out);
void decode(const BlockIQ1_M& block, float* out);
void decode(const BlockIQ2_XXS& block, float* out);
void decode(const BlockIQ2_XS& block, float* out);
void decode(const BlockIQ2_S& block, float* out);
void decode(const BlockIQ3_XXS& block, float* out);
void decode(const BlockIQ3_S& block, float* out);

}  // namespace longshadow
