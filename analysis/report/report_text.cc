#include <algorithm>
#include <cmath>
#include <numeric>
#include <ostream>
#include <string>
#include <vector>

#include "analysis/report/report.h"
#include "analysis/report/report_sections.h"
#include "analysis/report/report_table.h"

namespace longshadow {

namespace {

constexpr std::size_t kSetCountWidth = 5;
constexpr std::size_t kMostChunks = 7;  // as columns

std::string number_text(double value) { return std::isnan(value) ? "-" : scientific(value); }

/// Without the interval.
std::string bound_text(const InfluenceEstimate& influence) {
  return (influence.is_bound ? "<" : "") + number_text(influence.estimate.value);
}

/// Of a column of names, with the space after it.
std::size_t name_width(const std::vector<GroupReport>& groups) {
  std::size_t width = kGroupWidth;
  for (const GroupReport& group : groups) width = std::max(width, group.name.size() + 3);
  return width;
}

void print_bin(std::ostream& out, const SampleReport& sample, const DistanceBin& distance,
               std::size_t bin) {
  const std::size_t width = name_width(sample.groups);
  out << "\n"
      << left("distance " + distance_text(distance), width) << right("subjects", kCountWidth)
      << right("values", kCountWidth) << right("<floor", kCountWidth) << "  "
      << left("mean, nats", kEstimateWidth) << left("trimmed", kNumberWidth) << "median, nats\n";
  for (const GroupReport& group : sample.groups) {
    const Cell& cell = group.cells[bin];
    if (cell.n_subjects == 0) continue;
    out << left("  " + group.name, width) << right(std::to_string(cell.n_subjects), kCountWidth)
        << right(std::to_string(cell.n_values), kCountWidth)
        << right(std::to_string(cell.n_below_floor), kCountWidth) << "  "
        << left(influence_text(cell.mean), kEstimateWidth)
        << left(bound_text(cell.trimmed_mean), kNumberWidth) << influence_text(cell.median) << "\n";
  }
}

void print_correlations(std::ostream& out, const SampleReport& sample,
                        const std::vector<DistanceBin>& bins) {
  const auto column = [&](const char* name, std::size_t bin) {
    return name + (" (" + distance_text(bins[bin]) + ")");
  };
  const auto print_row = [&](const std::string& name, const Estimate& near, std::size_t n_near,
                             const Estimate& far, std::size_t n_far) {
    out << left("  " + name, kGroupWidth) << right(std::to_string(n_near), kCountWidth) << "  "
        << left(with_interval(near, decimal), kEstimateWidth)
        << right(std::to_string(n_far), kCountWidth) << "  " << with_interval(far, decimal) << "\n";
  };
  out << "\n"
      << left("rank correlation with", kGroupWidth) << right("subjects", kCountWidth) << "  "
      << left(column("near", sample.near_bin), kEstimateWidth) << right("subjects", kCountWidth)
      << "  " << column("far", sample.far_bin) << "\n";
  for (const SignalReport& signal : sample.signals) {
    const Correlation& near = signal.correlations[sample.near_bin];
    const Correlation& far = signal.correlations[sample.far_bin];
    print_row(signal.name, near.rank_correlation, near.n_subjects, far.rank_correlation,
              far.n_subjects);
    print_row("  partial", near.partial, near.n_subjects, far.partial, far.n_subjects);
  }
}

/// Indices of the chunks that become columns: the first, the last, and between them as many as fit,
/// with ever more left out.
std::vector<std::size_t> shown_chunks(std::size_t n_chunks) {
  std::vector<std::size_t> shown;
  for (std::size_t column = 0; column < kMostChunks; ++column) {
    const double exponent = static_cast<double>(column) / (kMostChunks - 1);
    const double place = std::pow(static_cast<double>(n_chunks), exponent);
    const auto chunk = static_cast<std::size_t>(std::lround(place)) - 1;
    if (shown.empty() || chunk > shown.back()) shown.push_back(chunk);
  }
  return shown;
}

/// Means side by side: what a set does at each position is to be compared with another's. Under
/// them, where there are enough sets, their intervals.
void print_sets(std::ostream& out, const SampleReport& sample, const Report& report) {
  const std::vector<DistanceBin>& bins = report.set_bins;
  std::vector<std::size_t> shown(bins.size());
  std::iota(shown.begin(), shown.end(), 0);
  if (report.options.chunk > 0) shown = shown_chunks(bins.size());
  const std::size_t width = name_width(sample.sets);
  const auto print_row = [&](const std::string& name, const std::string& count, const auto& text) {
    out << left("  " + name, width) << right(count, kSetCountWidth);
    for (const std::size_t bin : shown) {
      out << right(text(bin), std::max(kNumberWidth, distance_text(bins[bin]).size() + 2));
    }
    out << "\n";
  };
  out << "\nremoved at once, mean nats in positions after the start\n";
  print_row("", "sets", [&](std::size_t bin) { return distance_text(bins[bin]); });
  for (const GroupReport& set : sample.sets) {
    print_row(set.name, std::to_string(set.n_subjects),
              [&](std::size_t bin) { return bound_text(set.cells[bin].mean); });
    if (set.n_subjects < kFewestForInterval) continue;
    print_row("  95%, from", "",
              [&](std::size_t bin) { return number_text(set.cells[bin].mean.estimate.low); });
    print_row("  to", "",
              [&](std::size_t bin) { return number_text(set.cells[bin].mean.estimate.high); });
  }
  if (shown.size() < bins.size()) {
    out << "  " << shown.size() << " of " << bins.size()
        << " chunks; --json and --csv write them all\n";
  }
}

void print_sample(std::ostream& out, const SampleReport& sample, const Report& report) {
  const std::vector<DistanceBin>& bins = report.options.bins;
  out << "\n" << sample.name << "\n";
  if (!sample.conditions.empty()) out << sample.conditions << "\n";
  out << sample.n_subjects + sample.n_sets << " subjects measured";
  if (sample.n_population < sample.n_subjects) {
    out << ", " << sample.n_population << " of them in all";
  }
  if (sample.n_sets > 0) out << ", " << sample.n_sets << " of them sets";
  if (sample.n_missing > 0) out << ", " << sample.n_missing << " missing";
  if (sample.noise_floor == 0) {
    out << "; no noise floor\n";
  } else {
    out << "; noise floor at most " << scientific(sample.noise_floor) << " nats\n";
  }
  for (std::size_t bin = 0; bin < bins.size(); ++bin) print_bin(out, sample, bins[bin], bin);
  if (!bins.empty()) print_correlations(out, sample, bins);
  if (!sample.sets.empty()) print_sets(out, sample, report);
}

/// Tables of one sample alone: of the pool, where there is one.
void print_kinds(std::ostream& out, const SampleReport& sample,
                 const std::vector<DistanceBin>& bins) {
  if (!bins.empty()) {
    print_quarters(out, sample, bins);
    if (!sample.entropy.rows.empty()) print_parts_of_speech(out, sample, bins);
  }
  if (!sample.entropy.rows.empty()) print_entropy(out, sample.entropy, sample.draws_documents);
  if (!bins.empty()) print_claims(out, sample.claims);
}

void print_legend(std::ostream& out, const Report& report) {
  const AnalyzeOptions& options = report.options;
  const bool draws_documents = report.pooled && report.pooled->draws_documents;
  out << "Influence against distance: " << report.model.name << "\n"
      << "In brackets: 95% bootstrap interval over "
      << (draws_documents ? "subjects, of all documents over documents (" : "subjects (")
      << options.bootstrap.replicates << " draws, seed " << options.bootstrap.seed << "), from "
      << kFewestForInterval << " on.\n"
      << "all: subjects chosen without a look at a signal, or every one where all were chosen; the "
         "sinks (the first "
      << options.sample.n_sinks << "\ntokens) are apart; top: the highest "
      << formatted("%g", 100 * options.sample.top_share)
      << "% of all by a signal; trimmed: the mean without the lowest and highest tenth.\n"
      << "partial: rank correlation given the subject's position; of five documents on, of ranks "
         "within each.\n"
      << "<floor: values at or under the noise floor. They enter as the floor, and < before a "
         "number says\nthat the truth may be more than 5% smaller.\n";
}

}  // namespace

void print_report(std::ostream& out, const Report& report) {
  if (!report.documents.empty()) print_legend(out, report);
  for (const SampleReport& document : report.documents) print_sample(out, document, report);
  if (report.pooled) print_sample(out, *report.pooled, report);
  if (!report.documents.empty()) {
    print_kinds(out, report.pooled ? *report.pooled : report.documents.front(),
                report.options.bins);
  }
  if (!report.sentences.empty()) print_sentences(out, report.sentences);
  if (!report.sketches.empty()) print_sketches(out, report.sketches);
  if (report.retention) print_retention(out, *report.retention);
}

}  // namespace longshadow
