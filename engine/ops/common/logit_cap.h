#pragma once

#include <cmath>
#include <cstddef>

namespace longshadow {

// Where a model caps its logits (Gemma 2, arXiv 2408.00118, section 2), a logit x becomes
// cap tanh(x / cap). A cap of 0 stands for none.

/// cap tanh(x / cap), or x itself where cap is 0.
inline double capped_logit(double x, double cap) { return cap == 0 ? x : cap * std::tanh(x / cap); }

/// The derivative of capped_logit() by x: 1 - tanh²(x / cap), or 1.
inline double capped_logit_slope(double x, double cap) {
  if (cap == 0) return 1;
  const double t = std::tanh(x / cap);
  return (1 - t) * (1 + t);
}

/// The change of capped_logit() when x changes by dx, exact in proportion to dx however small it
/// is.
inline double capped_logit_change(double x, double dx, double cap) {
  if (cap == 0) return dx;
  const double before = std::tanh(x / cap), step = std::tanh(dx / cap);
  return cap * step * ((1 - before) * (1 + before)) / (1 + before * step);
}

// Whole rows on the calling thread, in the precision they are in.

/// Replaces the logits [cols] by capped ones; `tanhs` [cols], unless it is null, becomes
/// tanh(x / cap). cap is not 0.
void cap_logits(float* logits, std::size_t cols, double cap, float* tanhs = nullptr);
void cap_logits(double* logits, std::size_t cols, double cap, double* tanhs = nullptr);

/// Replaces the changes [cols] of logits by those of the capped logits, tanhs as cap_logits()
/// leaves them.
void cap_logit_changes(const float* tanhs, std::size_t cols, double cap, float* changes);
void cap_logit_changes(const double* tanhs, std::size_t cols, double cap, double* changes);

/// Multiplies x [cols] by the derivatives of the capped logits, 1 - tanh².
void multiply_by_cap_slopes(const float* tanhs, std::size_t cols, float* x);
void multiply_by_cap_slopes(const double* tanhs, std::size_t cols, double* x);

}  // namespace longshadow
