#pragma once

#include <chrono>
#include <vector>

namespace longshadow {

/// Wall-clock time.
class Stopwatch {
 public:
  /// Seconds since the last lap, or the beginning.
  double lap();

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

/// Median: for an even count, the upper of the two middle values. `values` must not be empty.
double upper_median(std::vector<double> values);

}  // namespace longshadow
