#include "probes/measure/differential_engine.h"

#include <algorithm>

#include "engine/backend/device.h"
#include "engine/ops/common/rows.h"
#include "engine/ops/divergence/kl_divergence.h"
#include "probes/measure/rerouted.h"

namespace longshadow {
DifferentialEngine::DifferentialEngine(Device& device, const Weights& weights,
                                       const DeltaWeights& delta_weights, const FullPass& full,
                                       const ActivationTape& tape, std::size_t horizon,
                                       std::size_t max_batch)
    : device_(device),
      weights_(weights),
      delta_weights_(delta_weights),
      full_(full),
      tape_(tape),
      horizon_(horizon),
      residual_(device.memory(), weights.element(), round_up(max_batch * horizon, kRowTile),
                weights.config.hidden_size),
      normed_(device.memory(), delta_weights_.output.element(), residual_.rows() + kRowTile,
              weights.config.hidden_size),
      attention_(device, weights.config, elements(), residual_.rows() + kRowTile),
      feed_forward_(device, weights.config, elements(), residual_.rows() + kRowTile) {}

PassElements DifferentialEngine::elements() const {
  return {weights_.element(), delta_weights_.output.element()};
}

DeltaBatch DifferentialEngine::rows_of(std::span<const Counterfactual> batch) const {
  DeltaBatch rows;
  rows.positions.resize(round_up(batch.size() * horizon_, kRowTile));
  for (std::size_t b = 0; b < batch.size(); ++b) {
    const std::size_t first_row = b * horizon_;
    const std::size_t tape_row = batch[b].start - tape_.positions().begin;
    rows.streams.push_back({first_row, horizon_, tape_row, batch[b].start});
    rows.tape_rows.push_back({first_row, horizon_, tape_row});
    for (std::size_t r = 0; r < horizon_; ++r) {
      rows.positions[first_row + r] = static_cast<std::uint32_t>(batch[b].start + r);
    }
  }
  return rows;
}

void DifferentialEngine::run(std::span<const Counterfactual> batch, std::span<double> kl_nats,
                             std::span<double> rerouted) {
  DeltaBatch rows = rows_of(batch);
  const TensorView dx = residual_.view().row_range(0, rows.padded_rows());
  const TensorView dnormed = normed_.view().row_range(0, rows.padded_rows());
  fill_rows(device_, 0, dx);
  const ModelConfig& config = weights_.config;
  const std::vector<PairedRows> text_rows = text_rows_of(batch, horizon_);
  std::ranges::fill(rerouted, 0.0);
  const BatchRemovals removed(batch, config.n_layers, config.n_kv_heads);
  // Below the first layer that loses a token nothing changes.
  for (std::size_t index = removed.first_layer(); index < config.n_layers; ++index) {
    removed.apply(index, rows.streams);
    const Layer& layer = weights_.layers[index];
    const LayerMatrices& matrices = delta_weights_.matrices[index];
    const LayerTape& tape = tape_.layer(index);
    layer.attention.delta(device_, matrices.attention, full_.rotary.of(index), rows, tape.attention,
                          FullCache{full_.cache.layer(index), delta_weights_.cache.layer(index)},
                          tape_.row_tiles_before(), dnormed, attention_, dx);
    layer.feed_forward.delta(device_, weights_.matrices[index].feed_forward, matrices.feed_forward,
                             rows, tape.feed_forward, dnormed, feed_forward_, dx);
    if (config.has_experts(index)) {
      share_of_rerouted(full_, index, feed_forward_.experts->routes, text_rows, rerouted);
    }
  }
  weights_.head.norm.delta(device_, tape_.final_residual().view(), dx, rows.tape_rows, dnormed);

  const FullPredictionsView full{full_.hidden.view(), full_.log_normalisers, full_.likeliest};
  std::vector<double> kl_rows(normed_.rows());
  kl_divergence(device_,
                OutputWeightsView{weights_.head.output, weights_.head.packed_output,
                                  delta_weights_.output, weights_.head.logit_cap},
                full, normed_.view(), text_rows, std::span(kl_rows));
  std::copy_n(kl_rows.begin(), batch.size() * horizon_, kl_nats.begin());
}

}  // namespace longshadow
