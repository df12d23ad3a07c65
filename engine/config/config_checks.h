#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/config/config.h"

namespace longshadow {

// Several times the largest published models: what is beyond is a malformed file, and below them no
// product of two dimensions overflows.
inline constexpr std::size_t kMaxLayers = 1024;
inline constexpr std::size_t kMaxHeads = 4096;
inline constexpr std::size_t kMaxHeadDim = 4096;
inline constexpr std::size_t kMaxWidth = std::size_t{1} << 20;  // residual stream and feed-forward
inline constexpr std::size_t kMaxExperts = 4096;
inline constexpr std::size_t kMaxExpertsOfLayers = std::size_t{1} << 16;  // each has names
inline constexpr std::size_t kMaxVocabulary = std::size_t{1} << 24;
inline constexpr std::size_t kMaxContext = std::size_t{1} << 31;  // positions fit 32 bits

/// The value, which must be from 1 to `max`. Throws Error.
std::size_t in_range(std::uint64_t value, std::size_t max, const std::string& where);

/// The value, which must be a finite number above 0. Throws Error.
double positive(double value, const std::string& where);

/// The one of `supported` that has the name. Throws Error saying which there are.
Architecture architecture_of(const std::string& name, std::span<const Architecture> supported,
                             const std::string& where);

/// The head size of a file that names none: hidden size over heads. Throws Error where the heads do
/// not divide it; `where` names the hidden size.
std::size_t divided_head_dim(const ModelConfig& config, const std::string& where);

/// Checks what must hold between the dimensions, however they were stored, and of the numbers that
/// stretch the rotary frequencies. Throws Error.
void check_config(const ModelConfig& config, const std::string& source);

/// Sets what the architecture, and no key of a file, says, once the dimensions are known: where
/// norms lie, the gate's activation, what embeddings are multiplied with.
void settle_architecture(ModelConfig& config);

/// [L]: true but for every `interval`-th layer. So a model says which are rotated (SmolLM3), or
/// which have a window (Gemma).
std::vector<bool> but_every(std::size_t interval, std::size_t n_layers);

/// What longrope makes rotated queries and keys longer by, where nothing else is said:
/// sqrt(1 + ln factor / ln original_context), 1 for a factor of up to 1.
double longrope_attention_factor(double factor, std::size_t original_context);

/// yarn's attention factor where the file names none: 0.1 log_multiplier ln(factor) + 1 (Peng et
/// al. 2023, arXiv 2309.00071, equation 22).
double yarn_attention_factor(double factor, double log_multiplier = 1.0);

/// Raises config.max_context to what the rotary scaling was made for: files that ask for yarn or
/// dynamic scaling often name the context from before it.
void stretch_max_context(ModelConfig& config);

}  // namespace longshadow
