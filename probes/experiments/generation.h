#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/kv/packed_rows.h"
#include "engine/model/weights.h"
#include "engine/ops/vocabulary/sampling.h"
#include "engine/policy/policy.h"
#include "engine/policy/policy_options.h"
#include "engine/tokenizer/tokenizer.h"
#include "probes/compression/decoding_compressor.h"
#include "probes/gather/entropy_head.h"

namespace longshadow {

struct GenerationOptions {
  std::string policy = "full";               ///< as make_policy() takes it
  PolicyModel policy_model{};                ///< that its files must fit
  double budget = 1;                         ///< share of the prompt's slots to keep
  std::optional<DecodingInterval> interval;  ///< of cuts while decoding; empty: none
  std::optional<Quantization> quantization;  ///< of the cache; empty: none
  SamplingOptions sampling;
  /// The penalty that penalize_repetition() takes, for the tokens of prompt and text, evicted ones
  /// too; 1: none. It comes before temperature and top-p, as in transformers.
  double repetition_penalty = 1;
  std::uint64_t seed = 0;
  std::size_t entropy_top_k = kEntropyTopK;
  std::size_t max_tokens = 0;
  std::vector<TokenId> end_tokens;   ///< any of them ends the text, and is not part of it
  std::vector<TokenId> never_drawn;  ///< rows of the vocabulary, such as those without a token
};

struct Generation {
  std::vector<TokenId> tokens;  ///< without the end token
  double prefill_seconds = 0;   ///< the prompt's full pass, with what the policy looks at
  double choosing_seconds = 0;  ///< scoring, and building the compressed cache
  double decoding_seconds = 0;  ///< cuts included
  std::size_t steps = 0;        ///< tokens decoded
  std::size_t bytes_full = 0;   ///< of the prompt's keys and values
  std::size_t bytes_kept = 0;   ///< of those that were kept, as stored
  std::size_t bytes_end = 0;    ///< of the cache when the text ended
  CacheCuts cuts;               ///< while the text was written
};

/// Throws UsageError where the options or the prompt's length do not fit the model or the policy,
/// or where the text would end before its first cut.
void check_generation(const ModelConfig& config, std::size_t prompt_tokens,
                      const GenerationOptions& options);

/// Reads the prompt, compresses its cache, and writes token after token on what is left. `written`
/// is called with each token as it comes. Throws as check_generation() does, and Interrupted.
Generation generate(Device& device, const Weights& weights, const EntropyHead& entropy_head,
                    std::span<const TokenId> prompt, const GenerationOptions& options,
                    const std::function<void(TokenId)>& written);

}  // namespace longshadow
