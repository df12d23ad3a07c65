#pragma once

#include <string>

#include "analysis/statistics/measurements.h"

// How numbers are spelled for people.
namespace longshadow {

/// Spells one double as printf does by `format`.
std::string formatted(const char* format, double value);

/// Spells two significant digits, the exponent without padding: "1.2e-6".
std::string scientific(double value);

/// Spells both ends of a bin: "16-31".
std::string range_text(const DistanceBin& bin);

}  // namespace longshadow
