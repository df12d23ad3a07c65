#include "probes/runs/timing.h"

#include <algorithm>
#include <utility>

namespace longshadow {

double Stopwatch::lap() {
  const Clock::time_point before = std::exchange(last_, Clock::now());
  return std::chrono::duration<double>(last_ - before).count();
}

double upper_median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace longshadow
