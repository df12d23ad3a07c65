#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/core/tensor.h"
#include "engine/model/rotary_tables.h"
#include "engine/model/weights.h"
#include "engine/parts/layer.h"

namespace longshadow {

/// Rows [first_position, first_position + used_rows) of a text, on their way through the layers.
struct Chunk {
  std::size_t first_position;
  std::size_t used_rows;
};

/// Looks at a walk while it runs; every view is valid during the call only.
class LayerObserver {
 public:
  virtual ~LayerObserver() = default;
  /// residual [padded rows, D]: the input of `layer`.
  virtual void before_layer(const Chunk&, std::size_t /*layer*/, ConstTensorView) {}
  /// residual: between the layer's halves; keys: what LayerCache::store() gave.
  virtual void after_attention(const Chunk&, std::size_t /*layer*/, const LayerActivations&,
                               ConstHeadsView /*keys*/, ConstTensorView /*residual*/) {}
  virtual void after_feed_forward(const Chunk&, std::size_t /*layer*/, const LayerActivations&) {}
  /// residual [padded rows, D]: before the final norm.
  virtual void after_layers(const Chunk&, ConstTensorView) {}
};

/// The keys and values that come before the rows of a walk, layer by layer.
class LayerCache {
 public:
  virtual ~LayerCache() = default;
  /// The layer's keys and values, as attention() takes its prefix. May set what the rows' streams
  /// see of them, and the rows' positions, where that differs between layers.
  virtual KeysValuesView enter(std::size_t layer, RowBatch& rows) = 0;
  /// Is shown the rows' own keys and values. Returns the keys of all positions up to and with the
  /// rows', for observers; none where the rows' own are not stored or lie apart.
  virtual ConstHeadsView store(std::size_t /*layer*/, KeysValuesView /*own*/) { return {}; }
};

/// Takes rows through the model, from their tokens to the hidden states behind the final norm.
/// Every forward pass is one: a chunk of a document, a token that is decoded, the rows of
/// counterfactuals or of compressed caches.
class LayerWalk {
 public:
  /// For batches of at most `max_rows` padded rows. References must outlive the walk.
  LayerWalk(Device& device, const Weights& weights, std::size_t max_rows);

  /// Row r gets tokens[r]; what padding rows hold never reaches the others.
  ///   hidden [rows.padded_rows(), D]: after the final norm.
  void run(std::span<const std::int32_t> tokens, RowBatch& rows, const RotaryTables& rotary,
           LayerCache& cache, TensorView hidden, ColumnOrder order = ColumnOrder::forward,
           const Chunk& chunk = {}, std::span<LayerObserver* const> observers = {});

 private:
  Device& device_;
  const Weights& weights_;
  Tensor residual_;  ///< [max_rows, D]
  LayerActivations activations_;
};

}  // namespace longshadow
