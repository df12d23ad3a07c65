#include "probes/fisher_sketch.h"

#include <algorithm>
#include <utility>

#include "engine/backend/cuda/cuda.h"
#include "engine/ops/attention_backward.h"
#include "engine/ops/linear.h"
#include "engine/ops/project_heads.h"
#include "engine/ops/rms_norm_backward.h"
#include "engine/ops/rounding.h"
#include "engine/ops/rows.h"
#include "engine/ops/silu_gate_backward.h"

namespace longshadow {
namespace {

template <class Device, class T, class P>
GradientActivations<T, P> make_activations(Device& device, const ModelConfig& config,
                                           std::size_t rows) {
  const auto exact = [&](std::size_t cols) { return Matrix<T>(device.memory(), rows, cols); };
  const auto for_product = [&](std::size_t cols) { return Matrix<P>(device.memory(), rows, cols); };
  const std::size_t queries = config.n_heads * config.head_dim;
  const std::size_t keys = config.n_kv_heads * config.head_dim;
  return {std::is_same_v<T, P> ? Matrix<P>() : for_product(config.hidden_size),
          exact(config.hidden_size),
          exact(config.feed_forward_size),
          for_product(config.feed_forward_size),
          for_product(config.feed_forward_size),
          Matrix<T>(device.memory(), config.n_heads * (rows + kRowTile), config.head_dim),
          exact(queries),
          exact(keys),
          for_product(queries),
          for_product(keys),
          for_product(keys)};
}

}  // namespace

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
      s_(make_activations<Device, T, P>(device, weights.config, residual_.rows())) {}

template <class Device, class T, class P>
std::size_t FisherSketch<Device, T, P>::draws_at_once(std::size_t bin_end) const {
  return max_rows_ / bin_end;
}

template <class Device, class T, class P>
typename FisherSketch<Device, T, P>::Rows FisherSketch<Device, T, P>::rows_of(
    const Range& bin, std::size_t n_draws) const {
  const std::size_t context = tape_.positions().begin;
  Rows rows;
  rows.positions.resize(round_up(n_draws * bin.end, kRowTile));
  for (std::size_t b = 0; b < n_draws; ++b) {
    const std::size_t first_row = b * bin.end;
    rows.tape_rows.push_back({first_row, bin.end, 0});
    rows.predicted.push_back({first_row + bin.begin, bin.size(), context + bin.begin});
    for (std::size_t r = 0; r < bin.end; ++r) {
      rows.positions[first_row + r] = static_cast<std::uint32_t>(context + r);
    }
  }
  return rows;
}

template <class Device, class T, class P>
void FisherSketch<Device, T, P>::feed_forward_backward(const Rows& rows, std::size_t layer,
                                                       MatrixView<T> dx) {
  const TransposedLayer<P>& products = gradient_weights_.transposed.layers[layer];
  const LayerTape<T>& tape = tape_.layer(layer);
  const std::span<const PairedRows> pairs(rows.tape_rows);
  const auto of_batch = [&](auto& matrix) { return matrix.view().row_range(0, dx.rows); };
  const MatrixView<T> dnormed = of_batch(s_.normed);
  const MatrixView<T> dgated = of_batch(s_.gated);
  const MatrixView<P> dgate = of_batch(s_.gate);
  const MatrixView<P> dup = of_batch(s_.up);

  linear(device_, rounded_rows(device_, MatrixView<const T>(dx), of_batch(s_.residual)),
         products.down, dgated);
  silu_gate_backward(device_, tape.gate.view(), tape.up.view(), MatrixView<const T>(dgated), pairs,
                     dgate, dup);
  linear(device_, MatrixView<const P>(dgate), products.gate, dnormed);
  linear(device_, MatrixView<const P>(dup), products.up, dnormed, Write::add);
  rms_norm_backward(device_, tape.residual_mid.view(),
                    weights_.layers[layer].feed_forward_norm.view(), weights_.config.norm_epsilon,
                    MatrixView<const T>(dnormed), pairs, dx);
}

template <class Device, class T, class P>
void FisherSketch<Device, T, P>::attention_block_backward(const Rows& rows, std::size_t layer,
                                                          MatrixView<T> gates, MatrixView<T> dx) {
  const ModelConfig& config = weights_.config;
  const TransposedLayer<P>& products = gradient_weights_.transposed.layers[layer];
  const LayerTape<T>& tape = tape_.layer(layer);
  const std::span<const PairedRows> pairs(rows.tape_rows);
  const std::span<const std::uint32_t> positions(rows.positions);
  const auto of_batch = [&](auto& matrix) { return matrix.view().row_range(0, dx.rows); };
  const MatrixView<T> dnormed = of_batch(s_.normed);
  const HeadRows<T> dattended = as_heads(s_.attended_heads.view(), config.n_heads);
  const MatrixView<T> dq = of_batch(s_.queries);
  const MatrixView<T> dk = of_batch(s_.keys);
  const MatrixView<P> dq_unrotated = of_batch(s_.unrotated_queries);
  const MatrixView<P> dk_unrotated = of_batch(s_.unrotated_keys);
  const MatrixView<P> dv = of_batch(s_.values);

  project_heads(device_, rounded_rows(device_, MatrixView<const T>(dx), of_batch(s_.residual)),
                products.attention_output, MatrixView<const T>{}, dattended);
  const FullAttention<T, P> full{as_heads(tape.query_heads.view(), config.n_heads),
                                 tape.log_normalisers.view(), tape.attended.view(),
                                 full_.cache.layer(layer), gradient_weights_.cache[layer]};
  attention_backward(device_, attention_shape(config), full, tape_.positions().begin,
                     HeadRows<const T>(dattended), pairs,
                     AttentionGradients<T, P>{dq, dk, dv, gates});
  rotate_back(device_, full_.rotary, positions, MatrixView<const T>(dq), dq_unrotated);
  rotate_back(device_, full_.rotary, positions, MatrixView<const T>(dk), dk_unrotated);
  linear(device_, MatrixView<const P>(dq_unrotated), products.query, dnormed);
  linear(device_, MatrixView<const P>(dk_unrotated), products.key, dnormed, Write::add);
  linear(device_, MatrixView<const P>(dv), products.value, dnormed, Write::add);
  rms_norm_backward(device_, tape.residual_in.view(), weights_.layers[layer].attention_norm.view(),
                    config.norm_epsilon, MatrixView<const T>(dnormed), pairs, dx);
}

template <class Device, class T, class P>
void FisherSketch<Device, T, P>::run(const Range& bin, const ProbeDraws& draws, std::size_t n_draws,
                                     MatrixView<T> gates) {
  const ModelConfig& config = weights_.config;
  const Rows rows = rows_of(bin, n_draws);
  const MatrixView<T> dx = residual_.view().row_range(0, rows.positions.size());
  const MatrixView<T> dhidden = s_.normed.view().row_range(0, dx.rows);
  fill_rows(device_, T{0}, dx);
  fill_rows(device_, T{0}, dhidden);
  const FullPredictions<T> predictions{full_.hidden.view(), full_.log_normalisers, full_.likeliest};
  const ProbedOutput<T, P> output{weights_.output(), weights_.packed_output,
                                  gradient_weights_.transposed.output};
  fisher_probes(device_, output, predictions, draws, std::span<const PairedRows>(rows.predicted),
                dhidden);
  rms_norm_backward(device_, tape_.final_residual().view(), weights_.final_norm.view(),
                    config.norm_epsilon, MatrixView<const T>(dhidden),
                    std::span<const PairedRows>(rows.tape_rows), dx);
  const std::size_t gate_rows = n_draws * config.n_kv_heads;
  for (std::size_t layer = config.n_layers; layer-- > 0;) {
    feed_forward_backward(rows, layer, dx);
    attention_block_backward(rows, layer, gates.row_range(layer * gate_rows, gate_rows), dx);
  }
}

template class FisherSketch<Cpu, float, float>;
template class FisherSketch<Cpu, float, BF16>;
template class FisherSketch<Cpu, double, double>;
template class FisherSketch<Cuda, float, float>;
template class FisherSketch<Cuda, float, BF16>;
template class FisherSketch<Cuda, double, double>;

}  // namespace longshadow
