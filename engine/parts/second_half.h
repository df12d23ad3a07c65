#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>

#include "engine/config/config.h"
#include "engine/core/tensor.h"
#include "engine/parts/feed_forward.h"
#include "engine/parts/mixture_of_experts.h"

namespace longshadow {

/// The matrices of a layer's second half: those of the part that it is.
struct SecondHalfMatrices {
  std::optional<FeedForwardMatrices> feed_forward;
  std::optional<ExpertMatrices> experts;

  /// One of the matrices [F, D], of which most of the products are.
  const PackedWeights& gate() const {
    return experts ? experts->experts.front().gate : feed_forward->gate;
  }

  /// As LayerMatrices::from().
  template <class Get>
  static SecondHalfMatrices from(const ModelConfig& config, std::size_t layer, const Get& get) {
    const auto part = [&](auto part_of) {
      return [&get, part_of](LayerWeight weight, auto place, HeadSide heads) {
        return get(
            weight, [=](auto& m) -> auto& { return place(*part_of(m)); }, heads);
      };
    };
    SecondHalfMatrices matrices;
    if (config.has_experts(layer)) {
      matrices.experts = ExpertMatrices::from(config.experts.count,
                                              part([](auto& m) -> auto& { return m.experts; }));
    } else {
      matrices.feed_forward =
          FeedForwardMatrices::from(part([](auto& m) -> auto& { return m.feed_forward; }));
    }
    return matrices;
  }
};

/// Something that either part has of its own: activations, changes or gradients for the layers of a
/// model in turn, so that a model with layers of both kinds has both.
template <class OfFeedForward, class OfExperts>
struct OfEither {
  std::optional<OfFeedForward> feed_forward;
  std::optional<OfExperts> experts;

  /// `elements`: as the parts' own constructors take them.
  template <class Elements>
  OfEither(Device& device, const ModelConfig& config, const Elements& elements, std::size_t rows) {
    for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
      if (config.has_experts(layer)) {
        if (!experts) experts.emplace(device, config, elements, rows);
      } else if (!feed_forward) {
        feed_forward.emplace(device, config, elements, rows);
      }
    }
  }
};

using SecondHalfActivations = OfEither<FeedForwardActivations, ExpertActivations>;
using SecondHalfChanges = OfEither<FeedForwardChanges, ExpertChanges>;
using SecondHalfGradients = OfEither<FeedForwardGradients, ExpertGradients>;

/// The tape of one layer's second half.
struct SecondHalfTape {
  std::optional<FeedForwardTape> feed_forward;
  std::optional<ExpertTape> experts;

  SecondHalfTape(Device& device, const ModelConfig& config, std::size_t layer, Element element,
                 std::size_t rows) {
    if (config.has_experts(layer)) {
      experts.emplace(device, config, element, rows);
    } else {
      feed_forward.emplace(device, config, element, rows);
    }
  }

  void keep_residual(Device& device, const KeptRows& rows, ConstTensorView from) {
    if (experts) experts->keep_residual(device, rows, from);
    if (feed_forward) feed_forward->keep_residual(device, rows, from);
  }
  void keep(Device& device, const KeptRows& rows, const SecondHalfActivations& from) {
    if (experts) experts->keep(device, rows, *from.experts);
    if (feed_forward) feed_forward->keep(device, rows, *from.feed_forward);
  }
};

/// The second half of a decoder layer: one feed-forward part, or experts.
class SecondHalf {
 public:
  SecondHalf(const WeightLoader& load, const ModelConfig& config, std::size_t layer) {
    if (config.has_experts(layer)) {
      experts_.emplace(load, config, layer);
    } else {
      feed_forward_.emplace(load, config, layer);
    }
  }

  static void add_names(const ModelConfig& config, LayerNames& names) {
    if (config.has_experts(names.layer())) {
      MixtureOfExperts::add_names(config, names);
    } else {
      FeedForward::add_names(config, names);
    }
  }
  static PartSize size(const ModelConfig& config, std::size_t layer) {
    return config.has_experts(layer) ? MixtureOfExperts::size(config) : FeedForward::size(config);
  }
  /// Sums over the parts that some layer has: what OfEither takes.
  static PartSize size_in_turn(const ModelConfig& config) {
    PartSize sum;
    const auto n_sparse = std::ranges::count(config.expert_layers, true);
    if (n_sparse > 0) sum += MixtureOfExperts::size(config);
    if (n_sparse < static_cast<std::ptrdiff_t>(config.n_layers)) sum += FeedForward::size(config);
    return sum;
  }

  /// FeedForward::forward() or MixtureOfExperts::forward().
  void forward(Device& device, const SecondHalfMatrices& matrices, const RowBatch& batch,
               TensorView normed, SecondHalfActivations& s, TensorView x) const {
    if (experts_) {
      experts_->forward(device, *matrices.experts, batch, normed, *s.experts, x);
    } else {
      feed_forward_->forward(device, *matrices.feed_forward, normed, *s.feed_forward, x);
    }
  }

  /// `exact`: the matrices in the full pass's precision, for rows that change their experts.
  void delta(Device& device, const SecondHalfMatrices& exact, const SecondHalfMatrices& matrices,
             const DeltaBatch& batch, const SecondHalfTape& tape, TensorView dnormed,
             SecondHalfChanges& s, TensorView dx) const {
    if (experts_) {
      experts_->delta(device, *exact.experts, *matrices.experts, batch, *tape.experts, dnormed,
                      *s.experts, dx);
    } else {
      feed_forward_->delta(device, *matrices.feed_forward, batch, *tape.feed_forward, dnormed,
                           *s.feed_forward, dx);
    }
  }

  void backward(Device& device, const SecondHalfMatrices& transposed, const GradientBatch& batch,
                const SecondHalfTape& tape, TensorView rounded, TensorView dnormed,
                SecondHalfGradients& s, TensorView dx) const {
    if (experts_) {
      experts_->backward(device, *transposed.experts, batch, *tape.experts, rounded, dnormed,
                         *s.experts, dx);
    } else {
      feed_forward_->backward(device, *transposed.feed_forward, batch, *tape.feed_forward, rounded,
                              dnormed, *s.feed_forward, dx);
    }
  }

 private:
  std::optional<FeedForward> feed_forward_;
  std::optional<MixtureOfExperts> experts_;
};

}  // namespace longshadow
