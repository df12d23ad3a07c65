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

/// What a layer computes on the way, kept for those who look at it (signals, the KV cache).
/// Each [padded rows + kRowTile, width]; overwritten by the next layer.
template <class T>
struct LayerActivations {
  Matrix<T> normed;           // D
  Matrix<T> queries;          // H d, rotated
  Matrix<T> keys, values;     // K d, keys rotated
  Matrix<T> attended;         // H d
  Matrix<T> log_normalisers;  // H
  Matrix<T> gate, up;         // F

  template <class Device>
  LayerActivations(Device& device, const ModelConfig& config, std::size_t padded_rows);
};

/// One decoder layer: x [padded rows, D] is the residual stream, read and written. `prefix` holds
/// the layer's keys and values of the positions before every stream.
template <class Device, class T>
void decoder_layer(Device& device, const ModelConfig& config, const LayerWeights<T>& weights,
                   const RotaryTable<T>& rotary, const RowBatch& batch, KeysValues<const T> prefix,
                   ColumnOrder order, LayerActivations<T>& activations, MatrixView<T> x);

AttentionShape attention_shape(const ModelConfig& config);

}  // namespace longshadow
