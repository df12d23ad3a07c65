#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/format/run_file.h"
#include "data/format/schema.h"
#include "data/format/token_signals.h"

namespace longshadow {

/// Distances d = j - i with begin <= d < end, for a future position j and the last removed token i.
struct DistanceBin {
  std::int64_t begin;
  std::int64_t end;
};

/// A subject's influence in one bin. A value at or under its noise floor is known only to
/// lie between 0 and the floor, so the mean is given with both put in its place.
struct BinnedInfluence {
  std::size_t n_values = 0;
  std::size_t n_below_floor = 0;
  double lower_mean = 0;  ///< nats; NaN without values
  double upper_mean = 0;  ///< nats; NaN without values

  /// The value to rank subjects by: upper_mean, or 0 where all is under the floor, so that those
  /// tie: their order would be noise. NaN without values.
  double to_rank() const;
};

/// Averages an influence [n] at the distances first, first + 1, ... as far as these lie in the bin.
/// The noise floor [n] is that of the same positions. A value that is not measured does not count.
BinnedInfluence bin_influence(std::span<const double> kl_nats, std::span<const double> floor_nats,
                              std::int64_t first, const DistanceBin& bin);

/// A span of tokens.
struct MeasuredSubject {
  std::size_t index;                            ///< among the document's subjects
  std::string group;                            ///< as the run recorded it
  bool is_drawn = false;                        ///< chosen without a look at any signal
  bool is_sink = false;                         ///< begins among the first tokens
  std::int32_t position = 0;                    ///< its first token
  std::uint8_t upos = schema::kNoTag;           ///< that all its tokens have, else kNoTag
  std::array<double, kSignals.size()> signals;  ///< mean over its tokens; NaN where none has one
  std::vector<BinnedInfluence> bins;            ///< one for each distance bin
  BinnedInfluence soon;  ///< over the first kSoon positions from the start on
  BinnedInfluence late;  ///< over the second half of the horizon
};

inline constexpr std::int64_t kSoon = 16;

/// Tokens with others between them, removed at once. Sets are compared with one another, so their
/// bins count positions from the start on: the same text for all that start together.
struct MeasuredSet {
  std::size_t index;                  ///< among the document's subjects
  std::string group;                  ///< as the run recorded it
  std::vector<BinnedInfluence> bins;  ///< one for each bin of positions after the start
};

/// Finds the smallest and one past the largest distance that the documents' spans measured; empty
/// without any.
DistanceBin measured_distances(const std::vector<const DocumentRun*>& documents);

/// Makes bins [0, 16), [16, 32), [32, 64), ... doubling, as far as the measured distances go.
std::vector<DistanceBin> default_bins(const DistanceBin& measured);

/// Makes bins [0, width), [width, 2 width), ... as far as `end`, where the last one ends.
std::vector<DistanceBin> equal_bins(std::int64_t width, std::int64_t end);

/// Clips `bins` to the measured distances. Throws std::invalid_argument where no bin
/// holds one.
std::vector<DistanceBin> clip_bins(const std::vector<DistanceBin>& bins,
                                   const DistanceBin& measured);

/// Indices of the bins that "near" and "far" stand for: the first and the last that at least
/// kEnoughForNearAndFar subjects reach, or as many as reach the fullest one where that has fewer.
struct NearAndFar {
  std::size_t near;
  std::size_t far;
};
inline constexpr std::size_t kEnoughForNearAndFar = 10;

/// Chooses these bins. `n_subjects` is of each bin, of which there is at least one, sinks apart.
NearAndFar near_and_far(const std::vector<std::size_t>& n_subjects);

/// Measures every span of the document that has a finite influence. The first `n_sinks` tokens are
/// sinks.
std::vector<MeasuredSubject> measure(const DocumentRun& document,
                                     const std::vector<DistanceBin>& bins, std::int64_t n_sinks);

/// Measures every set of the document that has a finite influence.
std::vector<MeasuredSet> measure_sets(const DocumentRun& document,
                                      const std::vector<DistanceBin>& bins);

}  // namespace longshadow
