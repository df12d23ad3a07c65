#include "probes/retain.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <ostream>
#include <set>
#include <span>
#include <utility>

#include "engine/core/error.h"
#include "engine/policy/registry.h"
#include "probes/compressed_future.h"
#include "probes/document_run.h"
#include "probes/interrupt.h"
#include "probes/measured_influence.h"
#include "probes/policy_inputs.h"

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

std::vector<std::unique_ptr<Policy>> make_policies(const RetainOptions& options) {
  std::vector<std::unique_ptr<Policy>> policies;
  for (const std::string& text : options.policies) {
    policies.push_back(make_policy(text));
    policies.back()->protect_sinks(options.n_sinks);
  }
  return policies;
}

bool any_needs_influence(std::span<const std::unique_ptr<Policy>> policies) {
  return std::any_of(policies.begin(), policies.end(), [](const auto& policy) {
    return policy->traits().influence != Influence::none;
  });
}

Reading reading_of(const RetainOptions& options) {
  return {options.context, options.horizon, {EvictAt::Kind::end, 0}, options.entropy_top_k};
}

/// Of the cache's slots, the largest share that an arm keeps.
double largest_share(std::span<const std::unique_ptr<Policy>> policies, const ModelConfig& config,
                     const RetainOptions& options) {
  double largest = 0;
  for (const Arm& arm : arms_of(options)) {
    const double compression = 1 - parse_budget(options.budgets[arm.budget]);
    std::size_t kept = 0;
    for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
      kept += policies[arm.policy]->budget({layer, config.n_layers}, options.context, compression);
    }
    largest = std::max(largest, static_cast<double>(kept) /
                                    static_cast<double>(config.n_layers * options.context));
  }
  return largest;
}

/// How many compressions the memory allowed lets run at once.
std::size_t max_batch(std::span<const std::unique_ptr<Policy>> policies, const ModelConfig& config,
                      const RetainOptions& options) {
  const bool queries = std::any_of(policies.begin(), policies.end(),
                                   [](const auto& policy) { return policy->traits().queries; });
  const MemoryDemand pass{options.precision, Method::direct, options.context + options.horizon, 0};
  const MemoryPlan plan = plan_retain_memory(
      config, pass,
      {options.context, options.horizon, largest_share(policies, config, options), queries});
  return choose_batch_rows(plan, options.memory_bytes, options.horizon) / options.horizon;
}

/// What every arm keeps, layer by layer: the policies' choices.
template <class T>
std::vector<Compression> choose(std::span<const std::unique_ptr<Policy>> policies,
                                std::span<const Arm> arms, const RetainOptions& options,
                                const FullPass<T>& full, PolicyInputs<Cpu, T>& inputs,
                                const MeasuredInfluence& influence, Progress& progress) {
  std::vector<double> compression;  // the share to drop
  for (const std::string& budget : options.budgets) compression.push_back(1 - parse_budget(budget));
  std::vector<Compression> choices(arms.size());
  for (std::size_t a = 0; a < arms.size(); ++a) {
    choices[a].rotates_keys = policies[arms[a].policy]->traits().rotates_keys;
    choices[a].quantization = options.quantization;
  }
  const std::size_t n_layers = full.cache.n_layers();
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    inputs.show(full, layer);
    for (std::size_t p = 0; p < policies.size(); ++p) {
      check_interrupt();
      LayerView view = inputs.view(policies[p]->traits());
      view.influence = influence.of(policies[p]->traits().influence);
      view.seed = options.seed;
      const TokenScores scores = protected_scores(*policies[p], view);
      for (std::size_t a = 0; a < arms.size(); ++a) {
        if (arms[a].policy != p) continue;
        choices[a].layers.push_back(
            policies[p]->select(scores, view.place, compression[arms[a].budget]));
      }
    }
    progress.update(layer + 1);
  }
  return choices;
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

double parse_budget(const std::string& text) {
  double share = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), share);
  if (failure != std::errc() || end != text.data() + text.size() || !(share > 0 && share <= 1)) {
    throw UsageError("--budgets \"" + text +
                     "\": expected the share of the cache to keep, above 0 and at most 1, as in "
                     "0.4");
  }
  return share;
}

void check_retention(const Document& document, const ModelConfig& config,
                     const RetainOptions& options, const RunFile* influence) {
  check_reading(document, config, reading_of(options));
  std::set<std::string> names;
  for (const Arm& arm : arms_of(options)) {
    const std::string name = options.policies[arm.policy] + "@" + options.budgets[arm.budget];
    if (!names.insert(name).second) {
      throw UsageError("--policies and --budgets: expected each once, found " + name + " twice");
    }
  }
  const std::vector<std::unique_ptr<Policy>> policies = make_policies(options);
  for (std::size_t p = 0; p < policies.size(); ++p) {
    try {
      check_prompt(policies[p]->traits(), options.context);
    } catch (const UsageError& error) {
      throw UsageError("--policies " + options.policies[p] + ": " + error.what());
    }
  }
  if (any_needs_influence(policies)) {
    if (influence == nullptr) {
      throw UsageError(
          "--policies oracle: what it keeps by must be measured; give --influence a run file that "
          "`longshadow probe --method sketch` wrote with the same --context");
    }
    influence_of(*influence, document, options.context);
  }
  max_batch(policies, config, options);
}

template <class T>
DocumentRun retain_document(Cpu& cpu, const ProbeModel<T>& model, const Tokenizer& tokenizer,
                            const Document& document, const RetainOptions& options,
                            const RunFile* influence, ProgressStyle progress, std::ostream& log) {
  const ModelConfig& config = model.weights.config;
  check_retention(document, config, options, influence);
  const std::vector<std::unique_ptr<Policy>> policies = make_policies(options);
  std::vector<PolicyTraits> traits;
  for (const auto& policy : policies) traits.push_back(policy->traits());

  PolicyInputs<Cpu, T> inputs(cpu, config, options.context, traits);
  const std::array<FullPassObserver<T>*, 1> observers{&inputs};
  auto [full, run] = run_document_pass<T>(cpu, model.weights, tokenizer, document,
                                          reading_of(options), observers, progress, log);

  const auto entropy = run.signals.entropy_topk.begin();
  inputs.set_entropy({entropy, entropy + static_cast<std::ptrdiff_t>(options.context)});

  const std::vector<Arm> arms = arms_of(options);
  Progress choosing(log, progress, "policies", "layers", config.n_layers);
  const std::vector<Compression> compressions =
      choose(std::span(policies), std::span(arms), options, full, inputs,
             any_needs_influence(policies) ? influence_of(*influence, document, options.context)
                                           : MeasuredInfluence{},
             choosing);

  const std::size_t batch = std::min(max_batch(policies, config, options), arms.size());
  CompressedFuture<Cpu, T> engine(cpu, model.weights, full, options.context, options.horizon,
                                  batch);
  const std::size_t slot_bytes = 2 * config.head_dim * sizeof(T);
  Progress measuring(log, progress, "compressed caches", "caches", arms.size());
  for (std::size_t first = 0; first < arms.size(); first += batch) {
    check_interrupt();
    const std::size_t count = std::min(batch, arms.size() - first);
    std::vector<FutureOnCache> futures = engine.run(std::span(compressions).subspan(first, count));
    for (std::size_t i = 0; i < count; ++i) {
      RunRetention retention;
      retention.policy = options.policies[arms[first + i].policy];
      retention.budget = options.budgets[arms[first + i].budget];
      retention.kept = kept_mask(compressions[first + i], options.context);
      retention.kl = std::move(futures[i].kl);
      retention.top1 = std::move(futures[i].top1);
      retention.surprisal = std::move(futures[i].surprisal);
      retention.bytes_kept = static_cast<std::int64_t>(futures[i].bytes);
      retention.bytes_full = static_cast<std::int64_t>(retention.kept.size() * slot_bytes);
      retention.kv_bits = static_cast<std::int64_t>(
          options.quantization ? options.quantization->bits : 8 * sizeof(T));
      retention.seed = options.seed;
      run.retention.push_back(std::move(retention));
    }
    measuring.update(first + count);
  }
  return std::move(run);
}

template DocumentRun retain_document(Cpu&, const ProbeModel<float>&, const Tokenizer&,
                                     const Document&, const RetainOptions&, const RunFile*,
                                     ProgressStyle, std::ostream&);
template DocumentRun retain_document(Cpu&, const ProbeModel<double>&, const Tokenizer&,
                                     const Document&, const RetainOptions&, const RunFile*,
                                     ProgressStyle, std::ostream&);

}  // namespace longshadow
