#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/matrix.h"
#include "engine/model/config.h"
#include "engine/model/weights.h"
#include "engine/ops/attention.h"
#include "engine/ops/rotary.h"

namespace longshadow {

/// Rows that go through the layers together: a chunk of a document, or many counterfactuals.
/// Activations of `rows` rows are allocated with padded_rows(rows) and one tile beyond.
struct RowBatch {
  std::vector<std::uint32_t> positions;  ///< [padded rows], 0 for padding
  std::vector<Stream> streams;

  std::size_t padded_rows() const { return positions.size(); }
};

/// What a layer computes on the way, kept for those who look at it (signals, the KV cache), for R
/// padded rows and one tile beyond; overwritten by the next layer.
template <class T>
struct LayerActivations {
  Matrix<T> normed;           // [R, D]
  Matrix<T> query_heads;      // [H R, d], rotated
  Matrix<T> key_heads;        // [K R, d], rotated
  Matrix<T> value_heads;      // [K R, d]
  Matrix<T> attended;         // [R, H d]
  Matrix<T> log_normalisers;  // [R, H]
  Matrix<T> gate, up, gated;  // [R, F]

  template <class Device>
  LayerActivations(Device& device, const ModelConfig& config, std::size_t padded_rows);

  HeadRows<const T> queries(const ModelConfig& config) const {
    return as_heads(query_heads.view(), config.n_heads);
  }
  KeysValues<const T> keys_values(const ModelConfig& config) const {
    return {as_heads(key_heads.view(), config.n_kv_heads),
            as_heads(value_heads.view(), config.n_kv_heads)};
  }
};

/// The first half of a decoder layer: x [padded rows, D], the residual stream, read and written.
/// `prefix` holds the layer's keys and values of the positions before every stream.
template <class Device, class T>
void attention_block(Device& device, const ModelConfig& config, const LayerWeights<T>& weights,
                     const RotaryTable<T>& rotary, const RowBatch& batch,
                     KeysValues<const T> prefix, ColumnOrder order, LayerActivations<T>& s,
                     MatrixView<T> x);

/// The second half: x [padded rows, D], the residual stream, read and written.
template <class Device, class T>
void feed_forward_block(Device& device, const ModelConfig& config, const LayerWeights<T>& weights,
                        LayerActivations<T>& s, MatrixView<T> x);

AttentionShape attention_shape(const ModelConfig& config);

}  // namespace longshadow
