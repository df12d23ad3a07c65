#include "engine/parts/attention.h"

#include <span>

#include "engine/backend/device.h"
#include "engine/ops/attention/attention_backward.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/projection/add_bias.h"
#include "engine/ops/projection/linear.h"
#include "engine/ops/projection/project_heads.h"

namespace longshadow {

ScoreForm score_form(const ModelConfig& config) {
  return {config.attention_scale, config.attention_score_cap};
}

AttentionShape attention_shape(const ModelConfig& config, std::size_t layer) {
  return {config.n_heads, config.n_kv_heads, config.head_dim, config.window(layer),
          score_form(config)};
}

namespace {

/// [rows, heads d] for what comes before a norm of projections; [0, 0] where the model has none.
Tensor make_projections(Device& device, const ModelConfig& config, Element element,
                        std::size_t n_heads, std::size_t rows) {
  if (config.query_key_norm == QueryKeyNorm::none) return {};
  return Tensor(device.memory(), element, rows, n_heads * config.head_dim);
}

}  // namespace

AttentionActivations::AttentionActivations(Device& device, const ModelConfig& config,
                                           Element element, std::size_t rows)
    : query_heads(device.memory(), element, config.n_heads * rows, config.head_dim),
      key_heads(device.memory(), element, config.n_kv_heads * rows, config.head_dim),
      value_heads(device.memory(), element, config.n_kv_heads * rows, config.head_dim),
      attended(device.memory(), element, rows, config.n_heads * config.head_dim),
      log_normalisers(device.memory(), element, rows, config.n_heads),
      query_projections(make_projections(device, config, element, config.n_heads, rows)),
      key_projections(make_projections(device, config, element, config.n_kv_heads, rows)),
      output(make_part_output(device, config, element, rows)),
      normed_output(make_part_output(device, config, element, rows)) {}

AttentionTape::AttentionTape(Device& device, const ModelConfig& config, Element element,
                             std::size_t rows)
    : n_heads(config.n_heads),
      residual(make_part_residual(device, config, element, rows)),
      query_heads(device.memory(), element, config.n_heads * rows, config.head_dim),
      log_normalisers(device.memory(), element, rows, config.n_heads),
      attended(device.memory(), element, rows, config.n_heads * config.head_dim),
      query_projections(make_projections(device, config, element, config.n_heads, rows)),
      key_projections(make_projections(device, config, element, config.n_kv_heads, rows)),
      output(make_part_output(device, config, element, rows)) {}

void AttentionTape::keep_residual(Device& device, const KeptRows& rows, ConstTensorView from) {
  if (residual.rows() != 0) keep_rows(device, rows, from, residual);
}

void AttentionTape::keep(Device& device, const KeptRows& rows, const AttentionActivations& from) {
  const ConstHeadsView queries = as_heads(from.query_heads.view(), n_heads);
  copy_head_rows(device, queries.part(0, n_heads, rows.from), rows.count,
                 as_heads(query_heads.view(), n_heads), rows.to);
  if (query_projections.rows() != 0) {
    keep_rows(device, rows, from.query_projections.view(), query_projections);
    keep_rows(device, rows, from.key_projections.view(), key_projections);
  }
  keep_rows(device, rows, from.log_normalisers.view(), log_normalisers);
  keep_rows(device, rows, from.attended.view(), attended);
  if (output.rows() != 0) keep_rows(device, rows, from.output.view(), output);
}

AttentionChanges::AttentionChanges(Device& device, const ModelConfig& config,
                                   const PassElements& elements, std::size_t rows)
    : query_heads(device.memory(), elements.products, config.n_heads * rows, config.head_dim),
      key_heads(device.memory(), elements.activations, config.n_kv_heads * rows, config.head_dim),
      value_heads(device.memory(), elements.products, config.n_kv_heads * rows, config.head_dim),
      attended(device.memory(), elements.products, rows, config.n_heads * config.head_dim),
      projections(make_projections(device, config, elements.activations, config.n_heads, rows)),
      output(make_part_output(device, config, elements.activations, rows)) {}

AttentionGradientRows::AttentionGradientRows(Device& device, const ModelConfig& config,
                                             const PassElements& elements, std::size_t rows) {
  const std::size_t d = config.head_dim, queries_cols = config.n_heads * d;
  const std::size_t keys_cols = config.n_kv_heads * d;
  const auto exact = [&](std::size_t n_rows, std::size_t cols) {
    return Tensor(device.memory(), elements.activations, n_rows, cols);
  };
  const auto factor = [&](std::size_t cols) {
    return Tensor(device.memory(), elements.products, rows, cols);
  };
  attended_heads = exact(config.n_heads * (rows + kRowTile), d);
  queries = exact(rows, queries_cols);
  keys = exact(rows, keys_cols);
  unrotated_queries = factor(queries_cols);
  unrotated_keys = factor(keys_cols);
  values = factor(keys_cols);
  query_projections = make_projections(device, config, elements.activations, config.n_heads, rows);
  key_projections = make_projections(device, config, elements.activations, config.n_kv_heads, rows);
  output = make_part_output(device, config, elements.activations, rows);
}

Attention::Attention(const WeightLoader& load, const ModelConfig& config, std::size_t layer)
    : shape_(attention_shape(config, layer)),
      input_{{load.norm_weight(WeightKind::attention_norm, layer), config.norm_epsilon}},
      query_bias_(load.plain(WeightKind::query_bias, layer)),
      key_bias_(load.plain(WeightKind::key_bias, layer)),
      value_bias_(load.plain(WeightKind::value_bias, layer)),
      query_norm_{{load.norm_weight(WeightKind::query_norm, layer), config.norm_epsilon}},
      key_norm_{{load.norm_weight(WeightKind::key_norm, layer), config.norm_epsilon}},
      output_{load.plain(WeightKind::output_bias, layer),
              {load.norm_weight(WeightKind::attention_output_norm, layer), config.norm_epsilon}} {}

void Attention::add_names(const ModelConfig& config, LayerNames& names) {
  using enum WeightKind;
  const std::size_t hidden = config.hidden_size;
  const std::size_t queries = config.n_heads * config.head_dim;
  const std::size_t keys = config.n_kv_heads * config.head_dim;
  if (config.norms_before) {
    names.add(attention_norm, 1, hidden, "attn_norm.weight", "input_layernorm.weight");
  }
  if (config.fused_projections) {
    const auto add = [&](WeightKind kind, std::size_t rows, std::size_t first, bool rotary) {
      names.add_rows_of(kind, rows, hidden, "attn_qkv.weight", "self_attn.qkv_proj.weight", first,
                        queries + 2 * keys, rotary);
    };
    add(query, queries, 0, true);
    add(key, keys, queries, true);
    add(value, keys, queries + keys, false);
  } else {
    names.add(query, queries, hidden, "attn_q.weight", "self_attn.q_proj.weight", true);
    names.add(key, keys, hidden, "attn_k.weight", "self_attn.k_proj.weight", true);
    names.add(value, keys, hidden, "attn_v.weight", "self_attn.v_proj.weight");
  }
  if (config.attention_bias) {
    names.add(query_bias, 1, queries, "attn_q.bias", "self_attn.q_proj.bias", true);
    names.add(key_bias, 1, keys, "attn_k.bias", "self_attn.k_proj.bias", true);
    names.add(value_bias, 1, keys, "attn_v.bias", "self_attn.v_proj.bias");
  }
  if (config.query_key_norm != QueryKeyNorm::none) {
    const bool whole = config.query_key_norm == QueryKeyNorm::projection;
    names.add(query_norm, 1, whole ? queries : config.head_dim, "attn_q_norm.weight",
              "self_attn.q_norm.weight");
    names.add(key_norm, 1, whole ? keys : config.head_dim, "attn_k_norm.weight",
              "self_attn.k_norm.weight");
  }
  names.add(attention_output, hidden, queries, "attn_output.weight", "self_attn.o_proj.weight");
  if (config.output_bias) {
    names.add(output_bias, 1, hidden, "attn_output.bias", "self_attn.o_proj.bias");
  }
  if (config.norms_behind) {
    names.add(attention_output_norm, 1, hidden, "post_attention_norm.weight",
              "post_attention_layernorm.weight");
  }
}

PartSize Attention::size(const ModelConfig& config) {
  const std::size_t hidden = config.hidden_size;
  const std::size_t queries = config.n_heads * config.head_dim;
  const std::size_t keys = config.n_kv_heads * config.head_dim;
  const std::size_t matrices = hidden * (2 * queries + 2 * keys);
  PartSize size{.matrices = matrices,
                .matrices_of_row = matrices,
                .tape = residual_stream_tape(config) + 2 * queries + config.n_heads,
                .forward = 2 * queries + 2 * keys + config.n_heads,
                .delta = keys,
                .delta_products = 2 * queries + keys,
                .gradients = 3 * queries + 3 * keys};
  if (config.norms_behind) {
    size.forward += 2 * hidden;
    size.delta += hidden;
    size.gradients += hidden;
  }
  if (config.query_key_norm != QueryKeyNorm::none) {
    size.tape += queries + keys;
    size.forward += queries + keys;
    size.delta += queries;
    size.gradients += queries + keys;
  }
  return size;
}

void Attention::forward(Device& device, const AttentionMatrices& matrices,
                        const RotaryTable& rotary, const RowBatch& batch, KeysValuesView prefix,
                        ColumnOrder order, TensorView normed, AttentionActivations& s,
                        TensorView x) const {
  const std::span<const std::uint32_t> positions(batch.positions);
  const ConstTensorView input = normed;
  const TensorView attended = rows_of(s.attended, x.rows);
  const HeadsView queries = as_heads(s.query_heads.view(), shape_.n_heads);
  const HeadsView keys = as_heads(s.key_heads.view(), shape_.n_kv_heads);
  const HeadsView values = as_heads(s.value_heads.view(), shape_.n_kv_heads);

  input_.forward(device, x, normed);
  const auto project_rotated = [&](const PackedWeights& weights, const Tensor& bias,
                                   const ProjectionNorm& norm, Tensor& projections, HeadsView to) {
    if (!norm) {
      project_rotated_heads(device, input, weights, bias.view(), rotary, positions, to);
      return;
    }
    const TensorView projected = rows_of(projections, x.rows);
    linear(device, input, weights, projected);
    add_bias(device, bias.view(), projected);
    // Nothing is attended yet.
    norm.forward(device, rotary, positions, projected, attended.column_range(0, projected.cols),
                 to);
  };
  project_rotated(matrices.query, query_bias_, query_norm_, s.query_projections, queries);
  project_rotated(matrices.key, key_bias_, key_norm_, s.key_projections, keys);
  project_heads(device, input, matrices.value, value_bias_.view(), values);
  attention(device, shape_, queries, prefix, KeysValuesView{keys, values}, std::span(batch.streams),
            attended, s.log_normalisers.view(), order);
  output_.forward(device, attended, matrices.output, rows_of(s.output, x.rows),
                  rows_of(s.normed_output, x.rows), x);
}

void Attention::delta(Device& device, const AttentionMatrices& matrices, const RotaryTable& rotary,
                      const DeltaBatch& batch, const AttentionTape& tape, const FullCache& cache,
                      std::size_t row_tiles_before, TensorView dnormed, AttentionChanges& s,
                      TensorView dx) const {
  const std::span<const std::uint32_t> positions(batch.positions);
  const TensorView dattended = rows_of(s.attended, dx.rows);
  const HeadsView dq = as_heads(s.query_heads.view(), shape_.n_heads);
  const HeadsView dk = as_heads(s.key_heads.view(), shape_.n_kv_heads);
  const HeadsView dv = as_heads(s.value_heads.view(), shape_.n_kv_heads);
  const ConstTensorView no_bias{};  // biases cancel in a difference

  const ConstTensorView input =
      input_.delta(device, tape.residual.view(), dx, batch.tape_rows, dnormed);
  const auto project_rotated = [&](const PackedWeights& weights, const ProjectionNorm& norm,
                                   const Tensor& projected, HeadsView to) {
    if (!norm) {
      project_rotated_heads(device, input, weights, no_bias, rotary, positions, to);
      return;
    }
    const TensorView changes = rows_of(s.projections, dx.rows).column_range(0, projected.cols());
    linear(device, input, weights, changes);
    norm.delta(device, rotary, batch, projected.view(), changes, to);
  };
  project_rotated(matrices.query, query_norm_, tape.query_projections, dq);
  project_rotated(matrices.key, key_norm_, tape.key_projections, dk);
  project_heads(device, input, matrices.value, no_bias, dv);
  const FullAttentionView full{as_heads(tape.query_heads.view(), shape_.n_heads),
                               tape.log_normalisers.view(),
                               tape.attended.view(),
                               cache.exact,
                               cache.rounded,
                               row_tiles_before};
  attention_delta(device, shape_, full, dq, dk, dv, std::span(batch.streams), dattended);
  output_.delta(device, dattended, matrices.output, tape.output.view(), batch.tape_rows,
                rows_of(s.output, dx.rows), dx);
}

void Attention::backward(Device& device, const AttentionMatrices& transposed,
                         const RotaryTable& rotary, const GradientBatch& batch,
                         const AttentionTape& tape, const FullCache& cache, TensorView rounded,
                         TensorView dnormed, AttentionGradientRows& s, TensorView gates,
                         TensorView dx) const {
  const std::span<const std::uint32_t> positions(batch.positions);
  const HeadsView dattended = as_heads(s.attended_heads.view(), shape_.n_heads);
  const TensorView dq = rows_of(s.queries, dx.rows);
  const TensorView dk = rows_of(s.keys, dx.rows);
  const TensorView dq_unrotated = rows_of(s.unrotated_queries, dx.rows);
  const TensorView dk_unrotated = rows_of(s.unrotated_keys, dx.rows);
  const TensorView dv = rows_of(s.values, dx.rows);

  project_heads(device,
                output_.backward(device, tape.output.view(), dx, batch.tape_rows,
                                 rows_of(s.output, dx.rows), rounded),
                transposed.output, ConstTensorView{}, dattended);
  const FullAttentionView full{as_heads(tape.query_heads.view(), shape_.n_heads),
                               tape.log_normalisers.view(), tape.attended.view(), cache.exact,
                               cache.rounded};
  attention_backward(device, shape_, full, batch.context, dattended, std::span(batch.tape_rows),
                     AttentionGradientsView{dq, dk, dv, gates});
  // The gradients at the projections, in the products' type.
  const auto at_projections = [&](const ProjectionNorm& norm, const Tensor& projected,
                                  TensorView gradients, Tensor& scratch,
                                  TensorView to) -> ConstTensorView {
    if (!norm) {
      rotate_rows(device, rotary, Turn::back, positions, gradients, to);
      return to;
    }
    const TensorView before = rows_of(scratch, dx.rows);
    norm.backward(device, rotary, batch, projected.view(), gradients, before);
    return rounded_rows(device, before, to);
  };
  linear(device,
         at_projections(query_norm_, tape.query_projections, dq, s.query_projections, dq_unrotated),
         transposed.query, dnormed);
  linear(device,
         at_projections(key_norm_, tape.key_projections, dk, s.key_projections, dk_unrotated),
         transposed.key, dnormed, Write::add);
  linear(device, dv, transposed.value, dnormed, Write::add);
  input_.backward(device, tape.residual.view(), dnormed, batch.tape_rows, dx);
}

}  // namespace longshadow
