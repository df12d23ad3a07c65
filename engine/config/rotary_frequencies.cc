#include "engine/config/rotary_frequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

namespace longshadow {
namespace {

double stretch_llama3(double frequency, const RopeConfig& rope) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  const double context = static_cast<double>(rope.original_context);
  if (wavelength < context / rope.high_frequency_factor) return frequency;
  if (wavelength > context / rope.low_frequency_factor) return frequency / rope.factor;
  const double share = (context / wavelength - rope.low_frequency_factor) /
                       (rope.high_frequency_factor - rope.low_frequency_factor);
  return (1 - share) * frequency / rope.factor + share * frequency;
}

/// The base for a text of so many tokens.
double stretch_base(const RopeConfig& rope, std::size_t head_dim, std::size_t n_tokens) {
  const auto context = static_cast<double>(rope.original_context);
  const double read = std::max(static_cast<double>(n_tokens), context);
  const auto d = static_cast<double>(head_dim);
  return rope.theta * std::pow(rope.factor * read / context - (rope.factor - 1), d / (d - 2));
}

/// The pairs between which yarn goes over from frequencies that stay to stretched ones.
struct YarnBand {
  double first, last;

  YarnBand(const RopeConfig& rope, std::size_t head_dim) {
    const auto d = static_cast<double>(head_dim);
    // The pair that turns so often within the original context.
    const auto pair_of = [&](double turns) {
      return d *
             std::log(static_cast<double>(rope.original_context) / (turns * 2 * std::numbers::pi)) /
             (2 * std::log(rope.theta));
    };
    first = pair_of(rope.beta_fast);
    last = pair_of(rope.beta_slow);
    if (rope.truncate) {
      first = std::floor(first);
      last = std::ceil(last);
    }
    first = std::max(first, 0.0);
    last = std::min(last, d - 1);
    if (first == last) last += 0.001;
  }

  /// 0 where the frequency stays, 1 where it is stretched.
  double share(std::size_t pair) const {
    return std::clamp((static_cast<double>(pair) - first) / (last - first), 0.0, 1.0);
  }
};

}  // namespace

std::vector<double> rotary_frequencies(const RopeConfig& rope, std::size_t head_dim,
                                       std::size_t n_tokens) {
  const std::size_t rotated = rope.rotated_elements == 0 ? head_dim : rope.rotated_elements;
  std::optional<YarnBand> yarn;
  if (rope.scaling == RopeScaling::yarn) yarn.emplace(rope, rotated);
  const double theta =
      rope.scaling == RopeScaling::dynamic ? stretch_base(rope, rotated, n_tokens) : rope.theta;
  const std::vector<double>& longrope =
      n_tokens > rope.original_context ? rope.long_divisors : rope.short_divisors;
  std::vector<double> frequencies(head_dim / 2);
  for (std::size_t i = 0; i < rotated / 2; ++i) {
    double& frequency = frequencies[i];
    frequency = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(rotated));
    if (!rope.frequency_divisors.empty()) {
      frequency /= rope.frequency_divisors[i];
    } else if (rope.scaling == RopeScaling::linear) {
      frequency /= rope.factor;
    } else if (rope.scaling == RopeScaling::longrope) {
      frequency /= longrope[i];
    } else if (rope.scaling == RopeScaling::llama3) {
      frequency = stretch_llama3(frequency, rope);
    } else if (yarn) {
      const double share = yarn->share(i);
      frequency = (1 - share) * frequency + share * frequency / rope.factor;
    }
  }
  return frequencies;
}

std::vector<std::vector<double>> layer_frequencies(const ModelConfig& config,
                                                   std::size_t n_tokens) {
  std::vector<std::vector<double>> layers;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    layers.push_back(rotary_frequencies(config.rope_of(layer), config.head_dim, n_tokens));
  }
  for (std::size_t layer = 0; layer < config.rotary_layers.size(); ++layer) {
    if (!config.rotary_layers[layer]) std::ranges::fill(layers[layer], 0.0);
  }
  return layers;
}

std::vector<double> layer_attention_factors(const ModelConfig& config) {
  std::vector<double> factors;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    factors.push_back(config.rope_of(layer).attention_factor);
  }
  return factors;
}

}  // namespace longshadow
