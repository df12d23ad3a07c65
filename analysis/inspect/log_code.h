#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace longshadow {

/// Numbers as 8- or 16-bit codes on a logarithmic scale, so that all have the same relative error:
///   0            no value (NaN)
///   1            under `low`, which includes 0
///   c = 2...max  low (high / low)^((c - 2) / (max - 2)), max = 2^bits - 1
struct LogCodes {
  int bits;
  double low;
  double high;
  std::vector<std::uint16_t> codes;  ///< one for each number

  /// The largest ratio of a number to what its code stands for, less 1.
  double relative_error() const;
};

/// Codes of `values`, none infinite. `low` is their smallest value above 0, but no more than
/// `decades` decades under the largest, `high`: with 8 bits, fewer decades make finer codes.
LogCodes log_codes(std::span<const float> values, int bits, double decades);

}  // namespace longshadow
