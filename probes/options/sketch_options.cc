#include "probes/options/sketch_options.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "engine/core/error.h"
#include "engine/text/number_list.h"
#include "probes/options/option_set.h"

namespace longshadow {
namespace {

constexpr std::size_t kMaxProbes = 4096;
constexpr std::size_t kFirstAutomaticEdge = 16;

/// Reads "16:64"; an empty range where the text is none.
Range parse_bin(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {};
  const std::optional<std::size_t> begin = whole_number(text.substr(0, colon));
  const std::optional<std::size_t> end = whole_number(text.substr(colon + 1));
  return begin && end ? Range{*begin, *end} : Range{};
}

}  // namespace

double parse_share(const std::string& text) {
  const std::optional<double> percent = percentage(text);
  if (!percent) throw UsageError("expected a share above 0% and at most 100%, as in 10%");
  return *percent / 100;
}

GivenBins parse_bins(const std::string& text) {
  GivenBins bins;
  if (text == "auto") return bins;
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    const Range bin = parse_bin(item);
    if (bin.begin >= bin.end) {
      throw UsageError("expected BEGIN:END,... with BEGIN < END, found \"" + std::string(item) +
                       "\"");
    }
    bins.push_back(bin);
    if (comma == std::string_view::npos) return bins;
    rest.remove_prefix(comma + 1);
  }
}

std::vector<Range> automatic_bins(std::size_t horizon) {
  std::vector<Range> bins;
  std::size_t end = std::min(kFirstAutomaticEdge, horizon);
  for (std::size_t begin = 0; begin < horizon; begin = bins.back().end) {
    bins.push_back({begin, end});
    end = end > horizon / 4 ? horizon : 4 * end;
  }
  return bins;
}

void SketchingOptions::declare(OptionSet& options, const std::function<bool()>& sketches,
                               const std::function<bool()>& screens) {
  const Condition for_sketches{sketches, "belongs to --method sketch or screen"};
  const Condition for_screens{screens, "belongs to --method screen"};
  options
      .add("probes", value(n_probes),
           "sketch: random directions for each bin; errors fall with their square root")
      .decides("sketch/probes")
      .only(for_sketches);
  options
      .add("bins", parsed(bins, parse_bins, "auto"),
           "sketch: bins BEGIN:END,... of offsets from the context's end; END is outside (auto: "
           "quadrupling from 16)")
      .leads_to("sketch/bins")
      .only(for_sketches);
  options
      .add("probe-kind", choice_by_name(kind, {ProbeKind::signs, ProbeKind::sampled}),
           "sketch: signs over the whole vocabulary, or sampled tokens")
      .decides("sketch/probe_kind")
      .only(for_sketches);
  options
      .add("detail", choice_by_name(detail, {MapDetail::token, MapDetail::layer, MapDetail::head}),
           "sketch: one map (token), or also one for tokens leaving each layer or KV head (head) "
           "alone")
      .decides("sketch/detail")
      .only(for_sketches);
  options
      .add("projections", flag(keeps_projections),
           "sketch: with --detail head, also keep each probe's derivatives by layer, head and "
           "token (sketch/g), of which any set's second-order cost follows")
      .decides_if_given("sketch/projections")
      .only(for_sketches);
  options
      .add("exact", parsed(exact_share, parse_share, "10%"),
           "screen: share of the tokens with the highest sketch, in the first bin and in the last, "
           "that is measured exactly")
      .decides("sketch/exact")
      .only(for_screens);
  options
      .add("control", value(n_control),
           "screen: randomly drawn tokens that are measured exactly, to hold the sketch to")
      .decides("sketch/control")
      .only(for_screens);
}

SketchOptions SketchingOptions::sketch(std::size_t horizon, std::uint64_t seed) const {
  for (const Range& bin : bins) {
    if (bin.end > horizon) {
      throw UsageError("--bins: " + std::to_string(bin.begin) + ":" + std::to_string(bin.end) +
                       " ends beyond --future " + std::to_string(horizon));
    }
  }
  if (n_probes < 2 || n_probes > kMaxProbes) {
    throw UsageError("--probes: expected between 2, which a standard error needs, and " +
                     std::to_string(kMaxProbes) + ", found " + std::to_string(n_probes));
  }
  if (keeps_projections && detail != MapDetail::head) {
    throw UsageError("--projections are by head: expected --detail head, found --detail " +
                     std::string(name_of(detail)));
  }
  return {bins.empty() ? automatic_bins(horizon) : bins,
          n_probes,
          kind,
          detail,
          keeps_projections,
          seed};
}

nlohmann::json bins_configuration(const SketchOptions& sketch) {
  nlohmann::json bins = nlohmann::json::array();
  for (const Range& bin : sketch.bins) bins.push_back({bin.begin, bin.end});
  return bins;
}

}  // namespace longshadow
