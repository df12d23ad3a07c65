#pragma once

#include <cstddef>

#include "engine/config/config.h"
#include "engine/core/tensor.h"
#include "engine/parts/attention.h"
#include "engine/parts/feed_forward.h"

namespace longshadow {

/// A decoder layer: its parts, in order.
struct Layer {
  Attention attention;
  FeedForward feed_forward;

  Layer(const WeightLoader& load, const ModelConfig& config, std::size_t layer)
      : attention(load, config, layer), feed_forward(load, config, layer) {}

  static void add_names(const ModelConfig& config, LayerNames names) {
    Attention::add_names(config, names);
    FeedForward::add_names(config, names);
  }
  static PartSize size(const ModelConfig& config) {
    PartSize sum = Attention::size(config);
    sum += FeedForward::size(config);
    return sum;
  }
};

/// The matrices of a layer's parts, for products in one precision: as they are, or each transposed.
struct LayerMatrices {
  AttentionMatrices attention;
  FeedForwardMatrices feed_forward;

  /// get(kind, place, heads) brings one matrix; place takes it out of other LayerMatrices.
  template <class Get>
  static LayerMatrices from(const Get& get) {
    const auto part = [&](auto part_of) {
      return [&get, part_of](WeightKind kind, auto place, HeadSide heads) {
        return get(
            kind, [=](auto& m) -> auto& { return place(part_of(m)); }, heads);
      };
    };
    return {AttentionMatrices::from(part([](auto& m) -> auto& { return m.attention; })),
            FeedForwardMatrices::from(part([](auto& m) -> auto& { return m.feed_forward; }))};
  }
};

/// The activations of a layer, kept for those who look at them (signals, the KV cache), for R
/// padded rows and one row tile beyond; overwritten by the next layer.
struct LayerActivations {
  Tensor normed;  ///< [R, D]; behind attention: what it read
  AttentionActivations attention;
  FeedForwardActivations feed_forward;

  LayerActivations(Device& device, const ModelConfig& config, Element element,
                   std::size_t padded_rows)
      : normed(device.memory(), element, padded_rows + kRowTile, config.hidden_size),
        attention(device, config, element, padded_rows + kRowTile),
        feed_forward(device, config, element, padded_rows + kRowTile) {}

  ConstHeadsView queries(const ModelConfig& config) const {
    return as_heads(attention.query_heads.view(), config.n_heads);
  }
  KeysValuesView keys_values(const ModelConfig& config) const {
    return {as_heads(attention.key_heads.view(), config.n_kv_heads),
            as_heads(attention.value_heads.view(), config.n_kv_heads)};
  }
};

/// One layer's activations that the delta and the backward pass start from, for m rows.
struct LayerTape {
  AttentionTape attention;
  FeedForwardTape feed_forward;

  LayerTape(Device& device, const ModelConfig& config, Element element, std::size_t rows)
      : attention(device, config, element, rows), feed_forward(device, config, element, rows) {}
};

}  // namespace longshadow
