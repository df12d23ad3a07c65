#include "tests/support/synthetic_run.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <string>

#include "data/format/schema.h"
#include "data/format/sentences.h"
#include "engine/core/sha256.h"

namespace longshadow::test {

namespace {

constexpr std::size_t kLayers = 3;
constexpr std::size_t kKvHeads = 2;

/// Uniform in [0, 1). The standard's distributions differ between libraries; its engine does not.
double uniform(std::mt19937& random) { return static_cast<double>(random()) / 4294967296.0; }

RunTokens synthetic_tokens(std::size_t n, std::mt19937& random) {
  RunTokens tokens;
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i < n; ++i) {
    tokens.id.push_back(static_cast<std::int32_t>(random() % 49152));
    tokens.text.push_back(i % 7 == 0 ? " caf\u00e9" : " w" + std::to_string(i));
    tokens.bytes.push_back({begin, begin + tokens.text.back().size()});
    tokens.upos.push_back(static_cast<std::uint8_t>(i % schema::kUniversalTags.size()));
    const bool in_word = tokens.upos.back() != schema::kUniversalTags.size() - 1;
    tokens.word.push_back(in_word ? static_cast<std::int32_t>(i / 2) : schema::kNoWord);
    begin = tokens.bytes.back()[1];
  }
  return tokens;
}

RunSignals synthetic_signals(std::size_t n, std::size_t context, std::mt19937& random) {
  RunSignals signals;
  signals.entropy_k = 20;
  for (std::size_t i = 0; i < n; ++i) {
    const auto entropy = static_cast<float>(6.0 * uniform(random));
    signals.entropy.push_back(entropy);
    signals.entropy_topk.push_back(0.6f * entropy);
    signals.surprisal.push_back(i == 0 ? std::numeric_limits<float>::quiet_NaN()
                                       : static_cast<float>(-std::log(1.0 - uniform(random))));
  }
  for (std::size_t l = 0; l < kLayers; ++l) {
    for (std::size_t i = 0; i < n; ++i) {
      signals.drift.push_back(static_cast<float>((0.8 + 0.2 * uniform(random)) / double(l + 1)));
    }
  }
  for (std::size_t row = 0; row < kLayers * kKvHeads; ++row) {
    for (std::size_t i = 0; i < n; ++i) {
      const bool inside = i < context;
      const double weight = std::exp(-7.0 + 2.0 * uniform(random)) + (i == 0 ? 0.5 : 0.0);
      signals.attention_window.push_back(inside ? static_cast<float>(weight) : 0.0f);
      signals.attention_cumulative.push_back(inside ? static_cast<float>(weight / 2) : 0.0f);
    }
  }
  return signals;
}

/// Mean over layers and heads of the weight on token i.
double mean_attention(const RunSignals& signals, std::size_t n, std::size_t i) {
  double sum = 0;
  for (std::size_t row = 0; row < kLayers * kKvHeads; ++row) {
    sum += signals.attention_window[row * n + i];
  }
  return sum / (kLayers * kKvHeads);
}

/// KL(i, j) = strength_i (j - i)^-1.2 with a little noise: strength grows with what the model did
/// not expect at i (entropy before it) and with attention; one value in a hundred is under the
/// floor.
RunInfluence synthetic_influence(const SyntheticOptions& options, const RunSignals& signals,
                                 std::mt19937& random) {
  RunInfluence influence;
  const std::size_t n = options.n_tokens;
  const std::int64_t last_start = static_cast<std::int64_t>(n - options.horizon);
  const std::int64_t candidates =
      options.lag < 0 ? options.context : std::min(options.context, last_start - options.lag);
  std::vector<std::int32_t> positions(static_cast<std::size_t>(candidates));
  std::iota(positions.begin(), positions.end(), 0);
  for (std::size_t i = positions.size(); i-- > 1;) {
    std::swap(positions[i], positions[random() % (i + 1)]);
  }
  positions.resize(options.n_subjects);
  positions[0] = 0;  // a sink is always among the subjects
  std::sort(positions.begin(), positions.end());
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());

  for (const std::int32_t i : positions) {
    const auto at = static_cast<std::size_t>(i);
    const std::int64_t start = options.lag < 0 ? options.context : i + options.lag + 1;
    influence.subjects.push_back({i, i + 1, " w" + std::to_string(i), "sample"});
    influence.start.push_back(static_cast<std::int32_t>(start));
    const double before = i == 0 ? 0.0 : signals.entropy[at - 1];
    const double strength = 1e-3 * std::exp(0.8 * before) * mean_attention(signals, n, at);
    for (std::size_t h = 0; h < options.horizon; ++h) {
      const double distance = static_cast<double>(start - i) + static_cast<double>(h);
      const double noise = std::exp(4.0 * (uniform(random) - 0.5));
      const bool lost = uniform(random) < 0.01;
      influence.kl.push_back(lost ? 0.5 * options.noise_floor
                                  : strength * std::pow(distance, -1.2) * noise);
    }
  }
  for (std::size_t s = 0; s < options.n_sets; ++s) {
    std::vector<std::int32_t> removed;
    for (std::int32_t i = 10; i < candidates - 20; i += 9) removed.push_back(i);
    const std::int32_t end = removed.back() + 1;
    const std::int64_t start = options.lag < 0 ? options.context : end + options.lag;
    influence.subjects.push_back(
        {removed.front(), end, "a set", s % 2 == 0 ? "top:drift:11%" : "top:random:11%", removed});
    if (s == 2) {  // as a policy's: from the first layer's first head alone
      std::vector<std::uint8_t>& evicted = influence.subjects.back().evicted;
      evicted.resize(kLayers * kKvHeads * static_cast<std::size_t>(options.context));
      for (const std::int32_t i : removed) evicted[static_cast<std::size_t>(i)] = 1;
    }
    influence.start.push_back(static_cast<std::int32_t>(start));
    for (std::size_t h = 0; h < options.horizon; ++h) {
      influence.kl.push_back(1e-3 * std::pow(static_cast<double>(h + 1), -0.5));
    }
  }
  if (options.has_experts) {
    for (std::size_t i = 0; i < influence.subjects.size() * kLayers; ++i) {
      influence.rerouted.push_back(static_cast<float>(i % 17) / 16);
    }
  }
  influence.noise_floor.assign(options.horizon, options.noise_floor);
  influence.selection = "sample:" + std::to_string(options.n_subjects);
  influence.evict_at = options.lag < 0 ? "end" : "lag";
  influence.lag = std::max<std::int64_t>(0, options.lag);
  influence.method = "direct";
  influence.precision = "f32";
  influence.seed = options.seed;
  return influence;
}

/// Sentences of 5 to 24 tokens, the last one cut off.
void add_sentences(RunTokens& tokens, std::mt19937& random) {
  const std::size_t n = tokens.id.size();
  for (std::int32_t sentence = 0; tokens.sentence.size() < n; ++sentence) {
    const std::size_t length = 5 + random() % 20;
    tokens.sentence.resize(std::min(n, tokens.sentence.size() + length), sentence);
  }
}

/// In the place of tokens every sentence that leaves its horizon within the text: KL(s, j) =
/// strength_s d^-0.8 with a little noise, where d is the distance to the sentence's last token and
/// strength_s from 1e-4 to 1e-2 nats.
void remove_sentences(const SyntheticOptions& options, const RunTokens& tokens,
                      RunInfluence& influence, std::mt19937& random) {
  const auto n_sets = static_cast<std::ptrdiff_t>(options.n_sets);
  const auto n_kl = n_sets * static_cast<std::ptrdiff_t>(options.horizon);
  influence.subjects.erase(influence.subjects.begin(), influence.subjects.end() - n_sets);
  influence.start.erase(influence.start.begin(), influence.start.end() - n_sets);
  influence.kl.erase(influence.kl.begin(), influence.kl.end() - n_kl);
  const std::vector<std::int32_t> bounds = sentence_bounds(tokens);
  for (std::size_t k = 0; k + 1 < bounds.size() && bounds[k + 1] <= options.context; ++k) {
    const std::int64_t start = options.lag < 0 ? options.context : bounds[k + 1] + options.lag;
    if (static_cast<std::size_t>(start) + options.horizon > options.n_tokens) break;
    std::string label;
    for (std::int32_t i = bounds[k]; i < bounds[k + 1]; ++i) {
      label += tokens.text[static_cast<std::size_t>(i)];
    }
    influence.subjects.push_back({bounds[k], bounds[k + 1], label, schema::kSentenceGroup});
    influence.start.push_back(static_cast<std::int32_t>(start));
    const double strength = 1e-4 * std::exp(4.6 * uniform(random));
    for (std::size_t h = 0; h < options.horizon; ++h) {
      const double distance =
          static_cast<double>(start - bounds[k + 1] + 1) + static_cast<double>(h);
      influence.kl.push_back(strength * std::pow(distance, -0.8) * std::exp(uniform(random) - 0.5));
    }
  }
  influence.selection = "sentence:all";
}

/// Estimates that fall with the token's distance from the context's end, and their layers' and
/// heads' shares.
RunSketch synthetic_sketch(const SyntheticOptions& options, bool by_head, std::mt19937& random) {
  RunSketch sketch;
  sketch.bins = {{0, 16}, {16, static_cast<std::int32_t>(options.horizon)}};
  sketch.detail = by_head ? "head" : "layer";
  sketch.probe_kind = "signs";
  sketch.probes = 16;
  sketch.seed = options.seed;
  const std::size_t n_parts = by_head ? kLayers * kKvHeads : kLayers;
  for (std::size_t bin = 0; bin < sketch.bins.size(); ++bin) {
    for (std::int64_t i = 0; i < options.context; ++i) {
      const auto distance = static_cast<double>(options.context - i);
      const double nats = 1e-3 * std::exp(4 * uniform(random)) / distance / double(bin + 1);
      sketch.fi.push_back(static_cast<float>(nats));
      sketch.standard_error.push_back(static_cast<float>(0.35 * nats));
    }
    for (std::size_t part = 0; part < n_parts; ++part) {
      for (std::int64_t i = 0; i < options.context; ++i) {
        sketch.fi_parts.push_back(static_cast<float>(1e-5 * uniform(random)));
      }
    }
  }
  if (by_head) {
    const auto n_values = sketch.bins.size() * static_cast<std::size_t>(sketch.probes) * n_parts *
                          static_cast<std::size_t>(options.context);
    for (std::size_t i = 0; i < n_values; ++i) {
      sketch.projections.push_back(static_cast<float>(std::sin(static_cast<double>(i))));
    }
  }
  return sketch;
}

/// A policy that keeps the share `budget` of the slots, spread over the context in an order of its
/// own, and whose KL is damage / budget on average, growing towards the horizon.
RunRetention synthetic_retention(const SyntheticOptions& options, const RunSignals& signals,
                                 std::size_t policy, double budget, double damage,
                                 std::mt19937& random) {
  RunRetention retention;
  const auto context = static_cast<std::size_t>(options.context);
  const auto n_kept = static_cast<std::size_t>(static_cast<double>(context) * budget);
  for (std::size_t row = 0; row < kLayers * kKvHeads; ++row) {
    for (std::size_t i = 0; i < context; ++i) {
      // 37 has no divisor in common with the contexts that tests ask for: every rank comes once.
      const std::size_t rank = (37 * i + 101 * policy + 13 * row) % context;
      retention.kept.push_back(rank < n_kept ? 1 : 0);
    }
  }
  for (std::size_t h = 0; h < options.horizon; ++h) {
    const double growth = 0.5 + static_cast<double>(h) / static_cast<double>(options.horizon);
    const double kl = damage / budget * growth * (0.5 + uniform(random));
    const std::size_t next = context + h + 1;
    retention.kl.push_back(kl);
    retention.top1.push_back(uniform(random) > kl ? 1 : 0);
    retention.surprisal.push_back(h + 1 < options.horizon
                                      ? signals.surprisal[next] + static_cast<float>(kl)
                                      : std::numeric_limits<float>::quiet_NaN());
  }
  retention.bytes_full = static_cast<std::int64_t>(2 * kLayers * kKvHeads * context * 8 * 4);
  retention.bytes_kept = static_cast<std::int64_t>(2 * kLayers * kKvHeads * n_kept * 8 * 4);
  retention.kv_bits = 32;
  retention.seed = options.seed;
  return retention;
}

std::vector<RunRetention> synthetic_retentions(const SyntheticOptions& options,
                                               const RunSignals& signals, std::mt19937& random) {
  struct Made {
    const char* policy;
    double damage;
  };
  const std::vector<Made> policies = {
      {"adakv/snapkv", 0.03}, {"oracle", 0.01}, {"random", 0.2}, {"snapkv", 0.04}};
  std::vector<RunRetention> retentions;
  for (std::size_t p = 0; p < policies.size(); ++p) {
    for (const char* budget : {"0.2", "0.4"}) {
      retentions.push_back(
          synthetic_retention(options, signals, p, std::atof(budget), policies[p].damage, random));
      retentions.back().policy = policies[p].policy;
      retentions.back().budget = budget;
    }
  }
  return retentions;
}

}  // namespace

RunFile synthetic_run(const SyntheticOptions& options) {
  RunFile run;
  run.tool_version = "0.0.0-test";
  run.configuration = R"({"seed":)" + std::to_string(options.seed) + "}";
  run.configuration_hash = sha256_hex(std::as_bytes(std::span(run.configuration)));
  run.model = {"synthetic", "llama", kLayers, 6, kKvHeads, 8, 48, 49152, std::string(64, '1')};
  std::mt19937 random(static_cast<std::uint32_t>(options.seed));
  for (std::size_t d = 0; d < options.n_documents; ++d) {
    DocumentRun document;
    document.name = "document_" + std::to_string(d + 1);
    document.source_sha256 = std::string(64, '2');
    document.context_tokens = options.context;
    document.future_tokens = static_cast<std::int64_t>(options.horizon);
    document.tokens = synthetic_tokens(options.n_tokens, random);
    document.signals =
        synthetic_signals(options.n_tokens, static_cast<std::size_t>(options.context), random);
    document.influence = synthetic_influence(options, document.signals, random);
    if (options.has_sentences) {
      add_sentences(document.tokens, random);
      remove_sentences(options, document.tokens, document.influence, random);
    }
    if (options.has_sketch) document.sketch = synthetic_sketch(options, d % 2 == 1, random);
    if (options.has_retention) {
      document.retention = synthetic_retentions(options, document.signals, random);
    }
    run.documents.push_back(std::move(document));
  }
  return run;
}

}  // namespace longshadow::test
