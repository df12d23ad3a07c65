#include "probes/experiments/generation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <utility>

#include "engine/backend/device.h"
#include "engine/core/error.h"
#include "engine/model/decoder.h"
#include "engine/ops/common/rows.h"
#include "engine/policies/registry.h"
#include "probes/compression/compressor.h"
#include "probes/experiments/document_run.h"
#include "probes/runs/interrupt.h"
#include "probes/runs/timing.h"

namespace longshadow {
namespace {

/// The policy that compresses the prompt and, at intervals, what follows; nullptr: none does.
std::unique_ptr<Policy> make_generation_policy(const GenerationOptions& options,
                                               std::size_t prompt_tokens) {
  std::unique_ptr<Policy> policy = make_policy(options.policy, options.policy_model);
  if (policy->traits().keeps_prompt) policy->protect_sinks(prompt_tokens);
  return options.budget < 1 || options.interval ? std::move(policy) : nullptr;
}

ContextOfText text_of(std::size_t prompt_tokens, const GenerationOptions& options) {
  return {prompt_tokens, prompt_tokens + options.max_tokens};
}

/// Chooses what stays of the prompt; without a policy, everything.
Compression choose(Compressor& compressor, const Policy* policy, const FullPass& full,
                   const ModelConfig& config, const GenerationOptions& options) {
  Compression compression;
  if (policy != nullptr && options.budget < 1) {
    const PolicyAtShare choice{0, options.budget};
    compression = compressor.compress(full, std::span(&choice, 1), {.seed = options.seed}).front();
  } else {
    compression = keep_everything(config, text_of(full.tokens.size(), options));
    compression.rotates_keys = policy != nullptr && policy->traits().rotates_keys;
  }
  compression.quantization = options.quantization;
  return compression;
}

/// The prompt's compressed cache and the logits behind it.
struct Prefilled {
  GrowingCache cache;
  TokenSignals signals;
  Tensor hidden;  ///< [kFewRows, D], the first row is that of the prompt's last token
};

Prefilled prefill(Device& device, const Weights& weights, const EntropyHead& entropy_head,
                  std::span<const TokenId> prompt, const Policy* policy,
                  const GenerationOptions& options, Generation& result) {
  Stopwatch watch;
  const ModelConfig& config = weights.config;
  std::vector<const Policy*> policies;
  if (policy != nullptr) policies.push_back(policy);
  Compressor compressor(device, weights, std::move(policies), text_of(prompt.size(), options),
                        options.budget < 1 ? Gather::scores : Gather::signals);
  const FullPass full = compressor.prefill(prompt, prompt.size());
  device.synchronize();
  result.prefill_seconds = watch.lap();

  compressor.compute_entropy(entropy_head, full, options.entropy_top_k);
  const Compression compression = choose(compressor, policy, full, config, options);
  Prefilled prefilled{GrowingCache(device, full.cache, compression, full.frequencies),
                      compressor.signals(),
                      Tensor(device.memory(), weights.element(), kFewRows, config.hidden_size)};
  copy_rows(device, full.hidden.view().row_range(prompt.size() - 1, 1),
            prefilled.hidden.view().row_range(0, 1));
  device.synchronize();
  result.choosing_seconds = watch.lap();
  result.bytes_full = 2 * n_slots_seen_next(config, text_of(prompt.size(), options)) *
                      config.head_dim * size_of(weights.element());
  result.bytes_kept = prefilled.cache.bytes();
  return prefilled;
}

/// Draws one token behind the other.
class TokenDraw {
 public:
  TokenDraw(std::span<const TokenId> prompt, const GenerationOptions& options)
      : options_(options), random_(options.seed) {
    for (const TokenId token : prompt) note(token);
  }

  /// logits [1, V], on the host, as the model gives them.
  TokenId draw(ConstTensorView logits) {
    TokenId token = 0;
    with_element<double, float>("a token's draw", logits.element, [&]<class T>() {
      const T* const first = logits.as<T>().row(0);
      std::vector<T> scores(first, first + logits.cols);
      if (options_.repetition_penalty != 1) {
        penalize_repetition(std::span(scores), std::span(std::as_const(distinct_)),
                            options_.repetition_penalty);
      }
      for (const TokenId never : options_.never_drawn) {
        scores[never] = -std::numeric_limits<T>::infinity();
      }
      token = sample_token(std::span<const T>(scores), options_.sampling, uniform_draw(random_));
    });
    note(token);
    return token;
  }

 private:
  void note(TokenId token) {
    const auto index = static_cast<std::size_t>(token);
    if (index >= is_in_text_.size()) is_in_text_.resize(index + 1);
    if (!is_in_text_[index]) distinct_.push_back(token);
    is_in_text_[index] = true;
  }

  const GenerationOptions& options_;
  std::mt19937_64 random_;
  std::vector<bool> is_in_text_;
  std::vector<TokenId> distinct_;  ///< of prompt and text
};

/// The text's last token is written and not read, and a cut behind the last one read is for
/// nothing.
void check_first_cut_comes(const PolicyTraits& traits, const GenerationOptions& options) {
  const std::size_t first_cut = steps_to_first_cut(traits, *options.interval);
  if (options.max_tokens >= first_cut + 2) return;
  throw UsageError("`max_tokens` " + std::to_string(options.max_tokens) +
                   ": the cache is first cut when " + std::to_string(first_cut) +
                   " tokens were written and read, so of this text nothing would be evicted; write "
                   "at least " +
                   std::to_string(first_cut + 2) + ", or cut more often with `every`");
}

/// check_generation() with the policy that the options name, or null.
void check(const ModelConfig& config, std::size_t prompt_tokens, const GenerationOptions& options,
           const Policy* policy) {
  if (prompt_tokens == 0) {
    throw UsageError("the prompt has no token; give `prompt` or `document` some text");
  }
  if (prompt_tokens + options.max_tokens > config.max_context) {
    throw UsageError("`max_tokens` " + std::to_string(options.max_tokens) + " behind a prompt of " +
                     std::to_string(prompt_tokens) + " tokens are " +
                     std::to_string(prompt_tokens + options.max_tokens) + " together, but " +
                     describe_max_context(config));
  }
  check_entropy_top_k(options.entropy_top_k, config);
  if (!(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty))) {
    throw UsageError("`repetition_penalty`: expected a number above 0, found " +
                     std::to_string(options.repetition_penalty));
  }
  if (!(options.budget > 0 && options.budget <= 1)) {
    throw UsageError(
        "`budget`: expected the share of the prompt's slots to keep, above 0 and at "
        "most 1, found " +
        std::to_string(options.budget));
  }
  if (policy == nullptr) return;
  if (policy->traits().influence != Influence::none) {
    throw UsageError("`policy` " + options.policy +
                     ": keeps by measured influence, which a prompt does not bring; use " +
                     "longshadow retain for it");
  }
  if (options.budget < 1) check_prompt(policy->traits(), prompt_tokens);
  const std::size_t text_tokens = text_of(prompt_tokens, options).text_tokens;
  check_windows(policy->traits(), config, text_tokens);
  if (!options.interval) return;
  check_decoding(*policy, *options.interval, compressed_shape(config, text_tokens), prompt_tokens);
  check_first_cut_comes(policy->traits(), options);
}

}  // namespace

void check_generation(const ModelConfig& config, std::size_t prompt_tokens,
                      const GenerationOptions& options) {
  check(config, prompt_tokens, options, make_generation_policy(options, prompt_tokens).get());
}

Generation generate(Device& device, const Weights& weights, const EntropyHead& entropy_head,
                    std::span<const TokenId> prompt, const GenerationOptions& options,
                    const std::function<void(TokenId)>& written) {
  const std::unique_ptr<Policy> policy = make_generation_policy(options, prompt.size());
  check(weights.config, prompt.size(), options, policy.get());
  Generation result;
  Prefilled text = prefill(device, weights, entropy_head, prompt, policy.get(), options, result);

  Stopwatch watch;
  std::optional<DecodingCompressor> compressor;
  std::vector<LayerObserver*> observers;
  if (options.interval) {
    compressor.emplace(device, weights, *policy, *options.interval, std::move(text.signals),
                       options.seed);
    observers.push_back(&*compressor);
  }
  Decoder decoder(device, weights, prompt.size() + options.max_tokens);
  TokenDraw tokens(prompt, options);
  ConstTensorView logits = decoder.logits(text.hidden.view());
  while (result.tokens.size() < options.max_tokens) {
    check_interrupt();
    const TokenId token = tokens.draw(logits);
    const auto& ends = options.end_tokens;
    if (std::find(ends.begin(), ends.end(), token) != ends.end()) break;
    result.tokens.push_back(token);
    written(token);
    if (result.tokens.size() == options.max_tokens) break;
    logits = decoder.step(token, prompt.size() + result.tokens.size() - 1, text.cache, observers);
    ++result.steps;
    if (compressor) compressor->after_step(logits, options.entropy_top_k, text.cache);
  }
  result.decoding_seconds = watch.lap();
  result.bytes_end = text.cache.bytes();
  if (compressor) result.cuts = compressor->cuts();
  return result;
}

}  // namespace longshadow
