#include "analysis/results/sentence_report.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "data/format/schema.h"
#include "data/format/sentences.h"

namespace longshadow {

namespace {

/// A removed sentence and its influence on the later ones, one after the other.
struct RemovedSentence {
  std::size_t index;   ///< among the document's subjects
  std::size_t number;  ///< of the text's, from 0
  std::uint32_t document;
  bool is_sink;        ///< begins among the first tokens
  std::int64_t first;  ///< how many sentences later the first of `kl_nats` is
  std::vector<double> kl_nats;
  std::vector<double> floor_nats;  ///< mean noise floor over the same positions
};

/// Those of which any later sentence is measured.
std::vector<RemovedSentence> removed_sentences(const DocumentRun& document, std::uint32_t d,
                                               std::int64_t n_sinks) {
  const RunInfluence& influence = document.influence;
  const std::vector<std::int32_t> bounds = sentence_bounds(document.tokens);
  std::vector<RemovedSentence> removed;
  if (bounds.empty()) return removed;
  for (std::size_t s = 0; s < influence.subjects.size(); ++s) {
    const RunSubject& subject = influence.subjects[s];
    if (subject.group != schema::kSentenceGroup) continue;
    SentenceInfluence later = influence_on_sentences(influence, s, bounds);
    const bool is_measured = std::any_of(later.kl_nats.begin(), later.kl_nats.end(),
                                         [](double kl) { return std::isfinite(kl); });
    if (!is_measured) continue;
    const std::int32_t number = document.tokens.sentence[static_cast<std::size_t>(subject.end - 1)];
    removed.push_back({s, static_cast<std::size_t>(number), d, subject.begin < n_sinks,
                       static_cast<std::int64_t>(later.first) - number, later.kl_nats,
                       later.floor_nats});
  }
  return removed;
}

/// Its influence on the sentences that are so many later. A sentence counts once.
BinnedInfluence bin_influence(const RemovedSentence& removed, const DistanceBin& later) {
  return bin_influence(removed.kl_nats, removed.floor_nats, removed.first, later);
}

/// 1, 2, 3 to 4, 5 to 8, ... as far as any sentence is measured.
std::vector<DistanceBin> bins_of(const std::vector<RemovedSentence>& removed) {
  DistanceBin measured{INT32_MAX, 0};
  for (const RemovedSentence& one : removed) {
    measured.begin = std::min(measured.begin, one.first);
    measured.end =
        std::max(measured.end, one.first + static_cast<std::int64_t>(one.kl_nats.size()));
  }
  std::vector<DistanceBin> bins = {{1, 2}};
  while (bins.back().end < measured.end) {
    const std::int64_t begin = bins.back().end;
    bins.push_back({begin, 2 * begin - 1});
  }
  return clip_bins(bins, measured);
}

GroupReport report_group(const std::string& name, const std::vector<RemovedSentence>& removed,
                         bool is_sink, const std::vector<DistanceBin>& bins, bool draws_documents,
                         const BootstrapOptions& bootstrap) {
  std::vector<const RemovedSentence*> members;
  std::vector<std::uint32_t> document;
  for (const RemovedSentence& one : removed) {
    if (one.is_sink != is_sink) continue;
    members.push_back(&one);
    document.push_back(one.document);
  }
  GroupReport report{name, members.size(), {}};
  for (const DistanceBin& bin : bins) {
    std::vector<BinnedInfluence> binned;
    for (const RemovedSentence* one : members) binned.push_back(bin_influence(*one, bin));
    report.cells.push_back(make_cell(binned, document, draws_documents, bootstrap));
  }
  return report;
}

SentenceReport report_removed(const std::string& name, const std::vector<RemovedSentence>& removed,
                              bool draws_documents, const BootstrapOptions& bootstrap) {
  SentenceReport report{name, removed.size(), bins_of(removed), {}, {}};
  for (const bool is_sink : {false, true}) {
    report.groups.push_back(report_group(is_sink ? "sinks" : "all", removed, is_sink, report.bins,
                                         draws_documents, bootstrap));
  }
  return report;
}

/// NaN is below every number.
bool is_less(double a, double b) { return a < b || (std::isnan(a) && !std::isnan(b)); }

double total_of(const RunInfluence& influence, std::size_t s) {
  const std::size_t horizon = influence.noise_floor.size();
  double sum = 0;
  for (const double kl : std::span(influence.kl).subspan(s * horizon, horizon)) {
    if (std::isfinite(kl)) sum += kl;
  }
  return sum;
}

std::vector<InfluentialSentence> top_of(const DocumentRun& document,
                                        const std::vector<RemovedSentence>& removed) {
  std::vector<InfluentialSentence> top;
  for (const RemovedSentence& one : removed) {
    if (one.is_sink) continue;
    const RunSubject& subject = document.influence.subjects[one.index];
    const auto most = std::max_element(one.kl_nats.begin(), one.kl_nats.end(), is_less);
    InfluentialSentence row{one.number, subject.begin, subject.end, subject.label, {}, 0, *most, 0};
    row.most = one.number + static_cast<std::size_t>(one.first + (most - one.kl_nats.begin()));
    row.total_nats = total_of(document.influence, one.index);
    std::transform(kLaterSentences.begin(), kLaterSentences.end(), row.later.begin(),
                   [&](const LaterSentences& later) { return bin_influence(one, later.bin); });
    top.push_back(std::move(row));
  }
  std::stable_sort(top.begin(), top.end(),
                   [](const auto& a, const auto& b) { return a.total_nats > b.total_nats; });
  top.resize(std::min(top.size(), kTopSentences));
  return top;
}

}  // namespace

std::vector<SentenceReport> report_sentences(const std::vector<DocumentRun>& documents,
                                             std::int64_t n_sinks,
                                             const BootstrapOptions& bootstrap) {
  std::vector<SentenceReport> reports;
  std::vector<RemovedSentence> all;
  for (std::uint32_t d = 0; d < documents.size(); ++d) {
    const std::vector<RemovedSentence> removed = removed_sentences(documents[d], d, n_sinks);
    if (removed.empty()) continue;
    reports.push_back(report_removed(documents[d].name, removed, false, bootstrap));
    reports.back().top = top_of(documents[d], removed);
    all.insert(all.end(), removed.begin(), removed.end());
  }
  if (reports.size() < 2) return reports;
  reports.push_back(report_removed("all " + std::to_string(reports.size()) + " documents", all,
                                   reports.size() >= kFewestForInterval, bootstrap));
  return reports;
}

}  // namespace longshadow
