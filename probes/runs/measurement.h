#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/format/run_file.h"
#include "data/format/run_plan.h"
#include "probes/runs/progress.h"

namespace longshadow {

/// A document after its full pass, whose units can be measured in any order and any company: what a
/// unit gives has the same bits. So a run can stop and go on anywhere.
class Measurement {
 public:
  virtual ~Measurement() = default;

  /// What the full pass gave: tokens, signals, a sketch, the subjects and the noise floor; no kl
  /// and no retention, so that it is not complete where there are units.
  /// Called once at most.
  virtual DocumentRun pass() = 0;
  virtual std::size_t n_units() const = 0;
  /// Numbers that a unit gives.
  virtual std::size_t n_values() const = 0;
  /// Units that measure() takes at once.
  virtual std::size_t max_batch() const = 0;

  /// From here on only units in `units` are measured.
  virtual void prepare(UnitRange units) = 0;
  /// Fills `values` [units, n_values].
  virtual void measure(std::span<const std::size_t> units, std::span<double> values) = 0;
  /// The document with nothing but what the prepared units gave, `values` [units, n_values].
  virtual DocumentRun results(std::vector<double> values) const = 0;

  /// For progress: "counterfactuals" are measured of "subjects".
  virtual std::pair<std::string, std::string> title() const = 0;
};

/// Throws Error naming `what` where one of `nats` is NaN or infinite. In a run file NaN says that
/// nothing was measured, and comparisons pass over it.
void check_numbers(std::span<const double> nats, const std::string& what);

/// Measures everything, in memory.
DocumentRun measure_all(Measurement& measurement, ProgressStyle progress, std::ostream& log);

}  // namespace longshadow
