#include "probes/sketch_options.h"

#include <algorithm>
#include <string_view>

#include "engine/core/error.h"
#include "probes/number_list.h"

namespace longshadow {

namespace po = boost::program_options;

namespace {

constexpr std::size_t kMaxProbes = 4096;
constexpr const char* kOfSketches[] = {"probes", "bins", "probe-kind", "detail", "projections"};
constexpr const char* kOfScreens[] = {"exact", "control"};

constexpr std::size_t kFirstAutomaticEdge = 16;

std::vector<Range> automatic_bins(std::size_t horizon) {
  std::vector<Range> bins;
  std::size_t end = std::min(kFirstAutomaticEdge, horizon);
  for (std::size_t begin = 0; begin < horizon; begin = bins.back().end) {
    bins.push_back({begin, end});
    end = end > horizon / 4 ? horizon : 4 * end;
  }
  return bins;
}

/// "16:64"; an empty range where the text is none.
Range parse_bin(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {};
  const std::optional<std::size_t> begin = whole_number(text.substr(0, colon));
  const std::optional<std::size_t> end = whole_number(text.substr(colon + 1));
  return begin && end ? Range{*begin, *end} : Range{};
}

bool is_given(const po::variables_map& values, const char* name) {
  return !values[name].defaulted();
}

void refuse_if_given(const po::variables_map& values, std::span<const char* const> names,
                     const char* methods) {
  for (const char* name : names) {
    if (is_given(values, name)) {
      throw UsageError("--" + std::string(name) + " belongs to --method " + methods);
    }
  }
}

SketchOptions sketch_options(const po::variables_map& values, const ProbeOptions& probe) {
  SketchOptions sketch;
  sketch.bins = parse_bins(values["bins"].as<std::string>(), probe.horizon);
  sketch.n_probes = values["probes"].as<std::size_t>();
  if (sketch.n_probes < 2 || sketch.n_probes > kMaxProbes) {
    throw UsageError("--probes: expected between 2, which a standard error needs, and " +
                     std::to_string(kMaxProbes) + ", found " + std::to_string(sketch.n_probes));
  }
  sketch.kind = parse_probe_kind(values["probe-kind"].as<std::string>());
  sketch.detail = parse_detail(values["detail"].as<std::string>());
  sketch.keeps_projections = values["projections"].as<bool>();
  if (sketch.keeps_projections && sketch.detail != MapDetail::head) {
    throw UsageError("--projections are by head: expected --detail head, found --detail " +
                     std::string(name_of(sketch.detail)));
  }
  sketch.seed = probe.seed;
  return sketch;
}

ScreenOptions screen_options(const po::variables_map& values) {
  ScreenOptions screen;
  screen.exact_share = parse_share(values["exact"].as<std::string>());
  screen.n_control = values["control"].as<std::size_t>();
  return screen;
}

}  // namespace

std::vector<Range> parse_bins(const std::string& text, std::size_t horizon) {
  if (text == "auto") return automatic_bins(horizon);
  std::vector<Range> bins;
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    const Range bin = parse_bin(item);
    if (bin.begin >= bin.end) {
      throw UsageError("--bins \"" + text +
                       "\": expected BEGIN:END,... with BEGIN < END, found \"" + std::string(item) +
                       "\"");
    }
    if (bin.end > horizon) {
      throw UsageError("--bins \"" + text + "\": " + std::string(item) + " ends beyond --future " +
                       std::to_string(horizon));
    }
    bins.push_back(bin);
    if (comma == std::string_view::npos) return bins;
    rest.remove_prefix(comma + 1);
  }
}

ProbeKind parse_probe_kind(const std::string& text) {
  if (text == "signs") return ProbeKind::signs;
  if (text == "sampled") return ProbeKind::sampled;
  throw UsageError("--probe-kind \"" + text + "\": expected signs or sampled");
}

MapDetail parse_detail(const std::string& text) {
  if (text == "token") return MapDetail::token;
  if (text == "layer") return MapDetail::layer;
  if (text == "head") return MapDetail::head;
  throw UsageError("--detail \"" + text + "\": expected token, layer or head");
}

void add_sketch_options(po::options_description& options) {
  auto add = options.add_options();
  add("probes", po::value<std::size_t>()->default_value(16),
      "sketch: random directions for each bin; errors fall with their square root");
  add("bins", po::value<std::string>()->default_value("auto"),
      "sketch: bins BEGIN:END,... of offsets from the context's end; END is outside (auto: "
      "quadrupling from 16)");
  add("probe-kind", po::value<std::string>()->default_value("signs"),
      "sketch: signs over the whole vocabulary, or sampled tokens");
  add("detail", po::value<std::string>()->default_value("token"),
      "sketch: one map (token), or also one for tokens leaving each layer or KV head (head) alone");
  add("projections", po::bool_switch(),
      "sketch: with --detail head, also keep each probe's derivatives by layer, head and token "
      "(sketch/g), of which any set's second-order cost follows");
  add("exact", po::value<std::string>()->default_value("10%"),
      "screen: share of the tokens with the highest sketch, in the first bin and in the last, that "
      "is measured exactly");
  add("control", po::value<std::size_t>()->default_value(128),
      "screen: randomly drawn tokens that are measured exactly, to hold the sketch to");
}

bool asks_for_sketch(const po::variables_map& values) {
  const std::string& method = values["method"].as<std::string>();
  return method == "sketch" || method == "screen";
}

void read_sketch_options(const po::variables_map& values, ProbeOptions& probe) {
  const bool screens = values["method"].as<std::string>() == "screen";
  if (!screens) refuse_if_given(values, kOfScreens, "screen");
  if (!asks_for_sketch(values)) {
    refuse_if_given(values, kOfSketches, "sketch or screen");
    return;
  }
  if (is_given(values, "subjects") && probe.subjects != "all") {
    throw UsageError("--method " + values["method"].as<std::string>() +
                     " looks at every token: expected --subjects all, found \"" + probe.subjects +
                     "\"");
  }
  if (is_given(values, "layers") || is_given(values, "heads")) {
    throw UsageError(
        "--layers and --heads belong to counterfactuals of chosen subjects; --detail "
        "layer and --detail head map tokens that leave one layer or KV head");
  }
  if (is_given(values, "evict-at") && probe.evict_at.kind != EvictAt::Kind::end) {
    throw UsageError(
        "--evict-at: a sketch estimates what tokens do that leave at the context's "
        "end, expected end");
  }
  probe.subjects = "all";
  probe.evict_at = {EvictAt::Kind::end, 0};
  probe.method = Method::differential;
  probe.sketch = sketch_options(values, probe);
  if (screens) probe.screen = screen_options(values);
}

nlohmann::json sketch_configuration(const ProbeOptions& probe) {
  if (!probe.sketch) return nullptr;
  nlohmann::json configuration{{"probes", probe.sketch->n_probes},
                               {"probe_kind", name_of(probe.sketch->kind)},
                               {"detail", name_of(probe.sketch->detail)}};
  for (const Range& bin : probe.sketch->bins) {
    configuration["bins"].push_back({bin.begin, bin.end});
  }
  if (probe.sketch->keeps_projections) configuration["projections"] = true;
  if (probe.screen) {
    configuration["exact"] = probe.screen->exact_share;
    configuration["control"] = probe.screen->n_control;
  }
  return configuration;
}

}  // namespace longshadow
