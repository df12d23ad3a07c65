#pragma once

#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "analysis/results/analyze.h"

// The report a table at a time, as text and as JSON; report_text.cc and report_json.cc put them in
// order. Bins are those of the cells.
namespace longshadow {

using Json = nlohmann::ordered_json;

/// The median influence of each quarter of the population by each signal, near and far.
void print_quarters(std::ostream& out, const SampleReport& sample,
                    const std::vector<DistanceBin>& bins);

/// Near and far influence by part of speech.
void print_parts_of_speech(std::ostream& out, const SampleReport& sample,
                           const std::vector<DistanceBin>& bins);

/// Entropy by part of speech, both readings.
void print_entropy(std::ostream& out, const EntropyReport& entropy, bool draws_documents);

void print_claims(std::ostream& out, const ClaimsReport& claims);

void print_sentences(std::ostream& out, const std::vector<SentenceReport>& sentences);

void print_sketches(std::ostream& out, const std::vector<SketchReport>& sketches);

Json json_of(const DistanceBin& bin);
Json json_of(const Estimate& estimate);
/// `counted` says what the bins are of.
Json json_of(const std::vector<GroupReport>& groups, const std::vector<DistanceBin>& bins,
             const char* counted);
Json json_of(const EntropyReport& entropy);
Json json_of(const ClaimsReport& claims);
Json json_of(const SentenceReport& sentences);
Json json_of(const SketchReport& sketch);

void print_retention(std::ostream& out, const RetentionReport& report);

Json retention_json(const RetentionReport& report);

}  // namespace longshadow
