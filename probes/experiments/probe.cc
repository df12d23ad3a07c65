#include "probes/experiments/probe.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <numeric>
#include <ostream>
#include <set>
#include <span>
#include <utility>

#include "engine/backend/device.h"
#include "engine/core/error.h"
#include "probes/compression/second_pass.h"
#include "probes/experiments/document_run.h"
#include "probes/measure/activation_tape.h"
#include "probes/measure/direct_engine.h"
#include "probes/runs/interrupt.h"
#include "probes/subjects/policy_subjects.h"
#include "probes/subjects/subjects.h"

namespace longshadow {
namespace {

/// Null counterfactuals per document, at starts spread over those of the subjects.
constexpr std::size_t kMaxNulls = 4;

Reading reading_of(const ProbeOptions& options) {
  return {options.context, options.horizon, options.evict_at, options.entropy_top_k};
}

SubjectRules rules_of(const ProbeOptions& options) {
  return {options.context, options.n_sinks, options.n_recent, options.evict_at, options.seed};
}

std::vector<Counterfactual> counterfactuals_of(std::span<const Subject> subjects,
                                               const CachePart& where,
                                               const ProbeOptions& options) {
  std::vector<Counterfactual> counterfactuals;
  for (const Subject& subject : subjects) {
    Removal removal = subject.by_head.empty() ? Removal(subject.tokens, where)
                                              : Removal(subject.by_head, where.kv_heads.size());
    counterfactuals.push_back(
        {std::move(removal), start_of(options.evict_at, span_of(subject), options.context)});
  }
  return counterfactuals;
}

/// The first position that a counterfactual may measure, whatever the subjects: attention's tiles
/// begin there, and a subject's bits must not depend on what else the run measures.
std::size_t first_start(const ProbeOptions& options) {
  return start_of(options.evict_at, {0, 1}, options.context);
}

/// Describes what a policy evicts: "snapkv@0.2 (147456 of 184320 slots)".
std::string label_of_policy(const Subject& subject, std::size_t context) {
  std::size_t n_evicted = 0;
  for (const auto& ranges : subject.by_head) {
    for (const Range& range : ranges) n_evicted += range.size();
  }
  return subject.group.substr(subject.group.find(':') + 1) + " (" + std::to_string(n_evicted) +
         " of " + std::to_string(subject.by_head.size() * context) + " slots)";
}

/// [L K T] 1 where a slot leaves.
std::vector<std::uint8_t> evicted_mask(const Subject& subject, std::size_t context) {
  std::vector<std::uint8_t> mask(subject.by_head.size() * context);
  for (std::size_t head = 0; head < subject.by_head.size(); ++head) {
    for (const Range& range : subject.by_head[head]) {
      std::fill_n(mask.begin() + std::ptrdiff_t(head * context + range.begin), range.size(), 1);
    }
  }
  return mask;
}

/// The removed text; of a set its pieces, as many as fit a line: "the … of … (12 tokens)".
std::string label_of(const Subject& subject, const RunTokens& tokens) {
  constexpr std::size_t kEnoughBytes = 48;
  std::string label;
  std::size_t n_tokens = 0;
  for (const Range& range : subject.tokens) {
    n_tokens += range.size();
    if (n_tokens > range.size() && label.size() > kEnoughBytes) continue;
    for (std::size_t t = range.begin; t < range.end; ++t) label += tokens.text[t];
    if (range != subject.tokens.back()) label += " …";
  }
  const bool is_set = subject.tokens.size() > 1;
  return is_set ? label + " (" + std::to_string(n_tokens) + " tokens)" : label;
}

RunSubject describe(const Subject& subject, const RunTokens& tokens, std::size_t context) {
  const Range span = span_of(subject);
  RunSubject described{
      static_cast<std::int32_t>(span.begin), static_cast<std::int32_t>(span.end),
      subject.policy ? label_of_policy(subject, context) : label_of(subject, tokens),
      subject.group};
  if (subject.policy) described.evicted = evicted_mask(subject, context);
  if (subject.tokens.size() == 1) return described;
  for (const Range& range : subject.tokens) {
    for (std::size_t t = range.begin; t < range.end; ++t) {
      described.removed.push_back(static_cast<std::int32_t>(t));
    }
  }
  return described;
}

/// All of the influence but what is measured.
RunInfluence describe(std::span<const Subject> subjects,
                      std::span<const Counterfactual> counterfactuals, const RunTokens& tokens,
                      const ProbeOptions& options) {
  RunInfluence influence;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    influence.subjects.push_back(describe(subjects[i], tokens, options.context));
    influence.start.push_back(static_cast<std::int32_t>(counterfactuals[i].start));
  }
  influence.selection = options.screen ? "screen" : options.subjects.text;
  influence.evict_at = options.evict_at.kind == EvictAt::Kind::end ? "end" : "lag";
  influence.lag = static_cast<std::int64_t>(options.evict_at.lag);
  influence.layers = options.layers.text;
  influence.heads = options.heads.text;
  influence.method = name_of(options.method);
  influence.precision = name_of(options.precision);
  influence.seed = options.seed;
  return influence;
}

/// Starts of the subjects in order, each once.
std::vector<std::size_t> distinct_starts(std::span<const Counterfactual> counterfactuals) {
  std::set<std::size_t> starts;
  for (const Counterfactual& one : counterfactuals) starts.insert(one.start);
  return {starts.begin(), starts.end()};
}

/// The largest |KL| that removing nothing seems to cause when attention sums in another order. The
/// differential form turns nothing into exactly 0, whatever the order: its errors are relative.
/// Throws Error where a KL is not a number.
std::vector<double> direct_noise_floor(Device& device, const Weights& weights, const FullPass& full,
                                       std::span<const std::size_t> starts, std::size_t horizon) {
  DirectEngine engine(device, weights, full, horizon, 1, ColumnOrder::reversed);
  const std::size_t nulls = std::min(kMaxNulls, starts.size());
  std::vector<double> floor(horizon);
  std::vector<double> kl_nats(horizon);
  for (std::size_t i = 0; i < nulls; ++i) {
    const std::size_t spread = std::max<std::size_t>(1, nulls - 1);
    const Counterfactual null{Removal(), starts[i * (starts.size() - 1) / spread]};
    engine.run(std::span(&null, 1), kl_nats);
    check_numbers(kl_nats, "the noise floor");
    for (std::size_t h = 0; h < horizon; ++h) {
      floor[h] = std::max(floor[h], std::abs(kl_nats[h]));
    }
  }
  return floor;
}

MemoryDemand demand_of(const ProbeOptions& options) {
  const std::size_t n = tokens_needed(options.evict_at, options.context, options.horizon);
  return {options.precision,
          options.method,
          n,
          n - first_start(options),
          options.sketch.has_value(),
          options.device,
          options.policies && need_queries(options.policies->policies) ? options.context : 0};
}

std::size_t sketch_rows(const ModelConfig& config, const ProbeOptions& options) {
  const SketchOptions& sketch = *options.sketch;
  const std::size_t n_kept = sketch.keeps_projections ? sketch.bins.size() * sketch.n_probes : 0;
  return choose_batch_rows(
      plan_sketch_memory(config, demand_of(options), {options.context, sketch.n_probes, n_kept}),
      options.memory_bytes, options.horizon);
}

std::vector<Subject> subjects_of(std::span<const ScreenedToken> screened) {
  std::vector<Subject> subjects;
  for (const ScreenedToken& one : screened) {
    subjects.push_back({{{one.token, one.token + 1}}, one.group});
  }
  return subjects;
}

/// The subjects of a document, or those that its sketch chooses.
class DocumentProbe final : public Measurement {
 public:
  DocumentProbe(Device& device, const ProbeModel& model, const Tokenizer& tokenizer,
                const Document& document, std::vector<Subject> subjects,
                const ProbeOptions& options, const RunSketch* sketch, ProgressStyle progress,
                std::ostream& log)
      : device_(device),
        model_(model),
        options_(options),
        room_(divide_memory(model.weights.config, options)),
        stretch_(stretch_from(first_start(options))),
        tape_(make_tape()),
        subjects_(std::move(subjects)),
        policies_(make_policies()),
        full_(run_full_pass(tokenizer, document, progress, log)) {
    if (options.sketch) take_sketch(sketch, progress, log);
    resolve_subjects(progress, log);
    policies_.reset();
  }

  DocumentRun pass() override {
    // Handed over, not copied: its projections may be large.
    std::optional<RunSketch> sketch = std::exchange(run_.sketch, std::nullopt);
    DocumentRun run = run_;
    run.sketch = std::move(sketch);
    if (counterfactuals_.empty()) return run;
    run.complete = false;
    run.influence.noise_floor =
        options_.method == Method::direct
            ? direct_noise_floor(device_, model_.weights, *full_, distinct_starts(counterfactuals_),
                                 options_.horizon)
            : std::vector<double>(options_.horizon);
    return run;
  }

  std::size_t n_units() const override { return counterfactuals_.size(); }
  std::size_t n_values() const override {
    return values_of_counterfactual(model_.weights.config, options_);
  }
  std::size_t max_batch() const override {
    return std::min(room_.batch_rows / options_.horizon, counterfactuals_.size());
  }
  std::pair<std::string, std::string> title() const override {
    return {"counterfactuals", kSubjectUnits};
  }

  /// The first measure() prepares: not until then is it known which stretch the tape has to hold.
  void prepare(UnitRange) override {}

  void measure(std::span<const std::size_t> units, std::span<double> values) override {
    std::vector<std::size_t> order(units.size());  // of places in `units`, by their starts
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto start = [&](std::size_t place) { return counterfactuals_[units[place]].start; };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return start(a) < start(b); });
    for (std::size_t first = 0, end = 0; first < order.size(); first = end) {
      go_to(start(order[first]));
      std::vector<Counterfactual> batch;
      for (; end < order.size() && start(order[end]) + options_.horizon <= stretch_.end; ++end) {
        batch.push_back(counterfactuals_[units[order[end]]]);
      }
      std::vector<double> kl_nats(batch.size() * options_.horizon);
      std::vector<double> rerouted(batch.size() * n_rerouted());
      prepared_->engine->run(batch, kl_nats, rerouted);
      check_numbers(kl_nats, run_.name + ", influence");
      for (std::size_t i = 0; i < batch.size(); ++i) {
        const auto value =
            std::copy_n(kl_nats.begin() + std::ptrdiff_t(i * options_.horizon), options_.horizon,
                        values.begin() + std::ptrdiff_t(order[first + i] * n_values()));
        std::copy_n(rerouted.begin() + std::ptrdiff_t(i * n_rerouted()), n_rerouted(), value);
      }
    }
  }

  DocumentRun results(std::vector<double> values) const override {
    DocumentRun run;
    run.name = run_.name;
    for (auto unit = values.begin(); unit != values.end();) {
      const auto end_of_kl = unit + std::ptrdiff_t(options_.horizon);
      run.influence.kl.insert(run.influence.kl.end(), unit, end_of_kl);
      unit = end_of_kl + std::ptrdiff_t(n_rerouted());
      std::transform(end_of_kl, unit, std::back_inserter(run.influence.rerouted),
                     [](double share) { return static_cast<float>(share); });
    }
    return run;
  }

 private:
  /// Shares of positions that a unit gives behind its influence.
  std::size_t n_rerouted() const { return n_values() - options_.horizon; }

  /// The positions to have activations of where a future begins at `start`: from a tile of rows on
  /// that begins where it would if there were all.
  Range stretch_from(std::size_t start) const {
    const std::size_t n = tokens_needed(options_.evict_at, options_.context, options_.horizon);
    const std::size_t first = first_start(options_);
    const std::size_t begin = first + (start - first) / kRowTile * kRowTile;
    return {begin, std::min(begin + room_.tape_rows, n)};
  }

  std::unique_ptr<ActivationTape> make_tape() const {
    if (options_.method != Method::differential) return {};
    const std::size_t row_tiles_before = (stretch_.begin - first_start(options_)) / kRowTile;
    return std::make_unique<ActivationTape>(device_, model_.weights, stretch_, row_tiles_before);
  }

  /// Makes ready for futures that begin at `start` and after it.
  void go_to(std::size_t start) {
    if (start < stretch_.begin || start + options_.horizon > stretch_.end) read_again(start);
    if (prepared_) return;
    prepared_.emplace(
        make_engine(device_, model_, *full_, tape_.get(), options_.horizon, max_batch()));
  }

  /// Runs the full pass once more, for the activations of another stretch of the document.
  void read_again(std::size_t start) {
    prepared_.reset();
    tape_.reset();
    full_.reset();
    stretch_ = stretch_from(start);
    tape_ = make_tape();
    LayerObserver* const observer = tape_.get();
    FullPassOptions pass;
    pass.entropy_top_k = options_.entropy_top_k;
    pass.progress = [](std::size_t) { check_interrupt(); };
    full_.emplace(longshadow::run_full_pass(device_, model_.weights,
                                            std::span<const std::int32_t>(run_.tokens.id),
                                            std::span(&observer, 1), pass));
  }

  FullPass run_full_pass(const Tokenizer& tokenizer, const Document& document,
                         ProgressStyle progress, std::ostream& log) {
    std::vector<LayerObserver*> observers;
    if (tape_) observers.push_back(tape_.get());
    if (policies_) observers.push_back(&policies_->observer());
    DocumentPass pass = run_document_pass(device_, model_.weights, tokenizer, document,
                                          reading_of(options_), observers, progress, log);
    run_ = std::move(pass.run);
    return std::move(pass.full);
  }

  /// `known`, or a new one.
  void take_sketch(const RunSketch* known, ProgressStyle progress, std::ostream& log) {
    if (known) {
      run_.sketch = *known;
      return;
    }
    const std::size_t n_probes = options_.sketch->bins.size() * options_.sketch->n_probes;
    Progress sketching(log, progress, "sketch", "probes", n_probes);
    run_.sketch = sketch_document(device_, model_, *full_, *tape_, *options_.sketch,
                                  sketch_rows(model_.weights.config, options_), sketching);
  }

  /// Nothing where no subject names a policy.
  std::optional<PolicySubjects> make_policies() const {
    const bool any_named = std::any_of(subjects_.begin(), subjects_.end(),
                                       [](const Subject& one) { return one.policy.has_value(); });
    if (!any_named) return std::nullopt;
    return std::optional<PolicySubjects>(
        std::in_place, device_, model_.weights, subjects_, *options_.policies, rules_of(options_),
        tokens_needed(options_.evict_at, options_.context, options_.horizon));
  }

  /// Finds the tokens of the subjects by what the full pass and the sketch tell.
  void resolve_subjects(ProgressStyle progress, std::ostream& log) {
    if (options_.sketch && !options_.screen) return;
    if (options_.screen) {
      subjects_ =
          subjects_of(screen(*run_.sketch, options_.context, *options_.screen, options_.seed));
    }
    const CachePart where = cache_part(options_.layers, options_.heads, model_.weights.config);
    resolve_ranks(subjects_, run_.signals, rules_of(options_));
    if (policies_) policies_->resolve(subjects_, *full_, run_.signals, where, progress, log);
    counterfactuals_ = counterfactuals_of(subjects_, where, options_);
    run_.influence = describe(subjects_, counterfactuals_, run_.tokens, options_);
  }

  Device& device_;
  const ProbeModel& model_;
  const ProbeOptions options_;
  const ProbeRoom room_;
  Range stretch_;                         ///< positions of which there are activations
  std::unique_ptr<ActivationTape> tape_;  ///< for the differential form
  DocumentRun run_;
  std::vector<Subject> subjects_;
  std::optional<PolicySubjects> policies_;  ///< until the subjects are chosen
  std::optional<FullPass> full_;
  std::vector<Counterfactual> counterfactuals_;  ///< [n_units]
  std::optional<PreparedEngine> prepared_;
};

}  // namespace

std::vector<Subject> choose_subjects(const Document& document, const ModelConfig& config,
                                     const ProbeOptions& options) {
  check_reading(document, config, reading_of(options));
  std::vector<Subject> subjects;
  if (!options.sketch) subjects = choose_subjects(options.subjects, document, rules_of(options));
  cache_part(options.layers, options.heads, config);
  if (options.policies) {
    for (const auto& policy : options.policies->policies) {
      check_windows(policy->traits(), config,
                    tokens_needed(options.evict_at, options.context, options.horizon));
      check_second_pass(*policy, document.ids(options.context), config);
    }
  }
  if (options.sketch) sketch_rows(config, options);
  divide_memory(config, options);
  return subjects;
}

ProbeRoom divide_memory(const ModelConfig& config, const ProbeOptions& options) {
  const std::size_t horizon = options.horizon;
  MemoryDemand demand = demand_of(options);
  const std::size_t all_rows = demand.tape_rows;
  MemoryPlan plan = plan_memory(config, demand);
  // A sketch goes back through all positions at once.
  const bool is_whole =
      options.method == Method::direct || options.sketch || options.memory_bytes == 0 ||
      options.memory_bytes >= plan.fixed_bytes() + horizon * plan.bytes_per_batch_row;
  if (is_whole) return {plan, choose_batch_rows(plan, options.memory_bytes, horizon), all_rows, 1};

  demand.tape_rows = std::min(all_rows, horizon + kRowTile);
  plan = plan_memory(config, demand);
  const std::size_t most_rows = choose_batch_rows(plan, options.memory_bytes, horizon);
  const std::size_t spare = options.memory_bytes - plan.fixed_bytes();
  const std::size_t batch_rows = std::min(
      most_rows, std::max(horizon, spare / 2 / plan.bytes_per_batch_row / horizon * horizon));
  demand.tape_rows += (spare - batch_rows * plan.bytes_per_batch_row) / plan.bytes_per_tape_row;
  demand.tape_rows = std::min(demand.tape_rows, all_rows);
  // Of a stretch, the last futures begin H before its end; the next one begins a tile of rows or
  // less before that.
  const std::size_t starts = all_rows - horizon + 1;
  const std::size_t starts_of_stretch = demand.tape_rows - horizon - kRowTile + 1;
  return {plan_memory(config, demand), batch_rows, demand.tape_rows,
          1 + (starts - 1) / starts_of_stretch};
}

std::size_t values_of_counterfactual(const ModelConfig& config, const ProbeOptions& options) {
  return options.horizon + (config.experts.count == 0 ? 0 : config.n_layers);
}

std::unique_ptr<Measurement> begin_probe(Device& device, const ProbeModel& model,
                                         const Tokenizer& tokenizer, const Document& document,
                                         std::vector<Subject> subjects, const ProbeOptions& options,
                                         const RunSketch* sketch, ProgressStyle progress,
                                         std::ostream& log) {
  return std::make_unique<DocumentProbe>(device, model, tokenizer, document, std::move(subjects),
                                         options, sketch, progress, log);
}

DocumentRun probe_document(Device& device, const ProbeModel& model, const Tokenizer& tokenizer,
                           const Document& document, const ProbeOptions& options,
                           ProgressStyle progress, std::ostream& log) {
  DocumentProbe probe(device, model, tokenizer, document,
                      choose_subjects(document, model.weights.config, options), options, nullptr,
                      progress, log);
  return measure_all(probe, progress, log);
}

}  // namespace longshadow
