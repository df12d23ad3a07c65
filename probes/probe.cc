#include "probes/probe.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <ostream>
#include <set>
#include <span>
#include <utility>

#include "engine/core/error.h"
#include "probes/activation_tape.h"
#include "probes/direct_engine.h"
#include "probes/document_run.h"
#include "probes/interrupt.h"
#include "probes/subjects.h"

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
    counterfactuals.push_back({Removal(subject.tokens, where),
                               start_of(options.evict_at, span_of(subject), options.context)});
  }
  return counterfactuals;
}

/// The first position that a counterfactual may measure, whatever the subjects: attention's tiles
/// begin there, and a subject's bits must not depend on what else the run measures.
std::size_t first_start(const ProbeOptions& options) {
  return start_of(options.evict_at, {0, 1}, options.context);
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

RunSubject describe(const Subject& subject, const RunTokens& tokens) {
  const Range span = span_of(subject);
  RunSubject described{static_cast<std::int32_t>(span.begin), static_cast<std::int32_t>(span.end),
                       label_of(subject, tokens), subject.group};
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
    influence.subjects.push_back(describe(subjects[i], tokens));
    influence.start.push_back(static_cast<std::int32_t>(counterfactuals[i].start));
  }
  influence.selection = options.screen ? "screen" : options.subjects;
  influence.evict_at = options.evict_at.kind == EvictAt::Kind::end ? "end" : "lag";
  influence.lag = static_cast<std::int64_t>(options.evict_at.lag);
  influence.layers = options.layers;
  influence.heads = options.heads;
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
template <class T>
std::vector<double> direct_noise_floor(Cpu& cpu, const Weights<T>& weights, const FullPass<T>& full,
                                       std::span<const std::size_t> starts, std::size_t horizon) {
  DirectEngine<Cpu, T> engine(cpu, weights, full, horizon, 1, ColumnOrder::reversed);
  const std::size_t nulls = std::min(kMaxNulls, starts.size());
  std::vector<double> floor(horizon);
  std::vector<double> kl_nats(horizon);
  for (std::size_t i = 0; i < nulls; ++i) {
    const std::size_t spread = std::max<std::size_t>(1, nulls - 1);
    const Counterfactual null{Removal(), starts[i * (starts.size() - 1) / spread]};
    engine.run(std::span(&null, 1), kl_nats);
    for (std::size_t h = 0; h < horizon; ++h) {
      floor[h] = std::max(floor[h], std::abs(kl_nats[h]));
    }
  }
  return floor;
}

MemoryDemand demand_of(const ProbeOptions& options) {
  const std::size_t n = tokens_needed(options.evict_at, options.context, options.horizon);
  return {options.precision, options.method, n, n - first_start(options),
          options.sketch.has_value()};
}

std::size_t sketch_rows(const ModelConfig& config, const ProbeOptions& options) {
  return choose_batch_rows(
      plan_sketch_memory(config, demand_of(options), options.context, options.sketch->n_probes),
      options.memory_bytes, options.horizon);
}

std::vector<Subject> subjects_of(std::span<const ScreenedToken> screened) {
  std::vector<Subject> subjects;
  for (const ScreenedToken& one : screened) {
    subjects.push_back({{{one.token, one.token + 1}}, one.group});
  }
  return subjects;
}

/// [subjects, H] nats, in batches as large as the memory allows.
template <class T>
std::vector<double> measure(Cpu& cpu, const ProbeModel<T>& model, const FullPass<T>& full,
                            const ActivationTape<Cpu, T>* tape,
                            std::span<const Counterfactual> counterfactuals,
                            const ProbeOptions& options, Progress& progress) {
  const std::size_t horizon = options.horizon;
  const MemoryPlan plan = plan_memory(model.weights.config, demand_of(options));
  const std::size_t max_batch = std::min(
      choose_batch_rows(plan, options.memory_bytes, horizon) / horizon, counterfactuals.size());
  const PreparedEngine prepared =
      make_engine(cpu, model, full, tape, options.precision, horizon, max_batch);
  std::vector<double> kl_nats(counterfactuals.size() * horizon);
  for (std::size_t first = 0; first < counterfactuals.size(); first += max_batch) {
    check_interrupt();
    const std::size_t count = std::min(max_batch, counterfactuals.size() - first);
    prepared.engine->run(counterfactuals.subspan(first, count),
                         std::span(kl_nats).subspan(first * horizon, count * horizon));
    progress.update(first + count);
  }
  return kl_nats;
}

}  // namespace

void check_document(const Document& document, const ModelConfig& config,
                    const ProbeOptions& options) {
  check_reading(document, config, reading_of(options));
  parse_subjects(options.subjects, document, rules_of(options));
  parse_cache_part(options.layers, options.heads, config);
  if (options.sketch) sketch_rows(config, options);
  choose_batch_rows(plan_memory(config, demand_of(options)), options.memory_bytes, options.horizon);
}

template <class T>
DocumentRun probe_document(Cpu& cpu, const ProbeModel<T>& model, const Tokenizer& tokenizer,
                           const Document& document, const ProbeOptions& options,
                           ProgressStyle progress, std::ostream& log) {
  const ModelConfig& config = model.weights.config;
  check_document(document, config, options);
  const std::size_t n = tokens_needed(options.evict_at, options.context, options.horizon);
  const SubjectRules rules = rules_of(options);
  std::vector<Subject> subjects = parse_subjects(options.subjects, document, rules);

  std::vector<FullPassObserver<T>*> observers;
  std::unique_ptr<ActivationTape<Cpu, T>> tape;
  if (options.method == Method::differential) {
    tape = std::make_unique<ActivationTape<Cpu, T>>(cpu, config, first_start(options), n);
    observers.push_back(tape.get());
  }
  auto [full, run] = run_document_pass<T>(cpu, model.weights, tokenizer, document,
                                          reading_of(options), observers, progress, log);

  if (options.sketch) {
    const std::size_t n_probes = options.sketch->bins.size() * options.sketch->n_probes;
    Progress sketching(log, progress, "sketch", "probes", n_probes);
    run.sketch = sketch_document(cpu, model, full, *tape, options.precision, *options.sketch,
                                 sketch_rows(config, options), sketching);
    if (!options.screen) return std::move(run);
    subjects = subjects_of(screen(*run.sketch, options.context, *options.screen, options.seed));
  }
  resolve_ranks(subjects, run.signals, rules);
  const CachePart where = parse_cache_part(options.layers, options.heads, config);
  const std::vector<Counterfactual> counterfactuals = counterfactuals_of(subjects, where, options);
  run.influence = describe(subjects, counterfactuals, run.tokens, options);
  Progress measuring(log, progress, "counterfactuals", "subjects", subjects.size());
  run.influence.kl = measure(cpu, model, full, tape.get(), counterfactuals, options, measuring);
  run.influence.noise_floor =
      options.method == Method::direct
          ? direct_noise_floor(cpu, model.weights, full, distinct_starts(counterfactuals),
                               options.horizon)
          : std::vector<double>(options.horizon);
  return std::move(run);
}

template DocumentRun probe_document(Cpu&, const ProbeModel<float>&, const Tokenizer&,
                                    const Document&, const ProbeOptions&, ProgressStyle,
                                    std::ostream&);
template DocumentRun probe_document(Cpu&, const ProbeModel<double>&, const Tokenizer&,
                                    const Document&, const ProbeOptions&, ProgressStyle,
                                    std::ostream&);

}  // namespace longshadow
