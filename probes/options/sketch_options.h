#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/range.h"
#include "probes/influence/sketch.h"
#include "probes/subjects/screen.h"

namespace longshadow {

class OptionSet;

/// Bins of offsets from the context's end; empty for those that automatic_bins() makes.
using GivenBins = std::vector<Range>;

/// Reads "0:16,16:64", or "auto". Throws UsageError.
GivenBins parse_bins(const std::string& text);

/// Bins that quadruple from 16 on and end at the horizon.
std::vector<Range> automatic_bins(std::size_t horizon);

/// Reads a share above 0% and at most 100%, as in "10%". Throws UsageError.
double parse_share(const std::string& text);

/// Options of a sketch, and of a screen behind it.
struct SketchingOptions {
  std::size_t n_probes = 16;
  GivenBins bins;
  ProbeKind kind = ProbeKind::signs;
  MapDetail detail = MapDetail::token;
  bool keeps_projections = false;
  double exact_share = 0.1;
  std::size_t n_control = 128;

  /// Adds --probes, --bins, --probe-kind, --detail, --projections, --exact and --control; the
  /// method decides which of them may be given.
  void declare(OptionSet& options, const std::function<bool()>& sketches,
               const std::function<bool()>& screens);

  /// Throws UsageError where there is no such sketch of futures of `horizon` positions.
  SketchOptions sketch(std::size_t horizon, std::uint64_t seed) const;
  ScreenOptions screen() const { return {exact_share, n_control}; }
};

/// The bins as a run's configuration has them.
nlohmann::json bins_configuration(const SketchOptions& sketch);

}  // namespace longshadow
