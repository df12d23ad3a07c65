#pragma once

#include <span>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/attention/attention_delta.h"
#include "engine/ops/common/paired_rows.h"

namespace longshadow {

/// The least that a column is taken to leave of the attention, in 1 - p.
template <class T>
inline constexpr T kLeastKept = sizeof(T) == 4 ? T(1e-4) : T(1e-10);

/// Beyond this p, dp - dout.o cancels too far for a rounded dp: ds / (1 - p) would be its noise.
template <class T>
inline constexpr T kHeavy = T(1.0 / 16);

/// Gradients at what attention reads, in rows of a batch, before the rotation is undone.
template <class T, class P>
struct AttentionGradients {
  MatrixView<T> queries;  ///< [rows, H d]
  MatrixView<T> keys;     ///< [rows, K d], of the rows' own keys
  MatrixView<P> values;   ///< [rows, K d], in the precision of the product they go into
  /// [streams K, prefix], stream by stream: what prefix columns bring, one at a time, along dout:
  /// dout.(o - o without the column), summed over the stream's rows and the KV head's query heads.
  MatrixView<T> removals;
};

/// AttentionGradients whose elements' types are known when the program runs.
struct AttentionGradientsView {
  TensorView queries, keys, values, removals;

  template <class T, class P>
  AttentionGradients<T, P> as() const {
    return {queries.as<T>(), keys.as<T>(), values.as<P>(), removals.as<T>()};
  }
};

/// Takes gradients dout at attention's result back. With p the softmax row, o the result and
/// dp = dout vᵀ, the score's gradient is ds = p (dp - dout.o), and the gate's is the column's sum
/// of ds, because g exp(s) = exp(s + log g). p is recomputed in T from the full pass's log
/// normalisers, once for all streams; products with gradients run in precision P (sums in T).
/// Streams are gradients of the same rows: all have the same full rows, at positions prefix,
/// prefix + 1, ..., and see the prefix and each other causally.
///   dout, H heads of batch rows, with kRowTile readable, finite rows beyond the last one used.
void attention_backward(Device& device, const AttentionShape& shape, const FullAttentionView& full,
                        std::size_t prefix, ConstHeadsView dout,
                        std::span<const PairedRows> streams,
                        const AttentionGradientsView& gradients);

/// attention_backward() on other devices than the processor.
struct AttentionBackwardKernel
    : Operation<AttentionBackwardKernel, const AttentionShape&, const FullAttentionView&,
                std::size_t, ConstHeadsView, std::span<const PairedRows>,
                const AttentionGradientsView&> {};

}  // namespace longshadow
