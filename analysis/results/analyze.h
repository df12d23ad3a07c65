#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/results/calibration.h"
#include "analysis/results/claims.h"
#include "analysis/results/entropy_by_tag.h"
#include "analysis/results/influence_report.h"
#include "analysis/results/retention.h"
#include "analysis/results/sentence_report.h"
#include "analysis/statistics/measurements.h"
#include "analysis/statistics/statistics.h"
#include "data/format/run_file.h"

namespace longshadow {

struct AnalyzeOptions {
  std::vector<DistanceBin> bins;  ///< of spans; empty: default_bins()
  std::int64_t chunk = 0;         ///< positions in a bin of sets; 0: default_bins()
  SampleOptions sample;
  BootstrapOptions bootstrap;
};

/// One document, or all of them pooled.
struct SampleReport {
  std::string name;
  std::string conditions;  ///< how it was measured, one line; empty for the pool
  std::size_t n_documents = 1;
  std::size_t n_subjects = 0;    ///< spans
  std::size_t n_population = 0;  ///< see Sample::population
  bool draws_documents = false;  ///< intervals are over documents, not over single subjects
  std::size_t n_missing = 0;     ///< subjects the run has no influence for
  double noise_floor = 0;        ///< nats, the largest over the horizon
  std::vector<GroupReport> groups;
  std::vector<GroupReport> quarters;
  std::vector<GroupReport> parts_of_speech;
  std::vector<SignalReport> signals;
  EntropyReport entropy;
  ClaimsReport claims;
  std::size_t n_sets = 0;
  std::vector<GroupReport> sets;  ///< one cell for each of Analysis::set_bins
  std::size_t near_bin = 0;       ///< as near_and_far() chooses them
  std::size_t far_bin = 0;
};

struct Analysis {
  RunModel model;
  /// The options asked for, with the bins that were used, clipped to the measured distances. A run
  /// of sets alone has none.
  AnalyzeOptions options;
  std::size_t attention = 0;              ///< index of the signal that stands for it in the claims
  std::vector<DistanceBin> set_bins;      ///< of positions after the start; none without sets
  std::vector<SampleReport> documents;    ///< those with counterfactuals
  std::optional<SampleReport> pooled;     ///< where there is more than one of them
  std::vector<SentenceReport> sentences;  ///< as report_sentences() has them
  std::vector<SketchReport> sketches;     ///< of the documents that have one
  std::optional<RetentionReport> retention;
};

/// Analyses a run. Groups are those of Sample, for each document and for all of them pooled. Sets,
/// tokens with others between them, are in none of these: they are grouped by what the run
/// recorded. Throws std::invalid_argument where no bin holds a measured distance, or where there
/// are chunks but no sets.
Analysis analyze(const RunFile& run, const AnalyzeOptions& options);

}  // namespace longshadow
