#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <string>
#include <vector>

#include "analysis/analyze.h"

namespace longshadow {

namespace {

constexpr std::size_t kGroupWidth = 27;
constexpr std::size_t kCountWidth = 8;
constexpr std::size_t kEstimateWidth = 26;
constexpr std::size_t kSetCountWidth = 5;
constexpr std::size_t kSetMeanWidth = 9;

std::string formatted(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// Two significant digits, the exponent without padding: "1.2e-6".
std::string scientific(double value) {
  if (value == 0) return "0";
  const std::string text = formatted("%.1e", value);
  const std::size_t e = text.find('e');
  return text.substr(0, e + 1) + std::to_string(std::stoi(text.substr(e + 1)));
}

std::string decimal(double value) { return formatted("%.2f", value); }

/// "value [low, high]", or what of it is known.
std::string with_interval(const Estimate& estimate, std::string (*number)(double)) {
  if (std::isnan(estimate.value)) return "-";
  if (std::isnan(estimate.low)) return number(estimate.value);
  return number(estimate.value) + " [" + number(estimate.low) + ", " + number(estimate.high) + "]";
}

std::string influence_text(const InfluenceEstimate& influence) {
  return (influence.is_bound ? "<" : "") + with_interval(influence.estimate, scientific);
}

std::string distance_text(const DistanceBin& bin) {
  return std::to_string(bin.begin) + "-" + std::to_string(bin.end - 1);
}

std::string left(const std::string& text, std::size_t width) {
  return text + std::string(text.size() < width ? width - text.size() : 1, ' ');
}

std::string right(const std::string& text, std::size_t width) {
  return std::string(text.size() < width ? width - text.size() : 1, ' ') + text;
}

void print_bin(std::ostream& out, const SampleReport& sample, const DistanceBin& distance,
               std::size_t bin) {
  out << "\n"
      << left("distance " + distance_text(distance), kGroupWidth) << right("subjects", kCountWidth)
      << right("values", kCountWidth) << right("<floor", kCountWidth) << "  "
      << left("mean, nats", kEstimateWidth) << "median, nats\n";
  for (const GroupReport& group : sample.groups) {
    const Cell& cell = group.cells[bin];
    if (cell.n_subjects == 0) continue;
    out << left("  " + group.name, kGroupWidth)
        << right(std::to_string(cell.n_subjects), kCountWidth)
        << right(std::to_string(cell.n_values), kCountWidth)
        << right(std::to_string(cell.n_below_floor), kCountWidth) << "  "
        << left(influence_text(cell.mean), kEstimateWidth) << influence_text(cell.median) << "\n";
  }
}

void print_correlations(std::ostream& out, const SampleReport& sample,
                        const std::vector<DistanceBin>& bins) {
  const auto column = [&](const char* name, std::size_t bin) {
    return name + (" (" + distance_text(bins[bin]) + ")");
  };
  out << "\n"
      << left("rank correlation with", kGroupWidth) << right("subjects", kCountWidth) << "  "
      << left(column("near", sample.near_bin), kEstimateWidth) << right("subjects", kCountWidth)
      << "  " << column("far", sample.far_bin) << "\n";
  for (const SignalReport& signal : sample.signals) {
    const Correlation& near = signal.correlations[sample.near_bin];
    const Correlation& far = signal.correlations[sample.far_bin];
    out << left("  " + signal.name, kGroupWidth)
        << right(std::to_string(near.n_subjects), kCountWidth) << "  "
        << left(with_interval(near.rank_correlation, decimal), kEstimateWidth)
        << right(std::to_string(far.n_subjects), kCountWidth) << "  "
        << with_interval(far.rank_correlation, decimal) << "\n";
  }
}

/// Means alone, side by side: what a set does at each position is to be compared with another's.
void print_sets(std::ostream& out, const SampleReport& sample,
                const std::vector<DistanceBin>& bins) {
  std::size_t name_width = kGroupWidth;
  for (const GroupReport& set : sample.sets) {
    name_width = std::max(name_width, set.name.size() + 3);
  }
  out << "\n" << left("removed at once, mean nats", name_width) << right("sets", kSetCountWidth);
  for (const DistanceBin& bin : bins) out << right(distance_text(bin), kSetMeanWidth);
  out << "  after the start\n";
  for (const GroupReport& set : sample.sets) {
    out << left("  " + set.name, name_width)
        << right(std::to_string(set.n_subjects), kSetCountWidth);
    for (const Cell& cell : set.cells) {
      const std::string bound = cell.mean.is_bound ? "<" : "";
      out << right(cell.n_values == 0 ? "-" : bound + scientific(cell.mean.estimate.value),
                   kSetMeanWidth);
    }
    out << "\n";
  }
}

void print_sample(std::ostream& out, const SampleReport& sample, const Report& report) {
  const std::vector<DistanceBin>& bins = report.options.bins;
  out << "\n" << sample.name << "\n";
  if (!sample.conditions.empty()) out << sample.conditions << "\n";
  out << sample.n_subjects + sample.n_sets << " subjects measured";
  if (sample.n_sets > 0) out << ", " << sample.n_sets << " of them sets";
  if (sample.n_missing > 0) out << ", " << sample.n_missing << " missing";
  if (sample.noise_floor == 0) {
    out << "; no noise floor\n";
  } else {
    out << "; noise floor at most " << scientific(sample.noise_floor) << " nats\n";
  }
  for (std::size_t bin = 0; bin < bins.size(); ++bin) print_bin(out, sample, bins[bin], bin);
  if (!bins.empty()) print_correlations(out, sample, bins);
  if (!sample.sets.empty()) print_sets(out, sample, report.set_bins);
}

std::string three_decimals(double value) { return formatted("%.3f", value); }

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

void print_legend(std::ostream& out, const Report& report) {
  const AnalyzeOptions& options = report.options;
  out << "Influence against distance: " << report.model.name << "\n"
      << "In brackets: 95% bootstrap interval over subjects (" << options.bootstrap.replicates
      << " draws, seed " << options.bootstrap.seed << "), from " << kFewestForInterval
      << " subjects on.\n"
      << "all: every subject but the sinks (the first " << options.n_sinks
      << " tokens); top: the highest " << formatted("%g", 100 * options.top_share)
      << "% of those by a signal.\n"
      << "<floor: values at or under the noise floor. They enter as the floor, and < before a "
         "number says\nthat the truth may be more than 5% smaller.\n";
}

}  // namespace

void print_report(std::ostream& out, const Report& report) {
  if (!report.documents.empty()) print_legend(out, report);
  for (const SampleReport& document : report.documents) print_sample(out, document, report);
  if (report.pooled) print_sample(out, *report.pooled, report);
  if (!report.sketches.empty()) print_sketches(out, report.sketches);
  if (report.retention) print_retention(out, *report.retention);
}

}  // namespace longshadow
