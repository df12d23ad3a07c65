#include "engine/model/rotary_frequencies.h"

#include <cmath>
#include <numbers>

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

}  // namespace

std::vector<double> rotary_frequencies(const RopeConfig& rope, std::size_t head_dim) {
  std::vector<double> frequencies(head_dim / 2);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    double& frequency = frequencies[i];
    frequency = std::pow(rope.theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    if (!rope.frequency_divisors.empty()) {
      frequency /= rope.frequency_divisors[i];
    } else if (rope.scaling == RopeScaling::linear) {
      frequency /= rope.factor;
    } else if (rope.scaling == RopeScaling::llama3) {
      frequency = stretch_llama3(frequency, rope);
    }
  }
  return frequencies;
}

}  // namespace longshadow
