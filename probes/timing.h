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

/// Of an even number of values, of which there is at least one, the larger of the middle two.
double median(std::vector<double> values);

}  // namespace longshadow
