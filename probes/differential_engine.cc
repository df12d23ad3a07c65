#include "probes/differential_engine.h"

#include <algorithm>
#include <utility>

#include "engine/backend/cuda/cuda.h"
#include "engine/ops/gated_linear_delta.h"
#include "engine/ops/kl_divergence.h"
#include "engine/ops/linear.h"
#include "engine/ops/project_heads.h"
#include "engine/ops/rms_norm_delta.h"
#include "engine/ops/rows.h"

namespace longshadow {
namespace {

template <class Device, class T, class P>
DeltaActivations<T, P> make_activations(Device& device, const ModelConfig& config,
                                        std::size_t padded_rows) {
  const std::size_t rows = padded_rows + kRowTile;
  const std::size_t width = config.n_heads * config.head_dim;
  const auto make = [&]<class Element>(Matrix<Element>& matrix, std::size_t n, std::size_t cols) {
    matrix = Matrix<Element>(device.memory(), n, cols);
  };
  DeltaActivations<T, P> s;
  make(s.normed, rows, config.hidden_size);
  make(s.query_heads, config.n_heads * rows, config.head_dim);
  make(s.key_heads, config.n_kv_heads * rows, config.head_dim);
  make(s.value_heads, config.n_kv_heads * rows, config.head_dim);
  make(s.attended, rows, width);
  make(s.gated, rows, config.feed_forward_size);
  return s;
}

}  // namespace

template <class Device, class T, class P>
DifferentialEngine<Device, T, P>::DifferentialEngine(Device& device, const Weights<T>& weights,
                                                     DeltaWeights<T, P> delta_weights,
                                                     const FullPass<T>& full,
                                                     const ActivationTape<Device, T>& tape,
                                                     std::size_t horizon, std::size_t max_batch)
    : device_(device),
      weights_(weights),
      delta_weights_(std::move(delta_weights)),
      full_(full),
      tape_(tape),
      horizon_(horizon),
      residual_(device.memory(), round_up(max_batch * horizon, kRowTile),
                weights.config.hidden_size),
      s_(make_activations<Device, T, P>(device, weights.config, residual_.rows())) {}

template <class Device, class T, class P>
typename DifferentialEngine<Device, T, P>::Rows DifferentialEngine<Device, T, P>::rows_of(
    std::span<const Counterfactual> batch) const {
  Rows rows;
  rows.positions.resize(round_up(batch.size() * horizon_, kRowTile));
  for (std::size_t b = 0; b < batch.size(); ++b) {
    const std::size_t first_row = b * horizon_;
    const std::size_t tape_row = batch[b].start - tape_.positions().begin;
    rows.streams.push_back({first_row, horizon_, tape_row, batch[b].start});
    rows.tape_rows.push_back({first_row, horizon_, tape_row});
    rows.text_rows.push_back({first_row, horizon_, batch[b].start});
    for (std::size_t r = 0; r < horizon_; ++r) {
      rows.positions[first_row + r] = static_cast<std::uint32_t>(batch[b].start + r);
    }
  }
  return rows;
}

template <class Device, class T, class P>
void DifferentialEngine<Device, T, P>::attention_block(const Rows& rows, std::size_t layer,
                                                       MatrixView<T> dx) {
  const ModelConfig& config = weights_.config;
  const LayerWeights<T, P>& products = delta_weights_.layers[layer];
  const LayerTape<T>& tape = tape_.layer(layer);
  const std::span<const PairedRows> pairs(rows.tape_rows);
  const MatrixView<P> dnormed = s_.normed.view().row_range(0, dx.rows);
  const MatrixView<P> dattended = s_.attended.view().row_range(0, dx.rows);
  const HeadRows<P> dq = as_heads(s_.query_heads.view(), config.n_heads);
  const HeadRows<T> dk = as_heads(s_.key_heads.view(), config.n_kv_heads);
  const HeadRows<P> dv = as_heads(s_.value_heads.view(), config.n_kv_heads);
  const MatrixView<const T> no_bias{};  // biases cancel in a difference

  rms_norm_delta(device_, tape.residual_in.view(), weights_.layers[layer].attention_norm.view(),
                 config.norm_epsilon, MatrixView<const T>(dx), pairs, dnormed);
  const std::span<const std::uint32_t> positions(rows.positions);
  project_rotated_heads(device_, MatrixView<const P>(dnormed), products.query, no_bias,
                        full_.rotary, positions, dq);
  project_rotated_heads(device_, MatrixView<const P>(dnormed), products.key, no_bias, full_.rotary,
                        positions, dk);
  project_heads(device_, MatrixView<const P>(dnormed), products.value, no_bias, dv);
  const FullAttention<T, P> full{as_heads(tape.query_heads.view(), config.n_heads),
                                 tape.log_normalisers.view(),
                                 tape.attended.view(),
                                 full_.cache.layer(layer),
                                 delta_weights_.cache[layer],
                                 tape_.row_tiles_before()};
  attention_delta(device_, attention_shape(config), full, HeadRows<const P>(dq),
                  HeadRows<const T>(dk), HeadRows<const P>(dv), std::span(rows.streams), dattended);
  linear(device_, MatrixView<const P>(dattended), products.attention_output, dx, Write::add);
}

template <class Device, class T, class P>
void DifferentialEngine<Device, T, P>::feed_forward_block(const Rows& rows, std::size_t layer,
                                                          MatrixView<T> dx) {
  const LayerWeights<T, P>& products = delta_weights_.layers[layer];
  const LayerTape<T>& tape = tape_.layer(layer);
  const std::span<const PairedRows> pairs(rows.tape_rows);
  const MatrixView<P> dnormed = s_.normed.view().row_range(0, dx.rows);
  const MatrixView<P> dgated = s_.gated.view().row_range(0, dx.rows);

  rms_norm_delta(device_, tape.residual_mid.view(), weights_.layers[layer].feed_forward_norm.view(),
                 weights_.config.norm_epsilon, MatrixView<const T>(dx), pairs, dnormed);
  gated_linear_delta(
      device_, MatrixView<const P>(dnormed),
      GatedLinear<T, P>{products.gate, products.up, tape.gate.view(), tape.up.view()}, pairs,
      dgated);
  linear(device_, MatrixView<const P>(dgated), products.down, dx, Write::add);
}

template <class Device, class T, class P>
void DifferentialEngine<Device, T, P>::run(std::span<const Counterfactual> batch,
                                           std::span<double> kl_nats) {
  Rows rows = rows_of(batch);
  const MatrixView<T> dx = residual_.view().row_range(0, rows.positions.size());
  fill_rows(device_, T{0}, dx);
  const ModelConfig& config = weights_.config;
  const BatchRemovals removed(batch, config.n_layers, config.n_kv_heads);
  // Below the first layer that loses a token nothing changes.
  for (std::size_t layer = removed.first_layer(); layer < config.n_layers; ++layer) {
    removed.apply(layer, rows.streams);
    attention_block(rows, layer, dx);
    feed_forward_block(rows, layer, dx);
  }
  const MatrixView<P> dhidden = s_.normed.view().row_range(0, dx.rows);
  rms_norm_delta(device_, tape_.final_residual().view(), weights_.final_norm.view(),
                 weights_.config.norm_epsilon, MatrixView<const T>(dx),
                 std::span<const PairedRows>(rows.tape_rows), dhidden);
  const FullPredictions<T> full{full_.hidden.view(), full_.log_normalisers, full_.likeliest};
  std::vector<double> kl_rows(s_.normed.rows());
  kl_divergence(
      device_,
      OutputWeights<T, P>{weights_.output(), weights_.packed_output, delta_weights_.output}, full,
      MatrixView<const P>(s_.normed.view()), std::span<const PairedRows>(rows.text_rows),
      std::span(kl_rows));
  std::copy_n(kl_rows.begin(), batch.size() * horizon_, kl_nats.begin());
}

template class DifferentialEngine<Cpu, float, float>;
template class DifferentialEngine<Cpu, float, BF16>;
template class DifferentialEngine<Cpu, double, double>;
template class DifferentialEngine<Cuda, float, float>;
template class DifferentialEngine<Cuda, float, BF16>;
template class DifferentialEngine<Cuda, double, double>;

}  // namespace longshadow
