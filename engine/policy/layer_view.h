#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/core/matrix.h"
#include "engine/ops/attention/score_form.h"
#include "engine/ops/projection/heads.h"

namespace longshadow {

/// One of a model's layers.
struct LayerPlace {
  std::size_t layer;
  std::size_t n_layers;  ///< L
};

/// One layer of a prefilled cache of n tokens, as an eviction policy sees it. Keys and values are
/// always there; of the rest, what the policy's traits ask for.
struct LayerView {
  LayerPlace place;
  std::size_t first_kv_head = 0;  ///< which of the layer's KV heads head 0 of the view is
  std::size_t n = 0;
  ScoreForm score{};             ///< of the model
  HeadRows<const float> keys;    ///< K heads, rows [0, n), after rotation
  HeadRows<const float> values;  ///< K heads, rows [0, n)
  /// [n, H d], before rotation, after any norm of their own, as long as after it (yarn).
  MatrixView<const float> queries;
  /// [d / 2], radians per position; zeros in a layer without rotary positions.
  std::span<const double> frequencies;
  /// H heads, those of a KV head together, of the last PolicyTraits::window_queries rows: the
  /// queries of the last tokens, rotated as keys are.
  HeadRows<const float> window_queries{};
  /// K or, as PolicyTraits::output_gram says, H heads of [d, d]: v' G v is the squared length, the
  /// mean over a KV head's query heads or that by one, that a value v has in the residual stream
  /// (output_grams()).
  HeadRows<const float> output_gram{};
  /// [K, n]: softmax entries that the last PolicyTraits::attention_queries queries give to every
  /// token, summed over those queries and averaged over the KV head's query heads, as
  /// add_attention_received() computes them. Tokens that the softmax does not go over
  /// (PolicyTraits::softmax_over) have 0.
  MatrixView<const double> attention;
  /// [H, n]: by query head, the number that PolicyTraits::replayed names, of every slot.
  MatrixView<const double> replayed{};
  /// [n], ascending: the token of each slot, where one head's slots come with gaps; else empty, and
  /// slot i has token i.
  std::span<const std::uint32_t> tokens{};
  std::span<const float> entropy;  ///< by token: nats, of the k likeliest tokens that it predicts
  std::span<const float> drift;    ///< by token: 1 - cos(the layer's output, the last layer's)
  /// Nats: measured, as PolicyTraits::influence says; [n], or [K, n] where it is by head.
  std::span<const double> influence;
  std::uint64_t seed = 0;  ///< of the run's random choices

  /// The token that a slot holds.
  std::size_t token(std::size_t slot) const { return tokens.empty() ? slot : tokens[slot]; }
};

}  // namespace longshadow
