#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/format/run_file.h"

namespace longshadow {

/// Distances d = j - i with begin <= d < end, for a future position j and the last removed token i.
struct DistanceBin {
  std::int64_t begin;
  std::int64_t end;
};

/// One number a token, to rank tokens by; data/FORMAT.md defines the arrays they come from.
struct Signal {
  const char* name;
  const char* meaning;
};
inline constexpr std::array<Signal, 6> kSignals = {{
    {"entropy-before", "entropy of the distribution that predicted the token"},
    {"entropy-at", "entropy of the distribution that the token predicts"},
    {"surprisal", "-log of the probability that the token was given"},
    {"drift", "1 - cosine to the last residual, mean over layers"},
    {"attention-window", "attention from the context's last queries, mean over layers and heads"},
    {"attention-cumulative", "attention from all later queries, mean over layers and heads"},
}};
inline constexpr std::size_t kEntropyBefore = 0;

/// A subject's influence in one distance bin. A value at or under its noise floor is known only to
/// lie between 0 and the floor, so the mean is given with both put in its place.
struct BinnedInfluence {
  std::size_t n_values = 0;
  std::size_t n_below_floor = 0;
  double lower_mean = 0;  ///< nats; NaN without values
  double upper_mean = 0;  ///< nats; NaN without values
};

struct MeasuredSubject {
  std::string group;                            ///< as the run recorded it
  bool is_sink = false;                         ///< begins among the first tokens
  std::array<double, kSignals.size()> signals;  ///< mean over its tokens; NaN where none has one
  std::vector<BinnedInfluence> bins;            ///< one for each distance bin
};

/// The smallest and one past the largest distance that the documents measured.
DistanceBin measured_distances(const std::vector<DocumentRun>& documents);

/// [0, 16), [16, 32), [32, 64), ... doubling, as far as the measured distances go.
std::vector<DistanceBin> default_bins(const DistanceBin& measured);

/// Every subject of the document that has a finite influence. The first `n_sinks` tokens are sinks.
std::vector<MeasuredSubject> measure(const DocumentRun& document,
                                     const std::vector<DistanceBin>& bins, std::int64_t n_sinks);

}  // namespace longshadow
