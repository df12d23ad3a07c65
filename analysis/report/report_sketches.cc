#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "analysis/report/report_sections.h"
#include "analysis/report/report_table.h"

namespace longshadow {

namespace {

void print_calibration(std::ostream& out, const SketchReport& sketch) {
  out << "\n"
      << left("offset", kGroupWidth) << right("error", kCountWidth) << right("control", kCountWidth)
      << "  " << left("sketch / exact, median", kEstimateWidth)
      << left("rank correlation", kEstimateWidth) << "top\n";
  for (const CalibrationBin& bin : sketch.bins) {
    out << left("  " + distance_text(bin.offsets), kGroupWidth)
        << right(formatted("%.0f%%", 100 * bin.relative_standard_error), kCountWidth)
        << right(std::to_string(bin.n_control), kCountWidth) << "  "
        << left(with_interval(bin.ratio, decimal), kEstimateWidth)
        << left(with_interval(bin.rank_correlation, three_decimals), kEstimateWidth)
        << bin.n_top_found << " of " << bin.n_top << "\n";
  }
}

void print_misjudged(std::ostream& out, const SketchReport& sketch) {
  out << "\n"
      << left("furthest off", kGroupWidth) << right("token", kCountWidth) << "  "
      << left("group", kCountWidth) << right("exact", kCountWidth) << right("sketch", kCountWidth)
      << right("ratio", kCountWidth) << right("attention", kCountWidth + 3) << "  why\n";
  for (const CalibrationBin& bin : sketch.bins) {
    for (const MisjudgedToken& one : bin.worst) {
      out << left("  " + distance_text(bin.offsets), kGroupWidth)
          << right(std::to_string(one.token), kCountWidth) << "  " << left(one.group, kCountWidth)
          << right(scientific(one.exact), kCountWidth) << right(scientific(one.sketch), kCountWidth)
          << right(decimal(one.sketch / one.exact), kCountWidth)
          << right(decimal(one.attention), kCountWidth + 3) << "  " << one.reason << "\n";
    }
  }
}

void print_sketch(std::ostream& out, const SketchReport& sketch) {
  out << "\n"
      << sketch.name << ": sketch of " << sketch.n_tokens << " tokens, " << sketch.n_measured
      << " of them measured exactly\n"
      << sketch.conditions << "\n";
  print_calibration(out, sketch);
  if (sketch.n_measured > 0) print_misjudged(out, sketch);
}

Json json_of(const MisjudgedToken& one) {
  return {{"token", one.token},      {"text", one.text},          {"group", one.group},
          {"exact_nats", one.exact}, {"sketch_nats", one.sketch}, {"attention", one.attention},
          {"reason", one.reason}};
}

}  // namespace

void print_sketches(std::ostream& out, const std::vector<SketchReport>& sketches) {
  out << "\nThe sketch beside exact influence.\n"
         "error: its relative standard error over the probes, median over tokens. control: a "
         "random\n"
         "sample of the tokens, which ratio, correlation and top are of. top: of the control's 16\n"
         "highest, those in the sketch's first 24. attention: the largest share of a head's that "
         "the\n"
         "token held at the context's end. why: chance (the probes alone may explain it), a sink, "
         "one\n"
         "of the newest 64 tokens, or attention (a quarter of a head's and more).\n";
  for (const SketchReport& sketch : sketches) print_sketch(out, sketch);
}

Json json_of(const SketchReport& sketch) {
  Json bins = Json::array();
  for (const CalibrationBin& bin : sketch.bins) {
    Json worst = Json::array();
    for (const MisjudgedToken& one : bin.worst) worst.push_back(json_of(one));
    bins.push_back({{"offset", json_of(bin.offsets)},
                    {"relative_standard_error", bin.relative_standard_error},
                    {"n_control", bin.n_control},
                    {"ratio", json_of(bin.ratio)},
                    {"rank_correlation", json_of(bin.rank_correlation)},
                    {"n_top", bin.n_top},
                    {"n_top_found", bin.n_top_found},
                    {"worst", worst}});
  }
  return {{"name", sketch.name},
          {"conditions", sketch.conditions},
          {"n_tokens", sketch.n_tokens},
          {"n_measured", sketch.n_measured},
          {"bins", bins}};
}

}  // namespace longshadow
