#include "probes/experiments/document_run.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <vector>

#include "engine/backend/device.h"
#include "engine/core/error.h"
#include "engine/core/sha256.h"
#include "probes/gather/signals.h"
#include "probes/runs/interrupt.h"
#include "probes/runs/measurement.h"

namespace longshadow {
namespace {

/// "context 100 and future 20 need 136 tokens, but "
std::string asked_for(const Reading& reading, std::size_t needed) {
  return "context " + std::to_string(reading.context) + " and future " +
         std::to_string(reading.horizon) + " need " + std::to_string(needed) + " tokens, but ";
}

}  // namespace

void check_entropy_top_k(std::size_t k, const ModelConfig& config) {
  if (k == 0 || k > config.vocab_size) {
    throw UsageError("`entropy_top_k`: expected between 1 and the vocabulary's " +
                     std::to_string(config.vocab_size));
  }
}

std::size_t tokens_of_reading(const ModelConfig& config, const Reading& reading) {
  const std::size_t longest = std::max({reading.context, reading.horizon, reading.evict_at.lag});
  if (longest > config.max_context) return config.max_context;  // their sum could overflow
  return std::min(tokens_needed(reading.evict_at, reading.context, reading.horizon),
                  config.max_context);
}

void check_lengths(const ModelConfig& config, const Reading& reading) {
  if (reading.context == 0 || reading.horizon == 0) {
    throw UsageError("`context` and `future`: expected at least 1 token each");
  }
  const std::size_t longest = std::max({reading.context, reading.horizon, reading.evict_at.lag});
  if (longest > config.max_context) {  // before their sum could overflow
    throw UsageError(std::to_string(longest) + " tokens are asked for, but " +
                     describe_max_context(config));
  }
  const std::size_t needed = tokens_needed(reading.evict_at, reading.context, reading.horizon);
  if (needed > config.max_context) {
    throw UsageError(asked_for(reading, needed) + describe_max_context(config));
  }
}

void check_ids(std::span<const TokenId> ids, const ModelConfig& config, const std::string& what) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (static_cast<std::size_t>(ids[i]) >= config.vocab_size) {
      throw Error(what + ": token " + std::to_string(i) + " has the id " + std::to_string(ids[i]) +
                  ", and the model embeds the ids below " + std::to_string(config.vocab_size) +
                  "; leave it out of the text");
    }
  }
}

void check_reading(const Document& document, const ModelConfig& config, const Reading& reading) {
  check_lengths(config, reading);
  const std::size_t needed = tokens_needed(reading.evict_at, reading.context, reading.horizon);
  if (document.tokens.size() < needed) {
    throw UsageError(document.name + ": " + asked_for(reading, needed) + "the document has " +
                     std::to_string(document.tokens.size()));
  }
  check_ids(document.ids(needed), config, document.name);
  check_entropy_top_k(reading.entropy_top_k, config);
}

RunFile begin_run(RunModel model, const nlohmann::json& configuration) {
  RunFile run;
  run.tool_version = LONGSHADOW_VERSION;
  run.model = std::move(model);
  run.configuration = configuration.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  run.configuration_hash = sha256_hex(std::as_bytes(std::span(run.configuration)));
  return run;
}

RunModel describe(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  const auto count = [](std::size_t value) { return static_cast<std::int64_t>(value); };
  constexpr std::size_t kMostTokens = std::numeric_limits<std::int32_t>::max();
  std::vector<std::int32_t> windows;
  for (const std::size_t window : config.windows)
    windows.push_back(static_cast<std::int32_t>(std::min<std::size_t>(window, kMostTokens)));
  return {config.name,
          name_of(config.architecture),
          count(config.n_layers),
          count(config.n_heads),
          count(config.n_kv_heads),
          count(config.head_dim),
          count(config.hidden_size),
          count(config.vocab_size),
          checkpoint.weights_sha256(),
          std::move(windows)};
}

namespace {

/// The document's first n tokens.
RunTokens tokens_of(const Document& document, const Tokenizer& tokenizer, std::size_t n) {
  RunTokens tokens;
  for (const Token& token : std::span(document.tokens).first(n)) {
    tokens.id.push_back(token.id);
    tokens.text.push_back(tokenizer.decode(std::array{token.id}));
    tokens.bytes.push_back({document.mark_bytes + token.begin, document.mark_bytes + token.end});
  }
  return tokens;
}

RunSignals signals_of(const FullPass& full, const SignalObserver& observer, std::size_t top_k) {
  RunSignals signals;
  signals.entropy_k = static_cast<std::int64_t>(top_k);
  signals.surprisal.push_back(std::numeric_limits<float>::quiet_NaN());
  for (const Prediction& prediction : full.predictions) {
    signals.entropy.push_back(static_cast<float>(prediction.entropy));
    signals.entropy_topk.push_back(static_cast<float>(prediction.entropy_top_k));
    signals.surprisal.push_back(static_cast<float>(prediction.target_surprisal));
  }
  signals.surprisal.pop_back();
  signals.drift = observer.drift();
  signals.attention_window = observer.attention_window();
  signals.attention_cumulative = observer.attention_cumulative();
  return signals;
}

}  // namespace

DocumentPass run_document_pass(Device& device, const Weights& weights, const Tokenizer& tokenizer,
                               const Document& document, const Reading& reading,
                               std::span<LayerObserver* const> observers, ProgressStyle progress,
                               std::ostream& log) {
  const std::size_t n = tokens_needed(reading.evict_at, reading.context, reading.horizon);
  SignalObserver signals(device, weights, n, reading.context);
  std::vector<LayerObserver*> all(observers.begin(), observers.end());
  all.push_back(&signals);
  Progress told(log, progress, "full pass", "tokens", n);
  FullPassOptions options;
  options.entropy_top_k = reading.entropy_top_k;
  options.progress = [&](std::size_t done) {
    told.update(done);
    check_interrupt();
  };
  FullPass full = run_full_pass(device, weights, std::span<const TokenId>(document.ids(n)),
                                std::span<LayerObserver* const>(all), options);

  check_numbers(full.log_normalisers, document.name + ", the full pass");

  DocumentRun run;
  run.name = document.name;
  run.source_sha256 = document.source_sha256;
  run.context_tokens = static_cast<std::int64_t>(reading.context);
  run.future_tokens = static_cast<std::int64_t>(n - reading.context);
  run.tokens = tokens_of(document, tokenizer, n);
  run.signals = signals_of(full, signals, reading.entropy_top_k);
  return {std::move(full), std::move(run)};
}

}  // namespace longshadow
