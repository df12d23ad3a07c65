#include "data/format/token_signals.h"

#include <limits>
#include <span>

namespace longshadow {
namespace {

/// Column means of a row-major [rows, n] array.
std::vector<double> mean_over_rows(std::span<const float> values, std::size_t n) {
  std::vector<double> means(n, 0.0);
  for (std::size_t i = 0; i < values.size(); ++i) means[i % n] += values[i];
  const auto rows = static_cast<double>(values.size() / n);
  for (double& value : means) value /= rows;
  return means;
}

std::vector<double> widened(std::span<const float> values) {
  return {values.begin(), values.end()};
}

/// values[i - 1] at i; NaN for the first token, which nothing predicted.
std::vector<double> one_later(std::span<const float> values) {
  std::vector<double> later = {std::numeric_limits<double>::quiet_NaN()};
  later.insert(later.end(), values.begin(), values.end() - 1);
  return later;
}

}  // namespace

std::array<std::vector<double>, kSignals.size()> token_signals(const RunSignals& signals) {
  const std::size_t n = signals.entropy.size();
  return {one_later(signals.entropy),
          widened(signals.entropy),
          widened(signals.surprisal),
          mean_over_rows(signals.drift, n),
          mean_over_rows(signals.attention_window, n),
          mean_over_rows(signals.attention_cumulative, n)};
}

}  // namespace longshadow
