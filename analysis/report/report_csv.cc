#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include "analysis/report/report.h"

namespace longshadow {

namespace {

/// Every digit that tells the double from its neighbours; nothing for NaN.
std::string exact(double value) {
  if (std::isnan(value)) return "";
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// As RFC 4180 has it.
std::string quoted(const std::string& text) {
  std::string inside;
  for (const char c : text) inside += c == '"' ? "\"\"" : std::string(1, c);
  return '"' + inside + '"';
}

Estimate alone(double value) { return {value, std::nan(""), std::nan("")}; }

/// The lines of one sample.
class Lines {
 public:
  Lines(std::string& csv, const std::string& sample) : csv_(csv), sample_(sample) {}

  /// `bin` null: the number is of no bin. `n` is what the statistic is of.
  void add(const char* table, const std::string& name, const DistanceBin* bin, std::size_t n,
           const std::string& statistic, const Estimate& estimate) {
    csv_ += quoted(sample_) + ',' + table + ',' + quoted(name) + ',';
    csv_ += bin == nullptr ? "," : std::to_string(bin->begin) + ',' + std::to_string(bin->end);
    csv_ += ',' + std::to_string(n) + ',' + statistic + ',' + exact(estimate.value) + ',' +
            exact(estimate.low) + ',' + exact(estimate.high) + '\n';
  }

  void add(const char* table, const std::vector<GroupReport>& groups,
           const std::vector<DistanceBin>& bins) {
    for (const GroupReport& group : groups) {
      for (std::size_t b = 0; b < bins.size(); ++b) {
        const Cell& cell = group.cells[b];
        const Estimate floor = alone(static_cast<double>(cell.n_below_floor));
        add(table, group.name, &bins[b], cell.n_subjects, "mean_nats", cell.mean.estimate);
        add(table, group.name, &bins[b], cell.n_subjects, "trimmed_mean_nats",
            cell.trimmed_mean.estimate);
        add(table, group.name, &bins[b], cell.n_subjects, "median_nats", cell.median.estimate);
        add(table, group.name, &bins[b], cell.n_values, "n_below_floor", floor);
      }
    }
  }

 private:
  std::string& csv_;
  const std::string& sample_;
};

void add_correlations(Lines& lines, const SampleReport& sample,
                      const std::vector<DistanceBin>& bins) {
  for (const SignalReport& signal : sample.signals) {
    for (std::size_t b = 0; b < bins.size(); ++b) {
      const Correlation& one = signal.correlations[b];
      lines.add("rank_correlations", signal.name, &bins[b], one.n_subjects, "spearman",
                one.rank_correlation);
      lines.add("rank_correlations", signal.name, &bins[b], one.n_subjects, "partial", one.partial);
    }
  }
}

void add_entropy(Lines& lines, const EntropyReport& entropy) {
  constexpr const char* kTable = "entropy_by_part_of_speech";
  constexpr std::array kMean = {"mean_before_nats", "mean_at_nats"};
  constexpr std::array kMedian = {"median_before_nats", "median_at_nats"};
  for (std::size_t reading = 0; reading < kEntropyReadings.size(); ++reading) {
    for (const EntropyRow& row : entropy.rows) {
      lines.add(kTable, row.name, nullptr, row.n_tokens, kMean[reading], row.mean[reading]);
      lines.add(kTable, row.name, nullptr, row.n_tokens, kMedian[reading], row.median[reading]);
    }
    if (entropy.rows.empty()) continue;
    lines.add(kTable, "content less function", nullptr, 0, kMean[reading],
              entropy.difference[reading]);
  }
}

void add_claims(Lines& lines, const ClaimsReport& claims) {
  for (const ClaimReport& claim : claims.claims) {
    lines.add("claims", claim.claim, nullptr, claim.n_units, "rank_correlation", claim.correlation);
    lines.add("claims", claim.claim, nullptr, claim.n_units, "p", alone(claim.p));
    lines.add("claims", claim.claim, nullptr, claim.n_units, "p_holm", alone(claim.p_holm));
  }
}

void add_sample(std::string& csv, const SampleReport& sample, const Report& report) {
  const std::vector<DistanceBin>& bins = report.options.bins;
  Lines lines(csv, sample.name);
  lines.add("groups", sample.groups, bins);
  lines.add("quarters", sample.quarters, bins);
  lines.add("parts_of_speech", sample.parts_of_speech, bins);
  add_correlations(lines, sample, bins);
  add_entropy(lines, sample.entropy);
  add_claims(lines, sample.claims);
  lines.add("sets", sample.sets, report.set_bins);
}

void add_sentences(std::string& csv, const SentenceReport& sentences) {
  Lines lines(csv, sentences.name);
  lines.add("sentences", sentences.groups, sentences.bins);
  for (const InfluentialSentence& one : sentences.top) {
    const std::string name = std::to_string(one.number) + ": " + one.text;
    for (std::size_t b = 0; b < kLaterSentences.size(); ++b) {
      lines.add("top_sentences", name, nullptr, one.later[b].n_values,
                std::string("mean_nats ") + kLaterSentences[b].name,
                alone(one.later[b].upper_mean));
    }
    lines.add("top_sentences", name, nullptr, 1, "most", alone(static_cast<double>(one.most)));
    lines.add("top_sentences", name, nullptr, 1, "mean_nats most", alone(one.most_nats));
    lines.add("top_sentences", name, nullptr, 1, "total_nats", alone(one.total_nats));
  }
}

}  // namespace

std::string report_csv(const Report& report) {
  std::string csv = "sample,table,name,bin_begin,bin_end,n,statistic,value,low,high\n";
  for (const SampleReport& document : report.documents) add_sample(csv, document, report);
  if (report.pooled) add_sample(csv, *report.pooled, report);
  for (const SentenceReport& one : report.sentences) add_sentences(csv, one);
  return csv;
}

}  // namespace longshadow
