#pragma once

#include <cstddef>
#include <string>

#include "analysis/results/influence_report.h"
#include "analysis/statistics/measurements.h"
#include "analysis/statistics/statistics.h"

// How the printed tables spell and align their numbers.
namespace longshadow {

inline constexpr std::size_t kGroupWidth = 27;
inline constexpr std::size_t kCountWidth = 8;
inline constexpr std::size_t kEstimateWidth = 26;
inline constexpr std::size_t kNumberWidth = 9;

/// `format` as printf has it, for one double.
std::string formatted(const char* format, double value);

/// Two significant digits, the exponent without padding: "1.2e-6".
std::string scientific(double value);

/// "0.12"
std::string decimal(double value);

/// "0.123"
std::string three_decimals(double value);

/// "value [low, high]", or what of it is known.
std::string with_interval(const Estimate& estimate, std::string (*number)(double));

/// The same, with < before what is a bound.
std::string influence_text(const InfluenceEstimate& influence);

/// "16-31"
std::string distance_text(const DistanceBin& bin);

/// The text at the left or right of a column; a longer one is followed or preceded by a space.
std::string left(const std::string& text, std::size_t width);
std::string right(const std::string& text, std::size_t width);

}  // namespace longshadow
