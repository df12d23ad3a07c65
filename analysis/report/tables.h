#pragma once

#include <string>
#include <vector>

#include "analysis/report/table.h"
#include "analysis/results/analyze.h"

// The tables of each part of an analysis, and how people see them.
namespace longshadow {

inline constexpr std::size_t kNameWidth = 27;
inline constexpr std::size_t kCountWidth = 8;
inline constexpr std::size_t kEstimateWidth = 26;
inline constexpr std::size_t kNumberWidth = 9;

/// Influence of groups of subjects in bins. `counted` is Table::counted.
Table group_table(const std::string& name, const std::string& counted,
                  const std::vector<GroupReport>& groups, const std::vector<DistanceBin>& bins);

/// Columns of a view: this first one, then counts and influences of a bin.
std::vector<Shown> influence_columns(Shown first, const Table& groups, bool has_trimmed_mean);

/// Tables of one document or of all pooled. `is_last`: views of kinds of tokens and of claims are
/// of one sample alone, the last.
std::vector<Table> sample_tables(const SampleReport& sample, const Analysis& analysis,
                                 bool is_last);

/// Median influence of the quarters of the population by each signal.
Table quarter_table(const SampleReport& sample, const std::vector<DistanceBin>& bins,
                    bool is_viewed);

/// Influence by part of speech.
Table part_of_speech_table(const SampleReport& sample, const std::vector<DistanceBin>& bins,
                           bool is_viewed);

/// Entropy by part of speech, both readings.
Table entropy_table(const EntropyReport& entropy, bool draws_documents, bool is_viewed);

/// InfoKV's claims and the outcomes of their tests.
Table claim_table(const ClaimsReport& claims, bool is_viewed);

/// Influence of removed sentences by how many sentences later, and the sentences of the highest
/// totals.
std::vector<Table> sentence_tables(const SentenceReport& sentences);

/// A sketch beside exact influence, and the tokens that it misjudges most.
std::vector<Table> sketch_tables(const SketchReport& sketch);

/// Policies: the slots that they keep, the cost of that, and how far they keep the same slots.
std::vector<Table> retention_tables(const RetentionReport& retention);

}  // namespace longshadow
