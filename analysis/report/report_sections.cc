#include "analysis/report/report_sections.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "analysis/report/report_table.h"

namespace longshadow {

namespace {

std::string median_text(const Cell& cell) {
  if (cell.n_subjects == 0) return "-";
  return (cell.median.is_bound ? "<" : "") + scientific(cell.median.estimate.value);
}

std::string p_text(double p) {
  if (std::isnan(p)) return "-";
  return p < 0.001 ? "<0.001" : three_decimals(p);
}

/// What a claim's test says of it at the level of 5%.
const char* verdict(const ClaimReport& claim) {
  if (std::isnan(claim.p_holm)) return "cannot be said";
  if (claim.p_holm >= 0.05) return "open";
  return claim.correlation.value > 0 ? "holds" : "the contrary holds";
}

}  // namespace

void print_quarters(std::ostream& out, const SampleReport& sample,
                    const std::vector<DistanceBin>& bins) {
  const std::size_t width = kNumberWidth * kQuarters;
  out << "\n"
      << left("median nats of quarters by", kGroupWidth)
      << left("  near (" + distance_text(bins[sample.near_bin]) + "), lowest first", width)
      << "  far (" << distance_text(bins[sample.far_bin]) << ")\n";
  for (std::size_t q = 0; q < sample.quarters.size(); q += kQuarters) {
    const std::string& name = sample.quarters[q].name;
    out << left("  " + name.substr(0, name.find(' ')), kGroupWidth);
    for (const std::size_t bin : {sample.near_bin, sample.far_bin}) {
      for (std::size_t k = q; k < q + kQuarters; ++k) {
        out << right(median_text(sample.quarters[k].cells[bin]), kNumberWidth);
      }
    }
    out << "\n";
  }
}

void print_parts_of_speech(std::ostream& out, const SampleReport& sample,
                           const std::vector<DistanceBin>& bins) {
  out << "\n"
      << left("median nats by", kGroupWidth) << right("subjects", kCountWidth) << "  "
      << left("near (" + distance_text(bins[sample.near_bin]) + ")", kEstimateWidth)
      << right("subjects", kCountWidth) << "  far (" << distance_text(bins[sample.far_bin])
      << ")\n";
  for (const GroupReport& group : sample.parts_of_speech) {
    if (group.n_subjects == 0) continue;
    const Cell& near = group.cells[sample.near_bin];
    const Cell& far = group.cells[sample.far_bin];
    out << left("  " + group.name, kGroupWidth)
        << right(std::to_string(near.n_subjects), kCountWidth) << "  "
        << left(influence_text(near.median), kEstimateWidth)
        << right(std::to_string(far.n_subjects), kCountWidth) << "  " << influence_text(far.median)
        << "\n";
  }
}

void print_entropy(std::ostream& out, const EntropyReport& entropy, bool draws_documents) {
  out << "\n"
      << left("entropy, mean nats", kGroupWidth) << right("tokens", kCountWidth) << "  "
      << left("before the token", kEstimateWidth) << left("at the token", kEstimateWidth)
      << "(intervals over " << (draws_documents ? "documents" : "tokens") << ")\n";
  for (const EntropyRow& row : entropy.rows) {
    out << left("  " + row.name, kGroupWidth) << right(std::to_string(row.n_tokens), kCountWidth)
        << "  " << left(with_interval(row.mean[0], decimal), kEstimateWidth)
        << with_interval(row.mean[1], decimal) << "\n";
  }
  out << left("  content less function", kGroupWidth) << right("", kCountWidth) << "  "
      << left(with_interval(entropy.difference[0], decimal), kEstimateWidth)
      << with_interval(entropy.difference[1], decimal) << "\n";
}

void print_claims(std::ostream& out, const ClaimsReport& claims) {
  constexpr std::size_t kClaimWidth = 62;
  out << "\n"
      << left("claims, as rank correlations", kClaimWidth) << left("mean", kEstimateWidth - 3)
      << left("p", kCountWidth) << left("Holm's", kCountWidth) << "\n";
  for (const ClaimReport& claim : claims.claims) {
    out << left("  " + claim.claim, kClaimWidth)
        << left(with_interval(claim.correlation, decimal), kEstimateWidth - 3)
        << left(p_text(claim.p), kCountWidth) << left(p_text(claim.p_holm), kCountWidth)
        << verdict(claim) << "\n";
  }
  out << "  p: ";
  if (claims.flips_documents) {
    const double smallest = std::ldexp(2.0, -static_cast<int>(claims.claims.front().n_documents));
    out << "signs of the documents' correlations flipped, at least " << formatted("%.2g", smallest);
  } else {
    out << "shuffled within documents, which says nothing of other texts";
  }
  out << "; Holm's: for " << claims.claims.size() << " claims, held to 0.05\n";
  if (claims.where.after_start) {
    out << "  near: the first " << kSoon << " positions after the start; far: the horizon's second "
        << "half\n";
  }
}

Json json_of(const EntropyReport& entropy) {
  Json json = {{"rows", Json::array()}};
  for (const EntropyRow& row : entropy.rows) {
    Json one = {{"name", row.name}, {"n_tokens", row.n_tokens}};
    for (std::size_t reading = 0; reading < kEntropyReadings.size(); ++reading) {
      one[kEntropyReadings[reading]] = {{"mean_nats", json_of(row.mean[reading])},
                                        {"median_nats", json_of(row.median[reading])}};
    }
    json["rows"].push_back(one);
  }
  for (std::size_t reading = 0; reading < kEntropyReadings.size(); ++reading) {
    json["content_less_function_nats"][kEntropyReadings[reading]] =
        json_of(entropy.difference[reading]);
  }
  return json;
}

Json json_of(const ClaimsReport& claims) {
  Json json = {{"test", claims.flips_documents ? "signs of documents" : "shuffles in documents"},
               {"near_and_far", claims.where.after_start ? "positions" : "distances"},
               {"claims", Json::array()}};
  for (const ClaimReport& claim : claims.claims) {
    json["claims"].push_back({{"claim", claim.claim},
                              {"n_documents", claim.n_documents},
                              {"n_units", claim.n_units},
                              {"rank_correlation", json_of(claim.correlation)},
                              {"p", claim.p},
                              {"p_holm", claim.p_holm}});
  }
  return json;
}

}  // namespace longshadow
