#pragma once

#include <cstddef>

#include "engine/config/config.h"
#include "probes/cost/memory_plan.h"

namespace longshadow {

// Floating-point operations of matrix products, a multiplication and an addition each: what bench
// holds against the machine's peak, and what plan tells. Letters are ModelConfig's.

/// FLOPs of `rows` positions with all weights, the output matrix's too:
///   2 rows (L (2 D H d + 2 D K d + 3 D F) + V D),
/// and in a layer with E experts, of which a row goes through k, E D + 3 k D F for 3 D F.
double product_flops(const ModelConfig& config, std::size_t rows);

/// FLOPs of attention for `rows` positions after `prefix` others, 4 d for each pair of a position
/// and one before it, and in the differential form 8 d where both are among the rows:
///   4 L H d rows (prefix + rows / 2 [or rows]).
double attention_flops(const ModelConfig& config, std::size_t rows, std::size_t prefix,
                       Method method);

/// FLOPs of a prefill of so many positions without the output product.
double prefill_flops(const ModelConfig& config, std::size_t context);

/// FLOPs of the output product with so many positions.
double output_flops(const ModelConfig& config, std::size_t rows);

/// The output product's share of a prefill of `context` tokens that had it at every position:
/// V D of V D + L (D (2 H d + 2 K d + 3 F) + H d T). What exact entropies of the whole context cost
/// of a prefill that needs no other prediction than its last.
double output_share_of_prefill(const ModelConfig& config, std::size_t context);

}  // namespace longshadow
