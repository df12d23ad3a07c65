#include "probes/experiments/retain.h"

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <ostream>
#include <set>
#include <span>
#include <utility>

#include "engine/backend/device.h"
#include "engine/core/error.h"
#include "probes/compression/compressor.h"
#include "probes/compression/policy_choice.h"
#include "probes/compression/second_pass.h"
#include "probes/experiments/document_run.h"
#include "probes/measure/compressed_future.h"

namespace longshadow {
namespace {

/// A policy at a budget.
struct Arm {
  std::size_t policy;  ///< index of the options' policies
  std::size_t budget;  ///< index of the options' budgets
};

std::vector<Arm> arms_of(const RetainOptions& options) {
  std::vector<Arm> arms;
  for (std::size_t p = 0; p < options.policies.size(); ++p) {
    for (std::size_t b = 0; b < options.budgets.size(); ++b) arms.push_back({p, b});
  }
  return arms;
}

bool any_needs_influence(const Policies& policies) {
  return std::any_of(policies.begin(), policies.end(), [](const auto& policy) {
    return policy->traits().influence != Influence::none;
  });
}

Reading reading_of(const RetainOptions& options) {
  return {options.context, options.horizon, {EvictAt::Kind::end, 0}, options.entropy_top_k};
}

/// The budget as the share to keep.
double share_of(const Arm& arm, const RetainOptions& options) {
  return options.budgets[arm.budget].share;
}

ContextOfText text_of(const RetainOptions& options) {
  return {options.context, options.context + options.horizon};
}

/// The largest share of the cache's slots that an arm keeps, those of windows included.
double largest_share(const Policies& policies, const ModelConfig& config,
                     const RetainOptions& options) {
  const CacheShape shape = compressed_shape(config, text_of(options).text_tokens);
  const std::size_t compressed = shape.n_layers * shape.n_kv_heads * options.context;
  const std::size_t of_windows = n_slots_seen_next(config, text_of(options)) - compressed;
  const auto all = static_cast<double>(config.n_layers * config.n_kv_heads * options.context);
  double largest = 0;
  for (const Arm& arm : arms_of(options)) {
    const std::vector<std::size_t> slots =
        policies[arm.policy]->budget(shape, options.context, 1 - share_of(arm, options));
    const std::size_t kept = std::accumulate(slots.begin(), slots.end(), of_windows);
    largest = std::max(largest, static_cast<double>(kept) / all);
  }
  return largest;
}

/// Number of compressions that the allowed memory lets run at once.
std::size_t max_batch(const Policies& policies, const ModelConfig& config,
                      const RetainOptions& options) {
  MemoryDemand pass{options.precision, Method::direct, options.context + options.horizon, 0};
  pass.device = options.device;
  if (need_queries(policies)) pass.query_tokens = options.context;
  const MemoryPlan plan = plan_retain_memory(
      config, pass, {options.context, options.horizon, largest_share(policies, config, options)});
  return choose_batch_rows(plan, options.memory_bytes, options.horizon) / options.horizon;
}

/// [L, K, T] 1 where the slot stays.
std::vector<std::uint8_t> kept_mask(const Compression& compression, std::size_t context) {
  std::vector<std::uint8_t> mask;
  for (const KeptSlots& layer : compression.layers) {
    for (const std::vector<std::uint32_t>& slots : layer.by_head) {
      const std::size_t begin = mask.size();
      mask.resize(begin + context);
      for (const std::uint32_t slot : slots) mask[begin + slot] = 1;
    }
  }
  return mask;
}

/// A document's arms.
class DocumentRetention final : public Measurement {
 public:
  DocumentRetention(Device& device, const ProbeModel& model, const Tokenizer& tokenizer,
                    const Document& document, const RetainOptions& options,
                    const RunFile* influence, ProgressStyle progress, std::ostream& log)
      : device_(device),
        model_(model),
        options_(options),
        progress_(progress),
        log_(log),
        arms_(arms_of(options)),
        policies_(*options_.made),
        compressor_(device, model.weights, pointers_to(policies_), text_of(options)),
        full_(run_full_pass(tokenizer, document)) {
    if (any_needs_influence(policies_)) {
      influence_ = influence_of(*influence, document, options.context, traits_of(policies_));
    }
  }

  DocumentRun pass() override {
    DocumentRun run = run_;
    run.complete = false;
    return run;
  }

  std::size_t n_units() const override { return arms_.size(); }
  std::size_t n_values() const override { return values_of_cache(options_); }
  std::size_t max_batch() const override {
    return std::min(longshadow::max_batch(policies_, model_.weights.config, options_),
                    arms_.size());
  }
  std::pair<std::string, std::string> title() const override { return {kCacheUnits, "caches"}; }

  void prepare(UnitRange units) override {
    units_ = units;
    std::vector<PolicyAtShare> choices;
    for (const Arm& arm : std::span(arms_).subspan(units.begin, units.size())) {
      choices.push_back({arm.policy, share_of(arm, options_)});
    }
    const std::size_t n_layers =
        compressed_shape(model_.weights.config, text_of(options_).text_tokens).n_layers;
    Progress choosing(log_, progress_, "policies", "layers", n_layers);
    compressions_ = compressor_.compress(
        full_, choices,
        {&influence_, options_.seed, [&](std::size_t layers) { choosing.update(layers); }});
    for (Compression& one : compressions_) one.quantization = options_.quantization;
    if (engine_) return;
    engine_.emplace(device_, model_.weights, full_, options_.context, options_.horizon,
                    max_batch());
  }

  void measure(std::span<const std::size_t> units, std::span<double> values) override {
    std::vector<Compression> batch;
    for (const std::size_t unit : units) batch.push_back(compressions_[unit - units_.begin]);
    auto value = values.begin();
    for (const FutureOnCache& future : engine_->run(batch)) {
      check_numbers(future.kl, run_.name + ", the future of a compressed cache");
      value = std::copy(future.kl.begin(), future.kl.end(), value);
      value = std::copy(future.top1.begin(), future.top1.end(), value);
      value = std::copy(future.surprisal.begin(), future.surprisal.end(), value);
      *value++ = static_cast<double>(future.bytes);
    }
  }

  DocumentRun results(std::vector<double> values) const override {
    DocumentRun run;
    run.name = run_.name;
    run.context_tokens = run_.context_tokens;
    run.future_tokens = run_.future_tokens;
    const std::span<const double> all(values);
    for (std::size_t i = 0; i < units_.size(); ++i) {
      run.retention.push_back(result(units_.begin + i, all.subspan(i * n_values(), n_values())));
    }
    return run;
  }

 private:
  FullPass run_full_pass(const Tokenizer& tokenizer, const Document& document) {
    const std::array<LayerObserver*, 1> observers{&compressor_.observer()};
    DocumentPass pass = run_document_pass(device_, model_.weights, tokenizer, document,
                                          reading_of(options_), observers, progress_, log_);
    run_ = std::move(pass.run);
    compressor_.set_entropy(run_.signals.entropy_topk);
    return std::move(pass.full);
  }

  RunRetention result(std::size_t unit, std::span<const double> values) const {
    const std::size_t horizon = options_.horizon;
    const auto top1 = values.subspan(horizon, horizon);
    const auto surprisal = values.subspan(2 * horizon, horizon);
    const std::size_t slot_bytes =
        2 * model_.weights.config.head_dim * size_of(model_.weights.element());
    RunRetention retention;
    retention.policy = options_.policies[arms_[unit].policy];
    retention.budget = options_.budgets[arms_[unit].budget].text;
    retention.kept = kept_mask(compressions_[unit - units_.begin], options_.context);
    retention.kl.assign(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(horizon));
    for (const double same : top1) retention.top1.push_back(same != 0);
    for (const double nats : surprisal) retention.surprisal.push_back(static_cast<float>(nats));
    retention.bytes_kept = static_cast<std::int64_t>(values.back());
    retention.bytes_full = static_cast<std::int64_t>(
        n_slots_seen_next(model_.weights.config, text_of(options_)) * slot_bytes);
    retention.kv_bits =
        static_cast<std::int64_t>(options_.quantization ? options_.quantization->bits
                                                        : 8 * size_of(model_.weights.element()));
    retention.seed = options_.seed;
    return retention;
  }

  Device& device_;
  const ProbeModel& model_;
  const RetainOptions options_;
  ProgressStyle progress_;
  std::ostream& log_;
  std::vector<Arm> arms_;     ///< [n_units]
  const Policies& policies_;  ///< kept by the options
  Compressor compressor_;
  MeasuredInfluence influence_;
  DocumentRun run_;
  FullPass full_;
  UnitRange units_;                        ///< those prepared
  std::vector<Compression> compressions_;  ///< of them
  std::optional<CompressedFuture> engine_;
};

}  // namespace

std::vector<std::string> split_policies(const std::string& list) {
  std::vector<std::string> policies;
  std::size_t begin = 0;
  while (begin <= list.size()) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const std::string piece = list.substr(begin, end - begin);
    const std::size_t equals = piece.find('=');
    const bool is_option = equals != piece.npos && piece.find(':') > equals;
    if (is_option && !policies.empty()) {
      policies.back() += "," + piece;
    } else {
      policies.push_back(piece);
    }
    begin = end + 1;
  }
  return policies;
}

void check_retention(const Document& document, const ModelConfig& config,
                     const RetainOptions& options, const RunFile* influence) {
  check_reading(document, config, reading_of(options));
  std::set<std::string> names;
  for (const Arm& arm : arms_of(options)) {
    const std::string name = options.policies[arm.policy] + "@" + options.budgets[arm.budget].text;
    if (!names.insert(name).second) {
      throw UsageError("`policies` and `budgets`: expected each once, found " + name + " twice");
    }
  }
  const Policies& policies = *options.made;
  for (std::size_t p = 0; p < policies.size(); ++p) {
    try {
      check_prompt(policies[p]->traits(), options.context);
      check_windows(policies[p]->traits(), config, text_of(options).text_tokens);
      check_second_pass(*policies[p], document.ids(options.context), config);
    } catch (const UsageError& error) {
      throw UsageError("`policies` " + options.policies[p] + ": " + error.what());
    }
  }
  if (any_needs_influence(policies)) {
    if (influence == nullptr) {
      throw UsageError(
          "`policies` oracle: what it keeps by must be measured; give `influence` a run file that "
          "`longshadow probe --method sketch` wrote with the same `context`");
    }
    influence_of(*influence, document, options.context, traits_of(policies));
  }
  max_batch(policies, config, options);
}

std::size_t count_caches(const RetainOptions& options) { return arms_of(options).size(); }

/// Counts a KL, a likeliest token and a surprisal for every position, and the cache's bytes.
std::size_t values_of_cache(const RetainOptions& options) { return 3 * options.horizon + 1; }

std::unique_ptr<Measurement> begin_retention(Device& device, const ProbeModel& model,
                                             const Tokenizer& tokenizer, const Document& document,
                                             const RetainOptions& options, const RunFile* influence,
                                             ProgressStyle progress, std::ostream& log) {
  return std::make_unique<DocumentRetention>(device, model, tokenizer, document, options, influence,
                                             progress, log);
}

DocumentRun retain_document(Device& device, const ProbeModel& model, const Tokenizer& tokenizer,
                            const Document& document, const RetainOptions& options,
                            const RunFile* influence, ProgressStyle progress, std::ostream& log) {
  check_retention(document, model.weights.config, options, influence);
  DocumentRetention retention(device, model, tokenizer, document, options, influence, progress,
                              log);
  return measure_all(retention, progress, log);
}

}  // namespace longshadow
