#include "engine/parts/feed_forward.h"

#include <span>

#include "engine/backend/device.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/feed_forward/gate.h"
#include "engine/ops/feed_forward/gate_backward.h"
#include "engine/ops/feed_forward/gated_linear_delta.h"
#include "engine/ops/projection/add_bias.h"
#include "engine/ops/projection/linear.h"

namespace longshadow {

FeedForwardActivations::FeedForwardActivations(Device& device, const ModelConfig& config,
                                               Element element, std::size_t rows)
    : gate(device.memory(), element, rows, config.feed_forward_size),
      up(device.memory(), element, rows, config.feed_forward_size),
      gated(device.memory(), element, rows, config.feed_forward_size),
      output(make_part_output(device, config, element, rows)) {}

FeedForwardTape::FeedForwardTape(Device& device, const ModelConfig& config, Element element,
                                 std::size_t rows)
    : residual(make_part_residual(device, config, element, rows)),
      gate(device.memory(), element, rows, config.feed_forward_size),
      up(device.memory(), element, rows, config.feed_forward_size),
      output(make_part_output(device, config, element, rows)) {}

void FeedForwardTape::keep_residual(Device& device, const KeptRows& rows, ConstTensorView from) {
  if (residual.rows() != 0) keep_rows(device, rows, from, residual);
}

void FeedForwardTape::keep(Device& device, const KeptRows& rows,
                           const FeedForwardActivations& from) {
  keep_rows(device, rows, from.gate.view(), gate);
  keep_rows(device, rows, from.up.view(), up);
  if (output.rows() != 0) keep_rows(device, rows, from.output.view(), output);
}

FeedForward::FeedForward(const WeightLoader& load, const ModelConfig& config, std::size_t layer)
    : activation_(config.activation),
      input_{{load.norm_weight(WeightKind::feed_forward_norm, layer), config.norm_epsilon}},
      gate_bias_(load.plain(WeightKind::gate_bias, layer)),
      up_bias_(load.plain(WeightKind::up_bias, layer)),
      output_{
          load.plain(WeightKind::down_bias, layer),
          {load.norm_weight(WeightKind::feed_forward_output_norm, layer), config.norm_epsilon}} {}

void FeedForward::add_names(const ModelConfig& config, LayerNames& names) {
  using enum WeightKind;
  const std::size_t hidden = config.hidden_size, inner = config.feed_forward_size;
  if (config.norms_before) {
    names.add(feed_forward_norm, 1, hidden, "ffn_norm.weight",
              config.norms_behind ? "pre_feedforward_layernorm.weight"
                                  : "post_attention_layernorm.weight");
  }
  if (config.fused_projections) {
    const auto add = [&](WeightKind kind, std::size_t first) {
      names.add_rows_of(kind, inner, hidden, "ffn_up.weight", "mlp.gate_up_proj.weight", first,
                        2 * inner);
    };
    add(gate, 0);
    add(up, inner);
  } else {
    names.add(gate, inner, hidden, "ffn_gate.weight", "mlp.gate_proj.weight");
    names.add(up, inner, hidden, "ffn_up.weight", "mlp.up_proj.weight");
  }
  names.add(down, hidden, inner, "ffn_down.weight", "mlp.down_proj.weight");
  if (config.feed_forward_bias) {
    names.add(gate_bias, 1, inner, "ffn_gate.bias", "mlp.gate_proj.bias");
    names.add(up_bias, 1, inner, "ffn_up.bias", "mlp.up_proj.bias");
    names.add(down_bias, 1, hidden, "ffn_down.bias", "mlp.down_proj.bias");
  }
  if (config.norms_behind) {
    names.add(feed_forward_output_norm, 1, hidden, "post_ffw_norm.weight",
              "post_feedforward_layernorm.weight");
  }
}

PartSize FeedForward::size(const ModelConfig& config) {
  const std::size_t hidden = config.hidden_size, inner = config.feed_forward_size;
  const std::size_t before_norm_behind = config.norms_behind ? hidden : 0;
  return {.matrices = 3 * hidden * inner,
          .matrices_of_row = 3 * hidden * inner,
          .tape = residual_stream_tape(config) + 2 * inner,
          .forward = 3 * inner + before_norm_behind,
          .delta = before_norm_behind,
          .delta_products = inner,
          .gradients = 3 * inner + before_norm_behind};
}

void FeedForward::forward(Device& device, const FeedForwardMatrices& matrices, TensorView normed,
                          FeedForwardActivations& s, TensorView x) const {
  const TensorView gate = rows_of(s.gate, x.rows);
  const TensorView up = rows_of(s.up, x.rows);
  const TensorView gated = rows_of(s.gated, x.rows);

  input_.forward(device, x, normed);
  linear(device, normed, matrices.gate, gate);
  add_bias(device, gate_bias_.view(), gate);
  linear(device, normed, matrices.up, up);
  add_bias(device, up_bias_.view(), up);
  apply_gate(device, activation_, gate, up, gated);
  output_.forward(device, gated, matrices.down, rows_of(s.output, x.rows), normed, x);
}

void FeedForward::delta(Device& device, const FeedForwardMatrices& matrices,
                        const DeltaBatch& batch, const FeedForwardTape& tape, TensorView dnormed,
                        FeedForwardChanges& s, TensorView dx) const {
  const std::span<const PairedRows> pairs(batch.tape_rows);
  const TensorView dgated = rows_of(s.gated, dx.rows);

  const ConstTensorView input = input_.delta(device, tape.residual.view(), dx, pairs, dnormed);
  gated_linear_delta(
      device, input,
      GatedLinearView{activation_, matrices.gate, matrices.up, tape.gate.view(), tape.up.view()},
      pairs, dgated);
  output_.delta(device, dgated, matrices.down, tape.output.view(), pairs,
                rows_of(s.output, dx.rows), dx);
}

void FeedForward::backward(Device& device, const FeedForwardMatrices& transposed,
                           const GradientBatch& batch, const FeedForwardTape& tape,
                           TensorView rounded, TensorView dnormed, FeedForwardGradients& s,
                           TensorView dx) const {
  const std::span<const PairedRows> pairs(batch.tape_rows);
  const TensorView dgated = rows_of(s.gated, dx.rows);
  const TensorView dgate = rows_of(s.gate, dx.rows);
  const TensorView dup = rows_of(s.up, dx.rows);

  linear(
      device,
      output_.backward(device, tape.output.view(), dx, pairs, rows_of(s.output, dx.rows), rounded),
      transposed.down, dgated);
  gate_backward(device, activation_, tape.gate.view(), tape.up.view(), dgated, pairs, dgate, dup);
  linear(device, dgate, transposed.gate, dnormed);
  linear(device, dup, transposed.up, dnormed, Write::add);
  input_.backward(device, tape.residual.view(), dnormed, pairs, dx);
}

}  // namespace longshadow
