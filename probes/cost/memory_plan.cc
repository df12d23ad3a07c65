#include "probes/cost/memory_plan.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <utility>

#include "engine/backend/packed_weights.h"
#include "engine/core/error.h"
#include "engine/core/range.h"
#include "engine/model/full_pass.h"
#include "engine/parts/layer.h"
#include "probes/cost/model_size.h"

namespace longshadow {
namespace {

/// Beyond this many rows a batch shares nothing more that would be worth its memory.
constexpr std::size_t kMaxBatchRows = 8192;

/// "weights 0.91G, cache 0.05G"
std::string listed(const MemoryPlan& plan) {
  std::string list;
  for (const MemoryPlan::Part& part : plan.parts) {
    if (part.bytes == 0) continue;
    list += (list.empty() ? "" : ", ") + std::string(part.what) + " " + in_gibibytes(part.bytes);
  }
  return list;
}

/// The sizes of all layers' parts.
PartSize layer_sizes(const ModelConfig& config) {
  PartSize sum;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    sum += Layer::size(config, layer);
  }
  return sum;
}

/// Bytes of weights, and of what gradients need beside them.
std::pair<std::size_t, std::size_t> weight_bytes(const ModelConfig& config,
                                                 const MemoryDemand& demand) {
  const std::size_t e = size_of(element_of_pass(demand.precision));
  const std::size_t rounded = demand.precision == Precision::bf16 ? 2 : 0;
  const std::size_t embedding = config.vocab_size * config.hidden_size;
  const std::size_t layers = layer_sizes(config).matrices;
  const std::size_t tables = embedding * (config.tied_embeddings ? 1 : 2) * e;
  if (demand.device == DeviceKind::cuda) {
    const bool narrow = config.bf16_layers && e == 4;
    return {tables + embedding * rounded + layers * (narrow ? 2 : e + rounded), 0};
  }
  return {tables + embedding * (e + rounded) + layers * (e + rounded),
          demand.gradients ? (embedding + layers) * (rounded != 0 ? rounded : e) : 0};
}

}  // namespace

std::string in_gibibytes(std::size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4gG", static_cast<double>(bytes) / (1 << 30));
  return text;
}

std::size_t MemoryPlan::fixed_bytes() const {
  std::size_t sum = 0;
  for (const Part& part : parts) sum += part.bytes;
  return sum;
}

const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::f64:
      return "f64";
    case Precision::f32:
      return "f32";
    case Precision::bf16:
      return "bf16";
  }
  return "";
}

const char* name_of(Method method) { return method == Method::direct ? "direct" : "differential"; }

MemoryPlan plan_memory(const ModelConfig& config, const MemoryDemand& demand) {
  const std::size_t e = size_of(element_of_pass(demand.precision));
  const std::size_t rounded = demand.precision == Precision::bf16 ? 2 : 0;
  const std::size_t p = rounded != 0 ? rounded : e;
  const std::size_t hidden = config.hidden_size;
  const std::size_t queries = config.n_heads * config.head_dim;
  const std::size_t cache = demand.tokens * cache_elements(config);
  const PartSize layer = Layer::size_in_turn(config);
  const bool differential = demand.method == Method::differential;
  MemoryPlan plan;
  if (differential) {
    plan.bytes_per_tape_row = (layer_sizes(config).tape + hidden) * e;
  }
  const std::size_t signals = kPrefillChunk * config.n_layers * hidden * e +
                              2 * config.n_layers * config.n_kv_heads * demand.tokens * 8 +
                              config.n_layers * demand.tokens * 4 + demand.tokens * hidden * e;
  const auto [weights, gradients] = weight_bytes(config, demand);
  plan.parts = {
      {"weights", weights},
      {"gradients' weights", gradients},
      {"cache", cache * (e + rounded)},
      {"tape", demand.tape_rows * plan.bytes_per_tape_row},
      {"signals", signals},
      {"queries",
       demand.device == DeviceKind::cpu ? config.n_layers * demand.query_tokens * queries * 4 : 0},
      {"experts' tiles", layer.padding * e}};
  plan.bytes_per_batch_row = differential
                                 ? (hidden + layer.delta) * e + (hidden + layer.delta_products) * p
                                 : (3 * hidden + layer.forward) * e;
  plan.bytes_per_batch_row += 24 * (round_up(config.vocab_size, kMaxTileOutputs) / kMaxTileOutputs);
  return plan;
}

MemoryPlan plan_sketch_memory(const ModelConfig& config, const MemoryDemand& demand,
                              const SketchDemand& sketch) {
  const std::size_t e = size_of(element_of_pass(demand.precision));
  MemoryPlan plan = plan_memory(config, demand);
  const std::size_t heads = config.n_layers * config.n_kv_heads;
  plan.parts.push_back({"gates", sketch.n_probes * (heads + config.n_heads) * sketch.context * e});
  plan.parts.push_back({"projections", 2 * sketch.n_kept * heads * sketch.context * sizeof(float)});
  plan.bytes_per_batch_row = (3 * config.hidden_size + config.n_heads * config.head_dim +
                              Layer::size_in_turn(config).gradients) *
                                 e +
                             config.n_heads * sketch.context * e / kRowTile;
  return plan;
}

MemoryPlan plan_retain_memory(const ModelConfig& config, const MemoryDemand& demand,
                              const RetainDemand& retain) {
  const std::size_t e = size_of(element_of_pass(demand.precision));
  MemoryPlan plan = plan_memory(config, demand);
  const std::size_t cache = retain.context * cache_elements(config) * e;
  plan.bytes_per_batch_row +=
      static_cast<std::size_t>(static_cast<double>(cache) * retain.largest_share) / retain.horizon +
      1;
  return plan;
}

std::size_t choose_batch_rows(const MemoryPlan& plan, std::size_t budget_bytes,
                              std::size_t horizon) {
  const std::size_t helpful = std::max<std::size_t>(1, kMaxBatchRows / horizon) * horizon;
  if (budget_bytes == 0) return helpful;
  const std::size_t fixed = plan.fixed_bytes();
  const std::size_t least = fixed + horizon * plan.bytes_per_batch_row;
  if (budget_bytes < least) {
    throw UsageError(
        "`memory` " + in_gibibytes(budget_bytes) +
        ": this model, context and future need at least " + in_gibibytes(least) + " (" +
        listed(plan) +
        "); a shorter `context`, a smaller `future` or probe's direct method needs less");
  }
  const std::size_t rows = (budget_bytes - fixed) / plan.bytes_per_batch_row;
  return std::min(helpful, rows / horizon * horizon);
}

std::size_t parse_bytes(const std::string& text) {
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  constexpr std::string_view kUnits = "KMGT";
  const std::size_t power = unit.empty() ? 0 : kUnits.find(unit.front()) + 1;
  if (failure != std::errc() || !(value >= 0) || value > 1e15 || unit.size() > 1 ||
      (unit.size() == 1 && kUnits.find(unit.front()) == kUnits.npos)) {
    throw UsageError("expected bytes, as in 800M or 4G");
  }
  for (std::size_t i = 0; i < power; ++i) value *= 1024;
  return static_cast<std::size_t>(value);
}

}  // namespace longshadow
