#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "analysis/statistics/measurements.h"
#include "analysis/statistics/statistics.h"
#include "data/format/run_file.h"

namespace longshadow {

/// Indices into a sample's subjects, ascending or by rank.
using Members = std::vector<std::size_t>;

struct Group {
  std::string name;
  Members members;
};

/// Words of the context, a token at a time: those that have a part of speech, sinks apart.
struct TaggedTokens {
  std::vector<std::uint8_t> upos;
  std::vector<double> entropy_before;  ///< nats
  std::vector<double> entropy_at;      ///< nats
  std::vector<std::uint32_t> document;
};

/// The subjects, sets and tokens of one document, or of several pooled, and the groups they are
/// described in.
struct Sample {
  std::size_t n_documents = 1;
  std::vector<MeasuredSubject> subjects;  ///< spans
  std::vector<std::uint32_t> document;    ///< [subjects] from 0
  /// Subjects that stand for the document, sinks apart: those chosen without a look at any signal,
  /// or, where there are none, all.
  Members population;
  std::vector<Group> groups;           ///< see make_sample()
  std::vector<Group> quarters;         ///< of the population by each of kSignals: "drift 1/4" has
                                       ///< the lowest values, then "drift 2/4", ...
  std::vector<Group> parts_of_speech;  ///< of the population: content, function, and each tag
  std::vector<MeasuredSet> sets;       ///< tokens with others between them
  std::vector<std::uint32_t> set_document;
  TaggedTokens tokens;
};

inline constexpr std::size_t kQuarters = 4;
inline constexpr const char* kContentWords = "content words";
inline constexpr const char* kFunctionWords = "function words";

struct SampleOptions {
  double top_share = 0.2;    ///< of the population, in a top group
  std::int64_t n_sinks = 4;  ///< first tokens that are kept apart
};

/// Collects a document's subjects and their groups: "all" is the population; the top share of it by
/// each of kSignals, which among equals takes the earlier token and never one without the signal;
/// each group that the run recorded, where there are several; the sinks.
Sample make_sample(const DocumentRun& document, const std::vector<DistanceBin>& bins,
                   const std::vector<DistanceBin>& set_bins, const SampleOptions& options);

/// Joins the samples of documents. A token is high or low among its own document's.
Sample pool(const std::vector<Sample>& documents);

/// Clusters that a bootstrap draws: documents, where there are enough for an interval; else none,
/// so that single subjects (or tokens) are drawn. `document` is Sample::document or a selection of
/// it.
Clusters clusters_of(const Sample& sample, const std::vector<std::uint32_t>& document);

}  // namespace longshadow
