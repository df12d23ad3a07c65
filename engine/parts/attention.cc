#include "engine/parts/attention.h"

#include <span>

#include "engine/backend/cuda/cuda.h"
#include "engine/ops/attention/attention_backward.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/projection/add_bias.h"
#include "engine/ops/projection/linear.h"
#include "engine/ops/projection/project_heads.h"

namespace longshadow {

AttentionShape attention_shape(const ModelConfig& config) {
  return {config.n_heads, config.n_kv_heads, config.head_dim};
}

namespace {

/// [n_heads rows, d] for what comes before a norm over heads; [0, 0] where the model has none.
template <class T, class Device>
Matrix<T> make_projections(Device& device, const ModelConfig& config, std::size_t n_heads,
                           std::size_t rows) {
  if (!config.query_key_norm) return {};
  return Matrix<T>(device.memory(), n_heads * rows, config.head_dim);
}

}  // namespace

template <class T>
template <class Device>
AttentionActivations<T>::AttentionActivations(Device& device, const ModelConfig& config,
                                              std::size_t rows)
    : query_heads(device.memory(), config.n_heads * rows, config.head_dim),
      key_heads(device.memory(), config.n_kv_heads * rows, config.head_dim),
      value_heads(device.memory(), config.n_kv_heads * rows, config.head_dim),
      attended(device.memory(), rows, config.n_heads * config.head_dim),
      log_normalisers(device.memory(), rows, config.n_heads),
      query_projections(make_projections<T>(device, config, config.n_heads, rows)),
      key_projections(make_projections<T>(device, config, config.n_kv_heads, rows)) {}

template <class T>
template <class Device>
AttentionTape<T>::AttentionTape(Device& device, const ModelConfig& config, std::size_t rows)
    : shape(attention_shape(config)),
      residual(device.memory(), rows, config.hidden_size),
      query_heads(device.memory(), config.n_heads * rows, config.head_dim),
      log_normalisers(device.memory(), rows, config.n_heads),
      attended(device.memory(), rows, config.n_heads * config.head_dim),
      query_projections(make_projections<T>(device, config, config.n_heads, rows)),
      key_projections(make_projections<T>(device, config, config.n_kv_heads, rows)) {}

template <class T>
template <class Device>
void AttentionTape<T>::keep(Device& device, const KeptRows& rows,
                            const AttentionActivations<T>& from) {
  const auto keep_heads = [&](const Matrix<T>& matrix, Matrix<T>& into, std::size_t heads) {
    HeadRows<const T> chunk = as_heads(matrix.view(), heads);
    chunk.data += rows.from * chunk.head_dim;
    copy_head_rows(device, chunk, rows.count, as_heads(into.view(), heads), rows.to);
  };
  keep_heads(from.query_heads, query_heads, shape.n_heads);
  if (query_projections.rows() != 0) {
    keep_heads(from.query_projections, query_projections, shape.n_heads);
    keep_heads(from.key_projections, key_projections, shape.n_kv_heads);
  }
  keep_rows(device, rows, from.log_normalisers.view(), log_normalisers);
  keep_rows(device, rows, from.attended.view(), attended);
}

template <class T, class P>
template <class Device>
AttentionChanges<T, P>::AttentionChanges(Device& device, const ModelConfig& config,
                                         std::size_t rows)
    : query_heads(device.memory(), config.n_heads * rows, config.head_dim),
      key_heads(device.memory(), config.n_kv_heads * rows, config.head_dim),
      value_heads(device.memory(), config.n_kv_heads * rows, config.head_dim),
      attended(device.memory(), rows, config.n_heads * config.head_dim),
      query_projections(make_projections<T>(device, config, config.n_heads, rows)) {}

template <class T, class P>
template <class Device>
AttentionGradientRows<T, P>::AttentionGradientRows(Device& device, const ModelConfig& config,
                                                   std::size_t rows)
    : attended_heads(device.memory(), config.n_heads * (rows + kRowTile), config.head_dim),
      queries(device.memory(), rows, config.n_heads * config.head_dim),
      keys(device.memory(), rows, config.n_kv_heads * config.head_dim),
      unrotated_queries(device.memory(), rows, config.n_heads * config.head_dim),
      unrotated_keys(device.memory(), rows, config.n_kv_heads * config.head_dim),
      values(device.memory(), rows, config.n_kv_heads * config.head_dim) {
  if (!config.query_key_norm) return;
  query_projections = Matrix<T>(device.memory(), queries.rows(), queries.cols());
  key_projections = Matrix<T>(device.memory(), keys.rows(), keys.cols());
}

template <class T>
template <class Device>
Attention<T>::Attention(const WeightLoader<Device, T, T>& load, const ModelConfig& config,
                        std::size_t layer)
    : shape_(attention_shape(config)),
      norm_{load.plain(WeightKind::attention_norm, layer), config.norm_epsilon},
      query_bias_(load.plain(WeightKind::query_bias, layer)),
      key_bias_(load.plain(WeightKind::key_bias, layer)),
      value_bias_(load.plain(WeightKind::value_bias, layer)),
      output_bias_(load.plain(WeightKind::output_bias, layer)),
      query_norm_{{load.plain(WeightKind::query_norm, layer), config.norm_epsilon}},
      key_norm_{{load.plain(WeightKind::key_norm, layer), config.norm_epsilon}} {}

template <class T>
void Attention<T>::add_names(const ModelConfig& config, LayerNames& names) {
  using enum WeightKind;
  const std::size_t hidden = config.hidden_size;
  const std::size_t queries = config.n_heads * config.head_dim;
  const std::size_t keys = config.n_kv_heads * config.head_dim;
  names.add(attention_norm, 1, hidden, "attn_norm.weight", "input_layernorm.weight");
  names.add(query, queries, hidden, "attn_q.weight", "self_attn.q_proj.weight", true);
  names.add(key, keys, hidden, "attn_k.weight", "self_attn.k_proj.weight", true);
  names.add(value, keys, hidden, "attn_v.weight", "self_attn.v_proj.weight");
  if (config.attention_bias) {
    names.add(query_bias, 1, queries, "attn_q.bias", "self_attn.q_proj.bias", true);
    names.add(key_bias, 1, keys, "attn_k.bias", "self_attn.k_proj.bias", true);
    names.add(value_bias, 1, keys, "attn_v.bias", "self_attn.v_proj.bias");
  }
  if (config.query_key_norm) {
    names.add(query_norm, 1, config.head_dim, "attn_q_norm.weight", "self_attn.q_norm.weight");
    names.add(key_norm, 1, config.head_dim, "attn_k_norm.weight", "self_attn.k_norm.weight");
  }
  names.add(attention_output, hidden, queries, "attn_output.weight", "self_attn.o_proj.weight");
  if (config.output_bias) {
    names.add(output_bias, 1, hidden, "attn_output.bias", "self_attn.o_proj.bias");
  }
}

template <class T>
PartSize Attention<T>::size(const ModelConfig& config) {
  const std::size_t hidden = config.hidden_size;
  const std::size_t queries = config.n_heads * config.head_dim;
  const std::size_t keys = config.n_kv_heads * config.head_dim;
  PartSize size{.matrices = hidden * (2 * queries + 2 * keys),
                .tape = hidden + 2 * queries + config.n_heads,
                .forward = 2 * queries + 2 * keys + config.n_heads,
                .delta = keys,
                .delta_products = 2 * queries + keys,
                .gradients = 3 * queries + 3 * keys};
  if (config.query_key_norm) {
    size.tape += queries + keys;
    size.forward += queries + keys;
    size.delta += queries;
    size.gradients += queries + keys;
  }
  return size;
}

template <class T>
template <class Device>
void Attention<T>::forward(Device& device, const AttentionMatrices<T>& matrices,
                           const RotaryTable<T>& rotary, const RowBatch& batch,
                           KeysValues<const T> prefix, ColumnOrder order, MatrixView<T> normed,
                           AttentionActivations<T>& s, MatrixView<T> x) const {
  const std::span<const std::uint32_t> positions(batch.positions);
  const MatrixView<const T> input = normed;
  const MatrixView<T> attended = rows_of(s.attended, x.rows);
  const HeadRows<T> queries = as_heads(s.query_heads.view(), shape_.n_heads);
  const HeadRows<T> keys = as_heads(s.key_heads.view(), shape_.n_kv_heads);
  const HeadRows<T> values = as_heads(s.value_heads.view(), shape_.n_kv_heads);

  norm_.forward(device, x, normed);
  const auto project_rotated = [&](const PackedWeights<T>& weights, const Matrix<T>& bias,
                                   const HeadNorm<T>& head_norm, Matrix<T>& projections,
                                   HeadRows<T> to) {
    if (!head_norm) {
      project_rotated_heads(device, input, weights, bias.view(), rotary, positions, to);
      return;
    }
    const HeadRows<T> projected = as_heads(projections.view(), to.n_heads);
    project_heads(device, input, weights, bias.view(), projected);
    head_norm.forward(device, rotary, positions, projected, to);
  };
  project_rotated(matrices.query, query_bias_, query_norm_, s.query_projections, queries);
  project_rotated(matrices.key, key_bias_, key_norm_, s.key_projections, keys);
  project_heads(device, input, matrices.value, value_bias_.view(), values);
  attention(device, shape_, HeadRows<const T>(queries), prefix, KeysValues<const T>{keys, values},
            std::span(batch.streams), attended, s.log_normalisers.view(), order);
  linear(device, MatrixView<const T>(attended), matrices.output, x, Write::add);
  add_bias(device, output_bias_.view(), x);
}

template <class T>
template <class Device, class P>
void Attention<T>::delta(Device& device, const AttentionMatrices<P>& matrices,
                         const RotaryTable<T>& rotary, const DeltaBatch& batch,
                         const AttentionTape<T>& tape, const FullCache<T, P>& cache,
                         std::size_t row_tiles_before, MatrixView<P> dnormed,
                         AttentionChanges<T, P>& s, MatrixView<T> dx) const {
  const std::span<const std::uint32_t> positions(batch.positions);
  const MatrixView<const P> input = dnormed;
  const MatrixView<P> dattended = rows_of(s.attended, dx.rows);
  const HeadRows<P> dq = as_heads(s.query_heads.view(), shape_.n_heads);
  const HeadRows<T> dk = as_heads(s.key_heads.view(), shape_.n_kv_heads);
  const HeadRows<P> dv = as_heads(s.value_heads.view(), shape_.n_kv_heads);
  const MatrixView<const T> no_bias{};  // biases cancel in a difference

  norm_.delta(device, tape.residual.view(), dx, batch.tape_rows, dnormed);
  if (query_norm_) {
    const HeadRows<T> projected = as_heads(s.query_projections.view(), shape_.n_heads);
    project_heads(device, input, matrices.query, no_bias, projected);
    query_norm_.delta(device, rotary, batch, as_heads(tape.query_projections.view(), dq.n_heads),
                      projected, dq);
    project_heads(device, input, matrices.key, no_bias, dk);
    key_norm_.delta(device, rotary, batch, as_heads(tape.key_projections.view(), dk.n_heads), dk,
                    dk);
  } else {
    project_rotated_heads(device, input, matrices.query, no_bias, rotary, positions, dq);
    project_rotated_heads(device, input, matrices.key, no_bias, rotary, positions, dk);
  }
  project_heads(device, input, matrices.value, no_bias, dv);
  const FullAttention<T, P> full{as_heads(tape.query_heads.view(), shape_.n_heads),
                                 tape.log_normalisers.view(),
                                 tape.attended.view(),
                                 cache.exact,
                                 cache.rounded,
                                 row_tiles_before};
  attention_delta(device, shape_, full, HeadRows<const P>(dq), HeadRows<const T>(dk),
                  HeadRows<const P>(dv), std::span(batch.streams), dattended);
  linear(device, MatrixView<const P>(dattended), matrices.output, dx, Write::add);
}

template <class T>
template <class Device, class P>
void Attention<T>::backward(Device& device, const AttentionMatrices<P>& transposed,
                            const RotaryTable<T>& rotary, const GradientBatch& batch,
                            const AttentionTape<T>& tape, const FullCache<T, P>& cache,
                            MatrixView<P> rounded, MatrixView<T> dnormed,
                            AttentionGradientRows<T, P>& s, MatrixView<T> gates,
                            MatrixView<T> dx) const {
  const std::span<const std::uint32_t> positions(batch.positions);
  const HeadRows<T> dattended = as_heads(s.attended_heads.view(), shape_.n_heads);
  const MatrixView<T> dq = rows_of(s.queries, dx.rows);
  const MatrixView<T> dk = rows_of(s.keys, dx.rows);
  const MatrixView<P> dq_unrotated = rows_of(s.unrotated_queries, dx.rows);
  const MatrixView<P> dk_unrotated = rows_of(s.unrotated_keys, dx.rows);
  const MatrixView<P> dv = rows_of(s.values, dx.rows);

  project_heads(device, rounded_rows(device, MatrixView<const T>(dx), rounded), transposed.output,
                MatrixView<const T>{}, dattended);
  const FullAttention<T, P> full{as_heads(tape.query_heads.view(), shape_.n_heads),
                                 tape.log_normalisers.view(), tape.attended.view(), cache.exact,
                                 cache.rounded};
  attention_backward(device, shape_, full, batch.context, HeadRows<const T>(dattended),
                     std::span(batch.tape_rows), AttentionGradients<T, P>{dq, dk, dv, gates});
  // The gradients at the projections, in P.
  const auto at_projections = [&](const HeadNorm<T>& head_norm, const Matrix<T>& projected,
                                  std::size_t n_heads, MatrixView<T> gradients, Matrix<T>& scratch,
                                  MatrixView<P> to) -> MatrixView<const P> {
    if (!head_norm) {
      rotate_rows(device, rotary, Turn::back, positions, MatrixView<const T>(gradients), to);
      return to;
    }
    const MatrixView<T> before = rows_of(scratch, dx.rows);
    head_norm.backward(device, rotary, batch, as_heads(projected.view(), n_heads), gradients,
                       before);
    return rounded_rows(device, MatrixView<const T>(before), to);
  };
  linear(device,
         at_projections(query_norm_, tape.query_projections, shape_.n_heads, dq,
                        s.query_projections, dq_unrotated),
         transposed.query, dnormed);
  linear(device,
         at_projections(key_norm_, tape.key_projections, shape_.n_kv_heads, dk, s.key_projections,
                        dk_unrotated),
         transposed.key, dnormed, Write::add);
  linear(device, MatrixView<const P>(dv), transposed.value, dnormed, Write::add);
  norm_.backward(device, tape.residual.view(), dnormed, batch.tape_rows, dx);
}

template class Attention<float>;
template class Attention<double>;

#define LONGSHADOW_INSTANTIATE(Device, T)                                                          \
  template AttentionActivations<T>::AttentionActivations(Device&, const ModelConfig&,              \
                                                         std::size_t);                             \
  template AttentionTape<T>::AttentionTape(Device&, const ModelConfig&, std::size_t);              \
  template void AttentionTape<T>::keep(Device&, const KeptRows&, const AttentionActivations<T>&);  \
  template Attention<T>::Attention(const WeightLoader<Device, T, T>&, const ModelConfig&,          \
                                   std::size_t);                                                   \
  template void Attention<T>::forward(Device&, const AttentionMatrices<T>&, const RotaryTable<T>&, \
                                      const RowBatch&, KeysValues<const T>, ColumnOrder,           \
                                      MatrixView<T>, AttentionActivations<T>&, MatrixView<T>)      \
      const;
LONGSHADOW_INSTANTIATE(Cpu, float)
LONGSHADOW_INSTANTIATE(Cpu, double)
LONGSHADOW_INSTANTIATE(Cuda, float)
LONGSHADOW_INSTANTIATE(Cuda, double)
#undef LONGSHADOW_INSTANTIATE

#define LONGSHADOW_INSTANTIATE(Device, T, P)                                                     \
  template AttentionChanges<T, P>::AttentionChanges(Device&, const ModelConfig&, std::size_t);   \
  template AttentionGradientRows<T, P>::AttentionGradientRows(Device&, const ModelConfig&,       \
                                                              std::size_t);                      \
  template void Attention<T>::delta(Device&, const AttentionMatrices<P>&, const RotaryTable<T>&, \
                                    const DeltaBatch&, const AttentionTape<T>&,                  \
                                    const FullCache<T, P>&, std::size_t, MatrixView<P>,          \
                                    AttentionChanges<T, P>&, MatrixView<T>) const;               \
  template void Attention<T>::backward(                                                          \
      Device&, const AttentionMatrices<P>&, const RotaryTable<T>&, const GradientBatch&,         \
      const AttentionTape<T>&, const FullCache<T, P>&, MatrixView<P>, MatrixView<T>,             \
      AttentionGradientRows<T, P>&, MatrixView<T>, MatrixView<T>) const;
LONGSHADOW_INSTANTIATE(Cpu, float, float)
LONGSHADOW_INSTANTIATE(Cpu, float, BF16)
LONGSHADOW_INSTANTIATE(Cpu, double, double)
LONGSHADOW_INSTANTIATE(Cuda, float, float)
LONGSHADOW_INSTANTIATE(Cuda, float, BF16)
LONGSHADOW_INSTANTIATE(Cuda, double, double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
