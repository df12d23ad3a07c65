#include "probes/measured_influence.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "data/format/schema.h"
#include "engine/core/error.h"

namespace longshadow {
namespace {

using Bins = std::vector<std::array<std::int32_t, 2>>;

const DocumentRun& find(const RunFile& run, const Document& document, std::size_t context) {
  for (const DocumentRun& one : run.documents) {
    const bool same_tokens =
        one.source_sha256 == document.source_sha256 &&
        one.context_tokens == static_cast<std::int64_t>(context) &&
        std::equal(one.tokens.id.begin(),
                   one.tokens.id.begin() + static_cast<std::ptrdiff_t>(context),
                   document.tokens.begin(),
                   [](std::int32_t id, const Token& token) { return id == token.id; });
    if (same_tokens) return one;
  }
  throw UsageError("--influence: expected a run of " + document.name + " with a context of " +
                   std::to_string(context) + " tokens of this model, found none in the file");
}

/// The sketch's, or quarters of the horizon with its middle as one.
Bins bins_of(const DocumentRun& run) {
  if (run.sketch) return run.sketch->bins;
  const auto horizon = static_cast<std::int32_t>(run.influence.noise_floor.size());
  if (horizon < 4) return {{0, horizon}};
  const std::int32_t quarter = horizon / 4;
  return {{0, quarter}, {quarter, horizon - quarter}, {horizon - quarter, horizon}};
}

/// Whether the subject is one token that left everywhere when the context ended.
bool is_token_at_end(const DocumentRun& run, std::size_t subject) {
  const RunSubject& one = run.influence.subjects[subject];
  return !one.is_set() && one.end == one.begin + 1 &&
         run.influence.start[subject] == run.context_tokens &&
         run.influence.layers == schema::kEverywhere && run.influence.heads == schema::kEverywhere;
}

/// [bins, T] nats, means over each bin's positions; NaN where nothing was measured.
std::vector<std::vector<double>> binned(const DocumentRun& run, const Bins& bins) {
  const auto context = static_cast<std::size_t>(run.context_tokens);
  const std::size_t horizon = run.influence.noise_floor.size();
  std::vector<std::vector<double>> means(
      bins.size(), std::vector<double>(context, std::numeric_limits<double>::quiet_NaN()));
  if (run.sketch) {
    for (std::size_t b = 0; b < bins.size(); ++b) {
      std::copy_n(run.sketch->fi.data() + b * context, context, means[b].begin());
    }
  }
  for (std::size_t s = 0; s < run.influence.subjects.size(); ++s) {
    if (!is_token_at_end(run, s)) continue;
    for (std::size_t b = 0; b < bins.size(); ++b) {
      const auto [begin, end] = bins[b];
      double sum = 0;
      for (auto h = static_cast<std::size_t>(begin); h < static_cast<std::size_t>(end); ++h) {
        sum += h < horizon ? run.influence.kl[s * horizon + h] : std::nan("");
      }
      if (std::isfinite(sum)) {
        means[b][static_cast<std::size_t>(run.influence.subjects[s].begin)] = sum / (end - begin);
      }
    }
  }
  return means;
}

}  // namespace

std::span<const double> MeasuredInfluence::of(Influence influence) const {
  switch (influence) {
    case Influence::near:
      return near;
    case Influence::far:
      return far;
    case Influence::total:
      return total;
    case Influence::none:
      break;
  }
  return {};
}

MeasuredInfluence influence_of(const RunFile& run, const Document& document, std::size_t context) {
  const DocumentRun& measured = find(run, document, context);
  const Bins bins = bins_of(measured);
  const std::vector<std::vector<double>> means = binned(measured, bins);
  MeasuredInfluence influence{means.front(), means.back(), std::vector<double>(context)};
  for (std::size_t b = 0; b < bins.size(); ++b) {
    for (std::size_t i = 0; i < context; ++i) {
      influence.total[i] += means[b][i] * (bins[b][1] - bins[b][0]);
    }
  }
  const auto missing = std::find_if(influence.total.begin(), influence.total.end(),
                                    [](double nats) { return std::isnan(nats); });
  if (missing != influence.total.end()) {
    throw UsageError("--influence: token " + std::to_string(missing - influence.total.begin()) +
                     " of " + document.name +
                     " is not measured; a run of `longshadow probe --method sketch`, or of "
                     "`--subjects all --evict-at end`, has every token");
  }
  return influence;
}

}  // namespace longshadow
