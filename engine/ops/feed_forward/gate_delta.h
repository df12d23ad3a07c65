#pragma once

#include <cstddef>

#include "engine/core/activation.h"
#include "engine/core/half.h"

namespace longshadow {

/// The exact change of act(gate) up when gate changes by dgate and up by dup, elementwise, without
/// a difference of the two (activation_change() has its terms):
///   (act(g + dg) - act(g)) up + act(g + dg) dup.
/// All [cols]; out in the precision of the product it goes into. On the calling thread.
void gate_delta(Activation activation, const float* gate, const float* up, const float* dgate,
                const float* dup, std::size_t cols, float* out);
void gate_delta(Activation activation, const float* gate, const float* up, const float* dgate,
                const float* dup, std::size_t cols, BF16* out);
void gate_delta(Activation activation, const double* gate, const double* up, const double* dgate,
                const double* dup, std::size_t cols, double* out);

}  // namespace longshadow
