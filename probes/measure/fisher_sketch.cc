#include "probes/measure/fisher_sketch.h"

#include <algorithm>

#include "engine/backend/device.h"
#include "engine/ops/common/rows.h"

namespace longshadow {
FisherSketch::FisherSketch(Device& device, const Weights& weights,
                           const GradientWeights& gradient_weights, const FullPass& full,
                           const ActivationTape& tape, std::size_t max_rows)
    : device_(device),
      weights_(weights),
      gradient_weights_(gradient_weights),
      full_(full),
      tape_(tape),
      max_rows_(std::max(max_rows, full.tokens.size() - tape.positions().begin)),
      residual_(device.memory(), weights.element(), round_up(max_rows_, kRowTile),
                weights.config.hidden_size),
      normed_(device.memory(), weights.element(), residual_.rows(), weights.config.hidden_size),
      rounded_(device.memory(), elements().products,
               elements().products == weights.element() ? 0 : residual_.rows(),
               weights.config.hidden_size),
      attention_(device, weights.config, elements(), residual_.rows()),
      feed_forward_(device, weights.config, elements(), residual_.rows()) {}

PassElements FisherSketch::elements() const {
  return {weights_.element(), gradient_weights_.transposed.output.front().element()};
}

std::size_t FisherSketch::draws_at_once(std::size_t bin_end) const { return max_rows_ / bin_end; }

GradientBatch FisherSketch::rows_of(const Range& bin, std::size_t n_draws) const {
  GradientBatch rows{{}, {}, tape_.positions().begin};
  rows.positions.resize(round_up(n_draws * bin.end, kRowTile));
  for (std::size_t b = 0; b < n_draws; ++b) {
    const std::size_t first_row = b * bin.end;
    rows.tape_rows.push_back({first_row, bin.end, 0});
    for (std::size_t r = 0; r < bin.end; ++r) {
      rows.positions[first_row + r] = static_cast<std::uint32_t>(rows.context + r);
    }
  }
  return rows;
}

void FisherSketch::run(const Range& bin, const ProbeDraws& draws, std::size_t n_draws,
                       TensorView gates) {
  const ModelConfig& config = weights_.config;
  const GradientBatch rows = rows_of(bin, n_draws);
  const TensorView dx = residual_.view().row_range(0, rows.padded_rows());
  const TensorView dnormed = normed_.view().row_range(0, dx.rows);
  const TensorView rounded = rounded_.view().row_range(0, std::min(dx.rows, rounded_.rows()));
  fill_rows(device_, 0, dx);
  fill_rows(device_, 0, dnormed);
  const FullPredictionsView predictions{full_.hidden.view(), full_.log_normalisers,
                                        full_.likeliest};
  const ProbedOutputView output{weights_.head.output, weights_.head.packed_output,
                                gradient_weights_.transposed.output, weights_.head.logit_cap};
  std::vector<PairedRows> predicted;
  for (std::size_t b = 0; b < n_draws; ++b) {
    predicted.push_back({b * bin.end + bin.begin, bin.size(), rows.context + bin.begin});
  }
  fisher_probes(device_, output, predictions, draws, predicted, dnormed);
  weights_.head.norm.backward(device_, tape_.final_residual().view(), dnormed, rows.tape_rows, dx);
  const std::size_t gate_rows = n_draws * config.n_kv_heads;
  for (std::size_t index = config.n_layers; index-- > 0;) {
    const Layer& layer = weights_.layers[index];
    const LayerMatrices& transposed = gradient_weights_.transposed.layers[index];
    const LayerTape& tape = tape_.layer(index);
    layer.feed_forward.backward(device_, transposed.feed_forward, rows, tape.feed_forward, rounded,
                                dnormed, feed_forward_, dx);
    layer.attention.backward(
        device_, transposed.attention, full_.rotary.of(index), rows, tape.attention,
        FullCache{full_.cache.layer(index), gradient_weights_.cache.layer(index)}, rounded, dnormed,
        attention_, gates.row_range(index * gate_rows, gate_rows), dx);
  }
}

}  // namespace longshadow
