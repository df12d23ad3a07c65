#pragma once

#include <cstddef>

#include "engine/core/half.h"

namespace longshadow {

/// The exact change of silu(gate) up when gate changes by dgate and up by dup, elementwise:
///   sigma(g + dg) = sigma(g) / (sigma(g) + sigma(-g) e^-dg),
///   dsigma = -sigma(g + dg) sigma(-g) expm1(-dg),
///   dsilu = g dsigma + sigma(g + dg) dg,   result = dsilu up + silu(g + dg) dup.
/// All [cols]; out in the precision of the product it goes into. On the calling thread.
void silu_gate_delta(const float* gate, const float* up, const float* dgate, const float* dup,
                     std::size_t cols, float* out);
void silu_gate_delta(const float* gate, const float* up, const float* dgate, const float* dup,
                     std::size_t cols, BF16* out);
void silu_gate_delta(const double* gate, const double* up, const double* dgate, const double* dup,
                     std::size_t cols, double* out);

}  // namespace longshadow
