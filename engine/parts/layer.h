#pragma once

#include <cstddef>

#include "engine/config/config.h"
#include "engine/core/matrix.h"
#include "engine/parts/attention.h"
#include "engine/parts/feed_forward.h"

namespace longshadow {

/// A decoder layer: its parts, in order.
template <class T>
struct Layer {
  Attention<T> attention;
  FeedForward<T> feed_forward;

  template <class Device>
  Layer(const WeightLoader<Device, T, T>& load, const ModelConfig& config, std::size_t layer)
      : attention(load, config, layer), feed_forward(load, config, layer) {}

  static void add_names(const ModelConfig& config, LayerNames names) {
    Attention<T>::add_names(config, names);
    FeedForward<T>::add_names(config, names);
  }
  static PartSize size(const ModelConfig& config) {
    PartSize sum = Attention<T>::size(config);
    sum += FeedForward<T>::size(config);
    return sum;
  }
};

/// The matrices of a layer's parts for products in P: as they are, or each transposed.
template <class P>
struct LayerMatrices {
  AttentionMatrices<P> attention;
  FeedForwardMatrices<P> feed_forward;

  /// get(kind, place, heads) brings one matrix; place takes it out of other LayerMatrices.
  template <class Get>
  static LayerMatrices from(const Get& get) {
    const auto part = [&](auto part_of) {
      return [&get, part_of](WeightKind kind, auto place, HeadSide heads) {
        return get(
            kind, [=](auto& m) -> auto& { return place(part_of(m)); }, heads);
      };
    };
    return {AttentionMatrices<P>::from(part([](auto& m) -> auto& { return m.attention; })),
            FeedForwardMatrices<P>::from(part([](auto& m) -> auto& { return m.feed_forward; }))};
  }
};

/// What a layer computes on the way, kept for those who look at it (signals, the KV cache), for R
/// padded rows and one row tile beyond; overwritten by the next layer.
template <class T>
struct LayerActivations {
  Matrix<T> normed;  ///< [R, D]
  AttentionActivations<T> attention;
  FeedForwardActivations<T> feed_forward;

  template <class Device>
  LayerActivations(Device& device, const ModelConfig& config, std::size_t padded_rows)
      : normed(device.memory(), padded_rows + kRowTile, config.hidden_size),
        attention(device, config, padded_rows + kRowTile),
        feed_forward(device, config, padded_rows + kRowTile) {}

  HeadRows<const T> queries(const ModelConfig& config) const {
    return as_heads(attention.query_heads.view(), config.n_heads);
  }
  KeysValues<const T> keys_values(const ModelConfig& config) const {
    return {as_heads(attention.key_heads.view(), config.n_kv_heads),
            as_heads(attention.value_heads.view(), config.n_kv_heads)};
  }
};

/// What of one layer of the full pass the delta and the backward pass start from, for m rows.
template <class T>
struct LayerTape {
  AttentionTape<T> attention;
  FeedForwardTape<T> feed_forward;

  template <class Device>
  LayerTape(Device& device, const ModelConfig& config, std::size_t rows)
      : attention(device, config, rows), feed_forward(device, config, rows) {}
};

}  // namespace longshadow
