#include "analysis/inspect/log_code.h"

#include <algorithm>
#include <cmath>

namespace longshadow {

namespace {

constexpr std::uint16_t kNoValue = 0;
constexpr std::uint16_t kUnder = 1;
constexpr std::uint16_t kFirst = 2;

double last_code(int bits) { return std::exp2(bits) - 1; }

/// The logarithm of the ratio between neighbouring codes' values.
double log_step(const LogCodes& codes) {
  return std::log(codes.high / codes.low) / (last_code(codes.bits) - kFirst);
}

}  // namespace

double LogCodes::relative_error() const { return std::expm1(log_step(*this) / 2); }

LogCodes log_codes(std::span<const float> values, int bits, double decades) {
  LogCodes coded{bits, 1, 1, {}};
  double low = HUGE_VAL;
  double high = 0;
  for (const float value : values) {
    if (!(value > 0)) continue;
    low = std::min(low, static_cast<double>(value));
    high = std::max(high, static_cast<double>(value));
  }
  if (high > 0) {
    coded.high = high;
    coded.low = std::max(low, high * std::pow(10, -decades));
  }
  const double step = log_step(coded);
  coded.codes.reserve(values.size());
  for (const float value : values) {
    if (std::isnan(value)) {
      coded.codes.push_back(kNoValue);
    } else if (value < coded.low) {
      coded.codes.push_back(kUnder);
    } else {
      const double steps = step > 0 ? std::log(value / coded.low) / step : 0;
      coded.codes.push_back(static_cast<std::uint16_t>(kFirst + std::lround(steps)));
    }
  }
  return coded;
}

}  // namespace longshadow
