#include "probes/measure/fisher_sketch.h"

#include <algorithm>
#include <utility>

#include "engine/backend/cuda/cuda.h"
#include "engine/ops/common/rows.h"

namespace longshadow {
template <class Device, class T, class P>
FisherSketch<Device, T, P>::FisherSketch(Device& device, const Weights<T>& weights,
                                         GradientWeights<T, P> gradient_weights,
                                         const FullPass<T>& full,
                                         const ActivationTape<Device, T>& tape,
                                         std::size_t max_rows)
    : device_(device),
      weights_(weights),
      gradient_weights_(std::move(gradient_weights)),
      full_(full),
      tape_(tape),
      max_rows_(std::max(max_rows, full.tokens.size() - tape.positions().begin)),
      residual_(device.memory(), round_up(max_rows_, kRowTile), weights.config.hidden_size),
      normed_(device.memory(), residual_.rows(), weights.config.hidden_size),
      rounded_(std::is_same_v<T, P>
                   ? Matrix<P>()
                   : Matrix<P>(device.memory(), residual_.rows(), weights.config.hidden_size)),
      attention_(device, weights.config, residual_.rows()),
      feed_forward_(device, weights.config, residual_.rows()) {}

template <class Device, class T, class P>
std::size_t FisherSketch<Device, T, P>::draws_at_once(std::size_t bin_end) const {
  return max_rows_ / bin_end;
}

template <class Device, class T, class P>
GradientBatch FisherSketch<Device, T, P>::rows_of(const Range& bin, std::size_t n_draws) const {
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

template <class Device, class T, class P>
void FisherSketch<Device, T, P>::run(const Range& bin, const ProbeDraws& draws, std::size_t n_draws,
                                     MatrixView<T> gates) {
  const ModelConfig& config = weights_.config;
  const GradientBatch rows = rows_of(bin, n_draws);
  const MatrixView<T> dx = residual_.view().row_range(0, rows.padded_rows());
  const MatrixView<T> dnormed = normed_.view().row_range(0, dx.rows);
  const MatrixView<P> rounded =
      std::is_same_v<T, P> ? MatrixView<P>{} : rounded_.view().row_range(0, dx.rows);
  fill_rows(device_, T{0}, dx);
  fill_rows(device_, T{0}, dnormed);
  const FullPredictions<T> predictions{full_.hidden.view(), full_.log_normalisers, full_.likeliest};
  const ProbedOutput<T, P> output{weights_.head.output, weights_.head.packed_output,
                                  gradient_weights_.transposed.output};
  std::vector<PairedRows> predicted;
  for (std::size_t b = 0; b < n_draws; ++b) {
    predicted.push_back({b * bin.end + bin.begin, bin.size(), rows.context + bin.begin});
  }
  fisher_probes(device_, output, predictions, draws, std::span<const PairedRows>(predicted),
                dnormed);
  weights_.head.norm.backward(device_, tape_.final_residual().view(), MatrixView<const T>(dnormed),
                              rows.tape_rows, dx);
  const std::size_t gate_rows = n_draws * config.n_kv_heads;
  for (std::size_t index = config.n_layers; index-- > 0;) {
    const Layer<T>& layer = weights_.layers[index];
    const LayerMatrices<P>& transposed = gradient_weights_.transposed.layers[index];
    const LayerTape<T>& tape = tape_.layer(index);
    layer.feed_forward.backward(device_, transposed.feed_forward, rows, tape.feed_forward, rounded,
                                dnormed, feed_forward_, dx);
    layer.attention.backward(
        device_, transposed.attention, full_.rotary, rows, tape.attention,
        FullCache<T, P>{full_.cache.layer(index), gradient_weights_.cache[index]}, rounded, dnormed,
        attention_, gates.row_range(index * gate_rows, gate_rows), dx);
  }
}

template class FisherSketch<Cpu, float, float>;
template class FisherSketch<Cpu, float, BF16>;
template class FisherSketch<Cpu, double, double>;
template class FisherSketch<Cuda, float, float>;
template class FisherSketch<Cuda, float, BF16>;
template class FisherSketch<Cuda, double, double>;

}  // namespace longshadow
