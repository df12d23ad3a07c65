#include "engine/parts/mixture_of_experts.h"

#include <algorithm>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/backend/device.h"
#include "engine/backend/transfer.h"
#include "engine/core/range.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/common/rows.h"
#include "engine/ops/experts/weighted_rows.h"
#include "engine/ops/feed_forward/gate.h"
#include "engine/ops/feed_forward/gate_backward.h"
#include "engine/ops/feed_forward/gated_linear_delta.h"
#include "engine/ops/projection/linear.h"

namespace longshadow {
namespace {

RouterRule router_rule(const ModelConfig& config) {
  return {config.experts.count, config.experts.chosen, config.experts.renormalised};
}

/// Slots of so many rows at most.
std::size_t slots_of(const ModelConfig& config, std::size_t rows) {
  return max_slots(rows * config.experts.chosen, config.experts.count, kRowTile);
}

/// A matrix of the device's, in double on the host, row behind row.
std::vector<double> numbers_of(Device& device, ConstTensorView there) {
  std::vector<double> numbers(there.rows * there.cols);
  copy_to_host(device, there,
               MatrixView<double>{numbers.data(), there.rows, there.cols, there.cols});
  return numbers;
}

/// Rows of numbers as a factor of a product, in the device's memory.
Tensor factor_of(Device& device, Element element, std::span<const double> numbers,
                 std::size_t cols) {
  Tensor host(host_memory(), element, numbers.size() / cols, cols);
  with_element<double, float, BF16>("factor_of", element, [&]<class P>() {
    using Sum = std::conditional_t<std::is_same_v<P, double>, double, float>;
    std::ranges::transform(numbers, host.view().as<P>().data,
                           [](double number) { return rounded<P>(static_cast<Sum>(number)); });
  });
  return on_device(device, std::move(host));
}

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  return text;
}

/// Row r of numbers that come `width` to a row.
template <class T>
std::span<T> row_of(std::vector<T>& numbers, std::size_t width, std::size_t r) {
  return std::span(numbers).subspan(r * width, width);
}
template <class T>
std::span<const T> row_of(const std::vector<T>& numbers, std::size_t width, std::size_t r) {
  return std::span(numbers).subspan(r * width, width);
}

/// Calls body(row, full_row) for the rows of all pairs.
template <class Body>
void for_each_pair(std::span<const PairedRows> pairs, const Body& body) {
  for (const PairedRows& pair : pairs) {
    for (std::size_t r = 0; r < pair.n_rows; ++r) body(pair.first_row + r, pair.full_row + r);
  }
}

/// The rows of a group's choices among rows that have k each.
std::vector<std::int32_t> rows_of_choices(std::span<const std::int32_t> choices, std::size_t k) {
  std::vector<std::int32_t> rows;
  for (const std::int32_t choice : choices) {
    rows.push_back(choice / static_cast<std::int32_t>(k));
  }
  return rows;
}

/// The group's slots, from 0 on, beside the rows of the tape that its choices have.
std::vector<PairedRows> beside_tape(const ExpertGroup& group,
                                    const std::vector<std::int32_t>& tape_rows) {
  std::vector<PairedRows> pairs;
  for (const std::int32_t choice : group.choices) {
    const std::int32_t row = tape_rows[static_cast<std::size_t>(choice)];
    pairs.push_back({pairs.size(), 1, static_cast<std::size_t>(row)});
  }
  return pairs;
}

/// Rows of the group's products.
std::size_t padded_size(const ExpertGroup& group, std::size_t tile) {
  return round_up(group.choices.size(), tile);
}

}  // namespace

ExpertActivations::ExpertActivations(Device& device, const ModelConfig& config, Element element,
                                     std::size_t rows)
    : logits(device.memory(), element, rows, config.experts.count),
      inputs(device.memory(), element, rows, config.hidden_size),
      gate(device.memory(), element, slots_of(config, rows), config.experts.feed_forward_size),
      up(device.memory(), element, gate.rows(), config.experts.feed_forward_size),
      gated(device.memory(), element, rows, config.experts.feed_forward_size),
      outputs(device.memory(), element, gate.rows(), config.hidden_size) {}

ExpertTape::ExpertTape(Device& device, const ModelConfig& config, Element element, std::size_t rows)
    : n_experts(config.experts.count),
      n_chosen(config.experts.chosen),
      residual(device.memory(), element, rows, config.hidden_size),
      logits(rows * n_experts),
      gate(device.memory(), element, rows * n_chosen, config.experts.feed_forward_size),
      up(device.memory(), element, rows * n_chosen, config.experts.feed_forward_size),
      outputs(device.memory(), element, rows * n_chosen, config.hidden_size) {
  routes.resize(rows, n_chosen);
}

void ExpertTape::keep_residual(Device& device, const KeptRows& rows, ConstTensorView from) {
  keep_rows(device, rows, from, residual);
}

void ExpertTape::keep(Device& device, const KeptRows& rows, const ExpertActivations& from) {
  if (rows.count == 0) return;
  const auto copy = [&](const auto& numbers, std::size_t width, auto& to) {
    std::copy_n(numbers.begin() + static_cast<std::ptrdiff_t>(rows.from * width),
                rows.count * width, to.begin() + static_cast<std::ptrdiff_t>(rows.to * width));
  };
  copy(from.host_logits, n_experts, logits);
  copy(from.routes.experts, n_chosen, routes.experts);
  copy(from.routes.weights, n_chosen, routes.weights);
  const std::span<const std::int32_t> slots =
      std::span(from.slots).subspan(rows.from * n_chosen, rows.count * n_chosen);
  const auto gather = [&](const Tensor& slot_rows, Tensor& to) {
    gather_rows(device, slot_rows.view(), slots,
                to.view().row_range(rows.to * n_chosen, slots.size()));
  };
  gather(from.gate, gate);
  gather(from.up, up);
  gather(from.outputs, outputs);
}

ExpertChanges::ExpertChanges(Device& device, const ModelConfig& config,
                             const PassElements& elements, std::size_t rows) {
  const std::size_t hidden = config.hidden_size, inner = config.experts.feed_forward_size;
  const auto exact = [&](std::size_t n_rows, std::size_t cols) {
    return Tensor(device.memory(), elements.activations, n_rows, cols);
  };
  input = exact(rows, hidden);
  logits = exact(rows, config.experts.count);
  inputs = Tensor(device.memory(), elements.products, rows, hidden);
  gated = Tensor(device.memory(), elements.products, rows, inner);
  // Experts that stay and experts that are new to rows have tiles of their own.
  outputs =
      exact(max_slots(rows * config.experts.chosen, 2 * config.experts.count, kRowTile), hidden);
  new_residual = exact(kRowTile, hidden);
  new_input = exact(kRowTile, hidden);
  new_gate = exact(kRowTile, inner);
  new_up = exact(kRowTile, inner);
}

ExpertGradients::ExpertGradients(Device& device, const ModelConfig& config,
                                 const PassElements& elements, std::size_t rows) {
  const std::size_t hidden = config.hidden_size, inner = config.experts.feed_forward_size;
  const auto factor = [&](std::size_t cols) {
    return Tensor(device.memory(), elements.products, rows, cols);
  };
  inputs = factor(hidden);
  gated = Tensor(device.memory(), elements.activations, rows, inner);
  gate = factor(inner);
  up = factor(inner);
  outputs = Tensor(device.memory(), elements.activations, slots_of(config, rows), hidden);
}

MixtureOfExperts::MixtureOfExperts(const WeightLoader& load, const ModelConfig& config,
                                   std::size_t layer)
    : rule_(router_rule(config)),
      activation_(config.activation),
      norm_{load.norm_weight(WeightKind::feed_forward_norm, layer), config.norm_epsilon} {}

void MixtureOfExperts::add_names(const ModelConfig& config, LayerNames& names) {
  using enum WeightKind;
  const std::size_t hidden = config.hidden_size, inner = config.experts.feed_forward_size;
  const bool mixtral = config.architecture == Architecture::mixtral;
  const std::string block = mixtral ? "block_sparse_moe." : "mlp.";
  names.add(feed_forward_norm, 1, hidden, "ffn_norm.weight", "post_attention_layernorm.weight");
  names.add(router, config.experts.count, hidden, "ffn_gate_inp.weight", block + "gate.weight");
  for (std::size_t expert = 0; expert < config.experts.count; ++expert) {
    const std::string number = std::to_string(expert);
    const auto add = [&](WeightKind kind, std::size_t rows, std::size_t cols, const char* gguf,
                         const char* hugging_face) {
      names.add({kind, expert}, rows, cols, joined({gguf, ".", number, ".weight"}),
                joined({block, "experts.", number, ".", hugging_face, ".weight"}));
    };
    add(gate, inner, hidden, "ffn_gate", mixtral ? "w1" : "gate_proj");
    add(up, inner, hidden, "ffn_up", mixtral ? "w3" : "up_proj");
    add(down, hidden, inner, "ffn_down", mixtral ? "w2" : "down_proj");
  }
}

PartSize MixtureOfExperts::size(const ModelConfig& config) {
  const std::size_t hidden = config.hidden_size, inner = config.experts.feed_forward_size;
  const std::size_t n_experts = config.experts.count, k = config.experts.chosen;
  const std::size_t expert = 3 * hidden * inner, router = n_experts * hidden;
  // The host's numbers, of eight bytes for logits and weights and four for ids.
  const std::size_t logits = 3 * n_experts, routes = 4 * k;
  return {.matrices = router + n_experts * expert,
          .matrices_of_row = router + k * expert,
          .tape = hidden + k * (2 * inner + hidden) + logits + routes,
          .forward = logits + routes + hidden + inner + k * (2 * inner + hidden),
          .delta = logits + routes + (1 + k) * hidden,
          .delta_products = hidden + inner,
          .gradients = logits + routes + (1 + k) * hidden + 3 * inner,
          .padding = 2 * n_experts * (kRowTile - 1) * (2 * inner + hidden)};
}

void MixtureOfExperts::forward(Device& device, const ExpertMatrices& matrices,
                               const RowBatch& batch, TensorView normed, ExpertActivations& s,
                               TensorView x) const {
  const std::size_t k = rule_.n_chosen;
  const std::size_t tile = x.rows == kFewRows ? kFewRows : kRowTile;
  const TensorView logits = rows_of(s.logits, x.rows);
  norm_.forward(device, x, normed);
  linear(device, normed, matrices.router, logits);
  s.host_logits = numbers_of(device, logits);
  s.routes.resize(x.rows, k);
  for (const Stream& stream : batch.streams) {
    for (std::size_t r = stream.first_row; r < stream.first_row + stream.n_rows; ++r) {
      choose_experts(rule_, row_of(std::as_const(s.host_logits), rule_.n_experts, r),
                     row_of(s.routes.experts, k, r), row_of(s.routes.weights, k, r));
    }
  }

  ExpertGroups groups = group_by_expert(s.routes.experts, rule_.n_experts, tile);
  for (const ExpertGroup& group : groups.groups) {
    const FeedForwardMatrices& expert = matrices.experts[group.expert];
    const std::size_t rows = padded_size(group, tile);
    const auto slots = [&](Tensor& all) { return all.view().row_range(group.first_slot, rows); };
    const TensorView inputs = rows_of(s.inputs, rows), gated = rows_of(s.gated, rows);
    gather_rows(device, normed, rows_of_choices(group.choices, k), inputs);
    linear(device, inputs, expert.gate, slots(s.gate));
    linear(device, inputs, expert.up, slots(s.up));
    apply_gate(device, activation_, slots(s.gate), slots(s.up), gated);
    linear(device, gated, expert.down, slots(s.outputs));
  }
  s.slots = std::move(groups.slots);
  add_weighted_rows(device, s.outputs.view(), s.slots, s.routes.weights, x);
}

/// Routes of a batch's rows after their logits changed, beside the full pass's; all [R, k].
struct MixtureOfExperts::ChangedRoutes {
  std::vector<std::int32_t> kept;     ///< the row's experts that are the full pass's too
  std::vector<std::int32_t> arrived;  ///< its other experts
  std::vector<std::int32_t> of_kept;  ///< the tape's row of each that is kept
  std::vector<std::int32_t> of_full;  ///< the tape's row of each of the full pass
  std::vector<double> full_changes;   ///< the change of that one's weight

  ChangedRoutes(std::size_t rows, std::size_t k)
      : kept(rows * k, kNowhere),
        arrived(rows * k, kNowhere),
        of_kept(rows * k, kNowhere),
        of_full(rows * k, kNowhere),
        full_changes(rows * k, 0.0) {}
};

MixtureOfExperts::ChangedRoutes MixtureOfExperts::change_routes(const ExpertTape& tape,
                                                                std::span<const PairedRows> pairs,
                                                                const std::vector<double>& dlogits,
                                                                std::size_t rows,
                                                                Routes& routes) const {
  const std::size_t k = rule_.n_chosen;
  routes.resize(rows, k);
  ChangedRoutes changed(rows, k);
  std::vector<double> logits(rule_.n_experts);
  for_each_pair(pairs, [&](std::size_t row, std::size_t full_row) {
    const auto before = row_of(tape.logits, rule_.n_experts, full_row);
    const auto changes = row_of(dlogits, rule_.n_experts, row);
    const auto from = row_of(tape.routes.experts, k, full_row);
    const auto to = row_of(routes.experts, k, row);
    for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = before[i] + changes[i];
    choose_experts(rule_, logits, to, row_of(routes.weights, k, row));
    weight_changes(rule_, before, changes, from, row_of(tape.routes.weights, k, full_row), to,
                   row_of(changed.full_changes, k, row));
    for (std::size_t j = 0; j < k; ++j) {
      const std::size_t choice = row * k + j;
      changed.of_full[choice] = static_cast<std::int32_t>(full_row * k + j);
      const auto place = std::ranges::find(from, to[j]);
      if (place == from.end()) {
        changed.arrived[choice] = to[j];
        continue;
      }
      changed.kept[choice] = to[j];
      changed.of_kept[choice] =
          static_cast<std::int32_t>(full_row * k) + static_cast<std::int32_t>(place - from.begin());
    }
  });
  return changed;
}

ExpertGroups MixtureOfExperts::change_kept(Device& device, const ExpertMatrices& matrices,
                                           const ExpertTape& tape, const ChangedRoutes& changed,
                                           ConstTensorView dinput, ExpertChanges& s) const {
  ExpertGroups kept = group_by_expert(changed.kept, rule_.n_experts, kRowTile);
  for (const ExpertGroup& group : kept.groups) {
    const FeedForwardMatrices& expert = matrices.experts[group.expert];
    const std::size_t rows = padded_size(group, kRowTile);
    const TensorView inputs = rows_of(s.inputs, rows), gated = rows_of(s.gated, rows);
    gather_rows(device, dinput, rows_of_choices(group.choices, rule_.n_chosen), inputs);
    gated_linear_delta(
        device, inputs,
        GatedLinearView{activation_, expert.gate, expert.up, tape.gate.view(), tape.up.view()},
        beside_tape(group, changed.of_kept), gated);
    linear(device, gated, expert.down, s.outputs.view().row_range(group.first_slot, rows));
  }
  return kept;
}

ExpertGroups MixtureOfExperts::run_arrived(Device& device, const ExpertMatrices& exact,
                                           const ExpertTape& tape, const ChangedRoutes& changed,
                                           ConstTensorView dx, std::size_t first_slot,
                                           ExpertChanges& s) const {
  const std::size_t k = rule_.n_chosen;
  const TensorView x = s.new_residual.view(), input = s.new_input.view();
  const TensorView gate = s.new_gate.view(), up = s.new_up.view();
  ExpertGroups arrived = group_by_expert(changed.arrived, rule_.n_experts, kRowTile, first_slot);
  for (const ExpertGroup& group : arrived.groups) {
    const FeedForwardMatrices& expert = exact.experts[group.expert];
    for (std::size_t first = 0; first < group.choices.size(); first += kRowTile) {
      const std::size_t count = std::min(kRowTile, group.choices.size() - first);
      const std::span<const std::int32_t> choices = std::span(group.choices).subspan(first, count);
      std::vector<std::int32_t> full_rows;
      for (const std::int32_t choice : choices) {
        full_rows.push_back(changed.of_full[static_cast<std::size_t>(choice)] /
                            static_cast<std::int32_t>(k));
      }
      gather_rows(device, tape.residual.view(), full_rows, x);
      gather_rows(device, dx, rows_of_choices(choices, k), input);
      add_rows(device, input, x);
      norm_.forward(device, x, input);
      linear(device, input, expert.gate, gate);
      linear(device, input, expert.up, up);
      apply_gate(device, activation_, gate, up, gate);
      linear(device, gate, expert.down,
             s.outputs.view().row_range(group.first_slot + first, kRowTile));
    }
  }
  return arrived;
}

void MixtureOfExperts::delta(Device& device, const ExpertMatrices& exact,
                             const ExpertMatrices& matrices, const DeltaBatch& batch,
                             const ExpertTape& tape, TensorView dnormed, ExpertChanges& s,
                             TensorView dx) const {
  const std::span<const PairedRows> pairs(batch.tape_rows);
  const TensorView dinput = rows_of(s.input, dx.rows), dlogits = rows_of(s.logits, dx.rows);
  norm_.delta(device, tape.residual.view(), dx, pairs, dinput);
  linear(device, dinput, exact.router, dlogits);
  const ChangedRoutes changed =
      change_routes(tape, pairs, numbers_of(device, dlogits), dx.rows, s.routes);

  const ExpertGroups kept =
      change_kept(device, matrices, tape, changed, rounded_rows(device, dinput, dnormed), s);
  const ExpertGroups arrived = run_arrived(device, exact, tape, changed, dx, kept.end_slot, s);
  std::vector<std::int32_t> slots(kept.slots.size());  // every choice is kept or has arrived
  std::ranges::transform(kept.slots, arrived.slots, slots.begin(),
                         [](std::int32_t a, std::int32_t b) { return std::max(a, b); });
  add_weighted_rows(device, s.outputs.view(), slots, s.routes.weights, dx);
  add_weighted_rows(device, tape.outputs.view(), changed.of_full, changed.full_changes, dx);
}

void MixtureOfExperts::backward(Device& device, const ExpertMatrices& transposed,
                                const GradientBatch& batch, const ExpertTape& tape,
                                TensorView rounded, TensorView dnormed, ExpertGradients& s,
                                TensorView dx) const {
  const std::size_t k = rule_.n_chosen;
  const std::span<const PairedRows> pairs(batch.tape_rows);
  Routes routes;
  routes.resize(dx.rows, k);
  std::vector<std::int32_t> tape_rows(dx.rows * k, kNowhere);
  for_each_pair(pairs, [&](std::size_t row, std::size_t full_row) {
    std::ranges::copy(row_of(tape.routes.experts, k, full_row),
                      row_of(routes.experts, k, row).begin());
    std::ranges::copy(row_of(tape.routes.weights, k, full_row),
                      row_of(routes.weights, k, row).begin());
    for (std::size_t j = 0; j < k; ++j) {
      tape_rows[row * k + j] = static_cast<std::int32_t>(full_row * k + j);
    }
  });

  // An expert's gradient is linear in that of what it gives: its weight may come last.
  const ConstTensorView doutput = rounded_rows(device, dx, rounded);
  const ExpertGroups groups = group_by_expert(routes.experts, rule_.n_experts, kRowTile);
  for (const ExpertGroup& group : groups.groups) {
    const FeedForwardMatrices& expert = transposed.experts[group.expert];
    const std::size_t rows = padded_size(group, kRowTile);
    const TensorView dgated = rows_of(s.gated, rows), inputs = rows_of(s.inputs, rows);
    const TensorView dgate = rows_of(s.gate, rows), dup = rows_of(s.up, rows);
    const TensorView outputs = s.outputs.view().row_range(group.first_slot, rows);
    gather_rows(device, doutput, rows_of_choices(group.choices, k), inputs);
    linear(device, inputs, expert.down, dgated);
    gate_backward(device, activation_, tape.gate.view(), tape.up.view(), dgated,
                  beside_tape(group, tape_rows), dgate, dup);
    linear(device, dgate, expert.gate, outputs);
    linear(device, dup, expert.up, outputs, Write::add);
  }

  std::vector<double> dweights(dx.rows * k);
  dot_rows(device, dx, tape.outputs.view(), tape_rows, dweights);
  std::vector<double> dlogits(dx.rows * rule_.n_experts);
  for_each_pair(pairs, [&](std::size_t row, std::size_t full_row) {
    logit_gradients(rule_, row_of(tape.logits, rule_.n_experts, full_row),
                    row_of(std::as_const(routes.experts), k, row),
                    row_of(std::as_const(routes.weights), k, row),
                    row_of(std::as_const(dweights), k, row), row_of(dlogits, rule_.n_experts, row));
  });
  const Tensor logits = factor_of(device, transposed.router.element(), dlogits, rule_.n_experts);
  linear(device, logits.view(), transposed.router, dnormed);
  add_weighted_rows(device, s.outputs.view(), groups.slots, routes.weights, dnormed);
  norm_.backward(device, tape.residual.view(), dnormed, pairs, dx);
}

}  // namespace longshadow
