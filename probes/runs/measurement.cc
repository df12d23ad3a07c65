#include "probes/runs/measurement.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/core/error.h"
#include "probes/runs/interrupt.h"

namespace longshadow {

void check_numbers(std::span<const double> nats, const std::string& what) {
  const auto bad =
      std::find_if(nats.begin(), nats.end(), [](double value) { return !std::isfinite(value); });
  if (bad == nats.end()) return;
  throw Error(what + ": expected a finite number of nats at each of " +
              std::to_string(nats.size()) + " positions, found " +
              (std::isnan(*bad) ? "NaN" : "infinity") + " at position " +
              std::to_string(bad - nats.begin()) +
              ": the model's weights hold such numbers, or its activations overflow; `precision` "
              "f64 has the widest range");
}

DocumentRun measure_all(Measurement& measurement, ProgressStyle progress, std::ostream& log) {
  DocumentRun run = measurement.pass();
  const std::size_t n_units = measurement.n_units();
  if (n_units == 0) return run;
  const auto [what, unit] = measurement.title();
  Progress told(log, progress, what, unit, n_units);
  std::vector<std::size_t> units(n_units);
  std::iota(units.begin(), units.end(), std::size_t{0});
  measurement.prepare({0, n_units});
  const std::size_t n_values = measurement.n_values();
  std::vector<double> values(n_units * n_values);
  for (std::size_t first = 0; first < n_units; first += measurement.max_batch()) {
    check_interrupt();
    const std::size_t count = std::min(measurement.max_batch(), n_units - first);
    measurement.measure(std::span(units).subspan(first, count),
                        std::span(values).subspan(first * n_values, count * n_values));
    told.update(first + count);
  }
  DocumentRun results = measurement.results(std::move(values));
  run.complete = true;
  run.influence.kl = std::move(results.influence.kl);
  run.influence.rerouted = std::move(results.influence.rerouted);
  run.retention = std::move(results.retention);
  return run;
}

}  // namespace longshadow
