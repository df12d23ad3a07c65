#pragma once

#include <cstddef>

#include "engine/config/config.h"
#include "engine/core/tensor.h"
#include "engine/parts/attention.h"
#include "engine/parts/second_half.h"

namespace longshadow {

/// A decoder layer: its parts, in order.
struct Layer {
  Attention attention;
  SecondHalf feed_forward;

  Layer(const WeightLoader& load, const ModelConfig& config, std::size_t layer)
      : attention(load, config, layer), feed_forward(load, config, layer) {}

  static void add_names(const ModelConfig& config, LayerNames names) {
    Attention::add_names(config, names);
    SecondHalf::add_names(config, names);
  }
  static PartSize size(const ModelConfig& config, std::size_t layer) {
    PartSize sum = Attention::size(config);
    sum += SecondHalf::size(config, layer);
    return sum;
  }
  /// The size of the activations, changes or gradients that all layers use in turn.
  static PartSize size_in_turn(const ModelConfig& config) {
    PartSize sum = Attention::size(config);
    sum += SecondHalf::size_in_turn(config);
    return sum;
  }
};

/// The matrices of a layer's parts, for products in one precision: as they are, or each transposed.
struct LayerMatrices {
  AttentionMatrices attention;
  SecondHalfMatrices feed_forward;

  /// get(weight, place, heads) brings one matrix of a layer; place takes it out of other
  /// LayerMatrices.
  template <class Get>
  static LayerMatrices from(const ModelConfig& config, std::size_t layer, const Get& get) {
    const auto part = [&](auto part_of) {
      return [&get, part_of](LayerWeight weight, auto place, HeadSide heads) {
        return get(
            weight, [=](auto& m) -> auto& { return place(part_of(m)); }, heads);
      };
    };
    return {AttentionMatrices::from(part([](auto& m) -> auto& { return m.attention; })),
            SecondHalfMatrices::from(config, layer,
                                     part([](auto& m) -> auto& { return m.feed_forward; }))};
  }
};

/// The activations of a layer, kept for those who look at them (signals, the KV cache), for R
/// padded rows and one row tile beyond; overwritten by the next layer.
struct LayerActivations {
  Tensor normed;  ///< [R, D]; behind attention: what it read
  AttentionActivations attention;
  SecondHalfActivations feed_forward;

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
  SecondHalfTape feed_forward;

  LayerTape(Device& device, const ModelConfig& config, std::size_t layer, Element element,
            std::size_t rows)
      : attention(device, config, element, rows),
        feed_forward(device, config, layer, element, rows) {}
};

}  // namespace longshadow
