#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/config/config.h"
#include "engine/core/tensor.h"
#include "engine/ops/experts/routing.h"
#include "engine/parts/feed_forward.h"
#include "engine/parts/norm.h"
#include "engine/parts/part_size.h"
#include "engine/parts/row_batch.h"
#include "engine/parts/weight_loader.h"

namespace longshadow {

/// The matrices of a mixture of experts, for products in one precision: as they are, or each
/// transposed.
struct ExpertMatrices {
  PackedWeights router;                      ///< [E, D]
  std::vector<FeedForwardMatrices> experts;  ///< [E]

  /// As AttentionMatrices::from().
  template <class Get>
  static ExpertMatrices from(std::size_t n_experts, const Get& get) {
    ExpertMatrices matrices{
        get(
            WeightKind::router, [](auto& m) -> auto& { return m.router; }, HeadSide::none),
        {}};
    for (std::size_t expert = 0; expert < n_experts; ++expert) {
      matrices.experts.push_back(
          FeedForwardMatrices::from([&](LayerWeight weight, auto place, HeadSide heads) {
            return get(
                LayerWeight(weight.kind, expert),
                [=](auto& m) -> auto& { return place(m.experts[expert]); }, heads);
          }));
    }
    return matrices;
  }
};

/// The activations that a mixture of experts computes, for R padded rows and one row tile beyond.
/// A row takes k slots, one with each expert that it goes to (group_by_expert()): S slots in all.
struct ExpertActivations {
  Tensor logits;                    ///< [R, E]
  std::vector<double> host_logits;  ///< [R, E]
  Routes routes;                    ///< [R, k]
  std::vector<std::int32_t> slots;  ///< [R, k]
  Tensor inputs;                    ///< [R, D], of the rows that go to one expert
  Tensor gate, up;                  ///< [S, F]
  Tensor gated;                     ///< [R, F], of the rows that go to one expert
  Tensor outputs;                   ///< [S, D]

  ExpertActivations(Device& device, const ModelConfig& config, Element element, std::size_t rows);
};

/// The full pass's activations that the delta and the backward pass start from, for m rows. Row
/// r's experts have the rows r k, ..., r k + k - 1 of what is kept of them.
struct ExpertTape {
  std::size_t n_experts;
  std::size_t n_chosen;
  Tensor residual;             ///< [m, D], the part's input
  std::vector<double> logits;  ///< [m, E]
  Routes routes;               ///< [m, k]
  Tensor gate, up;             ///< [m k, F]
  Tensor outputs;              ///< [m k, D]

  ExpertTape(Device& device, const ModelConfig& config, Element element, std::size_t rows);

  void keep_residual(Device& device, const KeptRows& rows, ConstTensorView from);
  /// Keeps rows of what the part has computed.
  void keep(Device& device, const KeptRows& rows, const ExpertActivations& from);
};

/// Changes of the activations, for R padded rows and one row tile beyond; in the products' type P
/// where a product takes them.
struct ExpertChanges {
  Tensor input;    ///< [R, D], of what the norm gives
  Tensor logits;   ///< [R, E]
  Routes routes;   ///< [R, k], the changed rows'
  Tensor inputs;   ///< [R, D] P, of the rows that go on to one expert
  Tensor gated;    ///< [R, F] P, likewise
  Tensor outputs;  ///< [S, D]
  /// [row tile, D or F]: rows that are new to one expert as a whole, not their changes.
  Tensor new_residual, new_input, new_gate, new_up;

  ExpertChanges(Device& device, const ModelConfig& config, const PassElements& elements,
                std::size_t rows);
};

/// Gradients of the activations, for R padded rows; in the products' type P where a product takes
/// them.
struct ExpertGradients {
  Tensor inputs;    ///< [R, D] P, at what one expert gives
  Tensor gated;     ///< [R, F]
  Tensor gate, up;  ///< [R, F] P
  Tensor outputs;   ///< [S, D], at what the experts read

  ExpertGradients(Device& device, const ModelConfig& config, const PassElements& elements,
                  std::size_t rows);
};

/// A layer's experts in place of one feed-forward part (Shazeer et al. 2017, arXiv 1701.06538):
/// x += sum_e w_e E_e(n) over the k experts of the largest logits W_r n, with n = norm(x),
/// E_e(n) = W_down,e (act(W_gate,e n) W_up,e n) and weights w as RouterRule has them. Rows are
/// sorted by expert, so that an expert's matrices are read once for all of its rows.
class MixtureOfExperts {
 public:
  MixtureOfExperts(const WeightLoader& load, const ModelConfig& config, std::size_t layer);

  /// The part's tensors in a layer of `config`.
  static void add_names(const ModelConfig& config, LayerNames& names);
  static PartSize size(const ModelConfig& config);

  /// x [padded rows, D], the residual stream, read and written at the streams' rows; normed
  /// [padded rows, D] is scratch.
  void forward(Device& device, const ExpertMatrices& matrices, const RowBatch& batch,
               TensorView normed, ExpertActivations& s, TensorView x) const;

  /// dx [padded rows, D], the change of the residual stream, read and written. A row may go to
  /// other experts than in the full pass. Where an expert stays, its part of the change is
  /// w' (E(n + dn) - E(n)) + (w' - w) E(n), both differences by exact formulas; an expert that the
  /// row leaves takes w E(n) away, and one that is new gives w' E(n + dn), which is computed as a
  /// whole with `exact`, the matrices in the precision of the full pass. That the change is then
  /// large makes its error no larger than relative to it.
  void delta(Device& device, const ExpertMatrices& exact, const ExpertMatrices& matrices,
             const DeltaBatch& batch, const ExpertTape& tape, TensorView dnormed, ExpertChanges& s,
             TensorView dx) const;

  /// dx [padded rows, D], the gradient of the residual stream, read and written; `transposed` and
  /// `rounded` as FeedForward::backward() has them. Gradients flow through the chosen experts and
  /// through the softmax that weighs them. The choice is held: where rows change their experts the
  /// part has no derivative.
  void backward(Device& device, const ExpertMatrices& transposed, const GradientBatch& batch,
                const ExpertTape& tape, TensorView rounded, TensorView dnormed, ExpertGradients& s,
                TensorView dx) const;

 private:
  struct ChangedRoutes;

  /// The experts of rows whose logits changed by `dlogits` [rows, E]; `routes` become theirs.
  ChangedRoutes change_routes(const ExpertTape& tape, std::span<const PairedRows> pairs,
                              const std::vector<double>& dlogits, std::size_t rows,
                              Routes& routes) const;
  /// Puts E(n + dn) - E(n) of the experts that stay into slots of s.outputs.
  ExpertGroups change_kept(Device& device, const ExpertMatrices& matrices, const ExpertTape& tape,
                           const ChangedRoutes& changed, ConstTensorView dinput,
                           ExpertChanges& s) const;
  /// Puts E(n + dn) of the experts that are new to a row into slots from `first_slot` on.
  ExpertGroups run_arrived(Device& device, const ExpertMatrices& exact, const ExpertTape& tape,
                           const ChangedRoutes& changed, ConstTensorView dx, std::size_t first_slot,
                           ExpertChanges& s) const;

  RouterRule rule_;
  Activation activation_;
  Norm norm_;
};

}  // namespace longshadow
