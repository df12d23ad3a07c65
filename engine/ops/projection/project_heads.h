#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/operation.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/projection/heads.h"
#include "engine/ops/projection/rotary.h"

namespace longshadow {

/// Calls body.operator()<T, P, Q>() for the elements of weights and result: one of (f64, f64),
/// (f32, f32), (bf16, bf16) and (bf16, f32). Throws Error for another pair, naming the operation.
template <class Body>
void with_projection(const char* operation, Element weights, Element to, const Body& body) {
  if (weights == Element::bf16 && to == Element::f32) {
    body.template operator()<float, BF16, float>();
  } else {
    with_precisions(operation, to == Element::bf16 ? Element::f32 : to, weights,
                    [&]<class T, class P>() { body.template operator()<T, P, P>(); });
  }
}

/// to = x Wᵀ + bias with each head's columns apart, in the precision Q of the product it goes into:
/// x [rows, in], rows kFewRows or a multiple of kRowTile, W [heads d, in] packed in whole heads,
/// bias [1, heads d] or empty; the first `rows` rows of every head of `to` are written. The product
/// itself exists as tiles only.
void project_heads(Device& device, ConstTensorView x, const PackedWeights& weights,
                   ConstTensorView bias, HeadsView to);

/// project_heads(), each row then rotated by its position. positions [rows], below the table's.
void project_rotated_heads(Device& device, ConstTensorView x, const PackedWeights& weights,
                           ConstTensorView bias, const RotaryView& table,
                           std::span<const std::uint32_t> positions, HeadsView to);

/// project_heads() on other devices than the processor.
struct ProjectHeadsKernel : Operation<ProjectHeadsKernel, ConstTensorView, const PackedWeights&,
                                      ConstTensorView, HeadsView> {};

/// project_rotated_heads() on other devices than the processor.
struct ProjectRotatedHeadsKernel
    : Operation<ProjectRotatedHeadsKernel, ConstTensorView, const PackedWeights&, ConstTensorView,
                const RotaryView&, std::span<const std::uint32_t>, HeadsView> {};

}  // namespace longshadow
