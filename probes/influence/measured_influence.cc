#include "probes/influence/measured_influence.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "data/format/schema.h"
#include "engine/core/error.h"
#include "probes/influence/sketch.h"

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
  throw UsageError("`influence`: expected a run of " + document.name + " with a context of " +
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

/// Makes a map of the means over each bin's positions.
InfluenceMap map_of(const std::vector<std::vector<double>>& means, const Bins& bins) {
  InfluenceMap map{means.front(), means.back(), std::vector<double>(means.front().size())};
  for (std::size_t b = 0; b < bins.size(); ++b) {
    for (std::size_t i = 0; i < map.total.size(); ++i) {
      map.total[i] += means[b][i] * (bins[b][1] - bins[b][0]);
    }
  }
  return map;
}

}  // namespace

InfluenceMap influence_by_head(const DocumentRun& run, const std::string& where) {
  if (!run.sketch || run.sketch->detail != name_of(MapDetail::head)) {
    throw UsageError(
        where + ": expected a sketch of " + run.name +
        " by layer and KV head, found none; `longshadow probe --method sketch --detail "
        "head` makes one");
  }
  const std::vector<float>& all = run.sketch->fi_parts;
  const std::size_t n_bins = run.sketch->bins.size(), size = all.size() / n_bins;
  std::vector<std::vector<double>> means;
  for (std::size_t b = 0; b < n_bins; ++b) {
    means.emplace_back(all.data() + b * size, all.data() + (b + 1) * size);
  }
  return map_of(means, run.sketch->bins);
}

std::span<const double> MeasuredInfluence::of(const PolicyTraits& traits,
                                              const LayerPlace& place) const {
  const InfluenceMap& map = traits.influence_by_head ? by_head : by_token;
  const auto of_layer = [&](const std::vector<double>& values) -> std::span<const double> {
    if (!traits.influence_by_head) return values;
    const std::size_t size = values.size() / place.n_layers;
    return std::span(values).subspan(place.layer * size, size);
  };
  switch (traits.influence) {
    case Influence::near:
      return of_layer(map.near);
    case Influence::far:
      return of_layer(map.far);
    case Influence::total:
      return of_layer(map.total);
    case Influence::none:
      break;
  }
  return {};
}

MeasuredInfluence influence_of(const RunFile& run, const Document& document, std::size_t context,
                               std::span<const PolicyTraits> policies) {
  const DocumentRun& measured = find(run, document, context);
  const Bins bins = bins_of(measured);
  MeasuredInfluence influence;
  if (std::any_of(policies.begin(), policies.end(),
                  [](const PolicyTraits& traits) { return traits.influence_by_head; })) {
    influence.by_head = influence_by_head(measured, "`influence`");
  }
  influence.by_token = map_of(binned(measured, bins), bins);
  const std::vector<double>& total = influence.by_token.total;
  const auto missing =
      std::find_if(total.begin(), total.end(), [](double nats) { return std::isnan(nats); });
  if (missing != total.end()) {
    throw UsageError("`influence`: token " + std::to_string(missing - total.begin()) + " of " +
                     document.name +
                     " is not measured; a run of `longshadow probe --method sketch`, or of "
                     "`--subjects all --evict-at end`, has every token");
  }
  return influence;
}

}  // namespace longshadow
