#include "analysis/statistics/measurements.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>

namespace longshadow {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t kFirstEdge = 16;

double mean_of_finite(std::span<const double> values) {
  double sum = 0;
  double count = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    sum += value;
    count += 1;
  }
  return count > 0 ? sum / count : kNaN;
}

/// Distance from the last removed token to the start.
std::int64_t first_distance_of(const RunInfluence& influence, std::size_t s) {
  return influence.start[s] - (influence.subjects[s].end - 1);
}

/// Influence of subject s, whose values are kl[s, :] at distances from `first_distance` on, in
/// `bin`.
BinnedInfluence bin_influence(const RunInfluence& influence, std::size_t s,
                              std::int64_t first_distance, const DistanceBin& bin) {
  const std::size_t horizon = influence.noise_floor.size();
  return bin_influence(std::span(influence.kl).subspan(s * horizon, horizon), influence.noise_floor,
                       first_distance, bin);
}

/// Says whether the part of `--subjects` that the group is named after takes tokens by chance or
/// takes all: "all", "sample", "word", "control", "each:random:N".
bool is_drawn(const std::string& group) {
  constexpr std::array<const char*, 4> kDrawn = {"all", "sample", "word", schema::kControlGroup};
  return std::find(kDrawn.begin(), kDrawn.end(), group) != kDrawn.end() ||
         group.starts_with("each:random:");
}

/// The tag of [begin, end), kNoTag where it has several or the document none.
std::uint8_t common_tag(const RunTokens& tokens, std::int32_t begin, std::int32_t end) {
  if (tokens.upos.empty()) return schema::kNoTag;
  const auto first = tokens.upos.begin() + begin;
  return std::count(first, tokens.upos.begin() + end, *first) == end - begin ? *first
                                                                             : schema::kNoTag;
}

bool is_measured(const RunInfluence& influence, std::size_t s) {
  const std::size_t horizon = influence.noise_floor.size();
  const double* row = influence.kl.data() + s * horizon;
  return std::any_of(row, row + horizon, [](double kl) { return std::isfinite(kl); });
}

}  // namespace

double BinnedInfluence::to_rank() const {
  return n_values > 0 && n_below_floor == n_values ? 0.0 : upper_mean;
}

BinnedInfluence bin_influence(std::span<const double> kl_nats, std::span<const double> floor_nats,
                              std::int64_t first, const DistanceBin& bin) {
  const auto index_of = [&](std::int64_t distance) {
    return static_cast<std::size_t>(
        std::clamp<std::int64_t>(distance - first, 0, std::ssize(kl_nats)));
  };
  BinnedInfluence binned;
  for (std::size_t i = index_of(bin.begin); i < index_of(bin.end); ++i) {
    if (!std::isfinite(kl_nats[i])) continue;
    const bool below = kl_nats[i] <= floor_nats[i];
    binned.n_values += 1;
    binned.n_below_floor += below;
    binned.lower_mean += below ? 0.0 : kl_nats[i];
    binned.upper_mean += below ? floor_nats[i] : kl_nats[i];
  }
  const auto count = static_cast<double>(binned.n_values);
  binned.lower_mean = count > 0 ? binned.lower_mean / count : kNaN;
  binned.upper_mean = count > 0 ? binned.upper_mean / count : kNaN;
  return binned;
}

DistanceBin measured_distances(const std::vector<const DocumentRun*>& documents) {
  DistanceBin range{std::numeric_limits<std::int64_t>::max(), 0};
  for (const DocumentRun* document : documents) {
    const RunInfluence& influence = document->influence;
    const auto horizon = static_cast<std::int64_t>(influence.noise_floor.size());
    for (std::size_t s = 0; s < influence.subjects.size(); ++s) {
      if (influence.subjects[s].is_set()) continue;
      const std::int64_t first = first_distance_of(influence, s);
      range.begin = std::min(range.begin, first);
      range.end = std::max(range.end, first + horizon);
    }
  }
  return range;
}

std::vector<DistanceBin> default_bins(const DistanceBin& measured) {
  std::vector<DistanceBin> bins;
  for (DistanceBin bin{0, kFirstEdge}; bin.begin < measured.end; bin = {bin.end, 2 * bin.end}) {
    if (bin.end > measured.begin) bins.push_back(bin);
  }
  return bins;
}

std::vector<DistanceBin> equal_bins(std::int64_t width, std::int64_t end) {
  std::vector<DistanceBin> bins;
  for (std::int64_t begin = 0; begin < end; begin += std::min(width, end - begin)) {
    bins.push_back({begin, begin + std::min(width, end - begin)});
  }
  return bins;
}

std::vector<DistanceBin> clip_bins(const std::vector<DistanceBin>& bins,
                                   const DistanceBin& measured) {
  std::vector<DistanceBin> clipped;
  for (const DistanceBin& bin : bins) {
    const DistanceBin part{std::max(bin.begin, measured.begin), std::min(bin.end, measured.end)};
    if (part.begin < part.end) clipped.push_back(part);
  }
  if (clipped.empty()) {
    throw std::invalid_argument("expected a bin within the measured distances " +
                                std::to_string(measured.begin) + " to " +
                                std::to_string(measured.end - 1) + ", found none");
  }
  return clipped;
}

NearAndFar near_and_far(const std::vector<std::size_t>& n_subjects) {
  const std::size_t fullest = *std::max_element(n_subjects.begin(), n_subjects.end());
  const auto reached = [enough = std::min(fullest, kEnoughForNearAndFar)](std::size_t n) {
    return n >= enough;
  };
  const auto first = std::find_if(n_subjects.begin(), n_subjects.end(), reached);
  const auto last = std::find_if(n_subjects.rbegin(), n_subjects.rend(), reached);
  return {static_cast<std::size_t>(first - n_subjects.begin()),
          static_cast<std::size_t>(n_subjects.rend() - last - 1)};
}

std::vector<MeasuredSubject> measure(const DocumentRun& document,
                                     const std::vector<DistanceBin>& bins, std::int64_t n_sinks) {
  const RunInfluence& influence = document.influence;
  const auto signals = token_signals(document.signals);
  std::vector<MeasuredSubject> measured;
  for (std::size_t s = 0; s < influence.subjects.size(); ++s) {
    const RunSubject& removed = influence.subjects[s];
    if (removed.is_set() || !is_measured(influence, s)) continue;
    MeasuredSubject subject;
    subject.index = s;
    subject.group = removed.group;
    subject.is_drawn = is_drawn(removed.group);
    subject.is_sink = removed.begin < n_sinks;
    subject.position = removed.begin;
    subject.upos = common_tag(document.tokens, removed.begin, removed.end);
    for (std::size_t k = 0; k < kSignals.size(); ++k) {
      subject.signals[k] =
          mean_of_finite(std::span(signals[k])
                             .subspan(static_cast<std::size_t>(removed.begin),
                                      static_cast<std::size_t>(removed.end - removed.begin)));
    }
    for (const DistanceBin& bin : bins) {
      subject.bins.push_back(bin_influence(influence, s, first_distance_of(influence, s), bin));
    }
    const auto horizon = static_cast<std::int64_t>(influence.noise_floor.size());
    subject.soon = bin_influence(influence, s, 0, {0, kSoon});
    subject.late = bin_influence(influence, s, 0, {horizon / 2, horizon});
    measured.push_back(std::move(subject));
  }
  return measured;
}

std::vector<MeasuredSet> measure_sets(const DocumentRun& document,
                                      const std::vector<DistanceBin>& bins) {
  const RunInfluence& influence = document.influence;
  std::vector<MeasuredSet> measured;
  for (std::size_t s = 0; s < influence.subjects.size(); ++s) {
    if (!influence.subjects[s].is_set() || !is_measured(influence, s)) continue;
    MeasuredSet& set = measured.emplace_back(MeasuredSet{s, influence.subjects[s].group, {}});
    for (const DistanceBin& bin : bins) set.bins.push_back(bin_influence(influence, s, 0, bin));
  }
  return measured;
}

}  // namespace longshadow
