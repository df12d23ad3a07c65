#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "analysis/statistics/measurements.h"
#include "analysis/statistics/statistics.h"
#include "data/format/run_file.h"

namespace longshadow {

/// A token whose estimate is far from what was measured.
struct MisjudgedToken {
  std::int32_t token;
  std::string text;
  std::string group;  ///< why it was measured
  double exact;       ///< nats
  double sketch;      ///< nats
  double attention;   ///< the largest share in signals/attention_window, over layers and KV heads
  /// "chance" where the probes alone may explain it, else "sink", "recent", "attention" (it holds
  /// at least a quarter of a head's attention), or empty.
  std::string reason;
};

/// A sketch beside the exact influence of the same tokens, in one of its bins.
struct CalibrationBin {
  DistanceBin offsets;                ///< from the context's end
  double relative_standard_error;     ///< of the sketch: median over all tokens
  std::size_t n_control = 0;          ///< tokens of the control sample that are measured
  Estimate ratio;                     ///< sketch / exact: median over the control sample
  Estimate rank_correlation;          ///< Spearman's, over the control sample
  std::size_t n_top = 0;              ///< of the control sample, up to 16 ...
  std::size_t n_top_found = 0;        ///< ... and those of them in the sketch's first 24
  std::vector<MisjudgedToken> worst;  ///< of all tokens measured, at most 5, the worst first
};

struct SketchReport {
  std::string name;
  std::string conditions;  ///< how it was made, one line
  std::size_t n_tokens = 0;
  std::size_t n_measured = 0;  ///< tokens that have both an estimate and an exact influence
  std::vector<CalibrationBin> bins;
};

/// Compares a document's sketch with its own exact counterfactuals of single tokens that leave at
/// the context's end. The document has a sketch. The first n_sinks tokens are sinks.
SketchReport calibrate(const DocumentRun& document, std::int64_t n_sinks,
                       const BootstrapOptions& bootstrap);

}  // namespace longshadow
