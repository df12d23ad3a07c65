#include <cmath>

#include "analysis/report/number_text.h"
#include "analysis/report/tables.h"

namespace longshadow {

namespace {

/// Verdict of a claim's test at the level of 5%.
const char* verdict(const ClaimReport& claim) {
  if (std::isnan(claim.p_holm)) return "cannot be said";
  if (claim.p_holm >= 0.05) return "open";
  return claim.correlation.value > 0 ? "holds" : "the contrary holds";
}

/// Explains the p-values, and which positions near and far are.
std::string about_tests(const ClaimsReport& claims) {
  std::string text = "  p: ";
  if (claims.flips_documents) {
    const double smallest = std::ldexp(2.0, -static_cast<int>(claims.claims.front().n_documents));
    text += "signs of the documents' correlations flipped, at least " + formatted("%.2g", smallest);
  } else {
    text += "shuffled within documents, which says nothing of other texts";
  }
  text += "; Holm's: for " + std::to_string(claims.claims.size()) + " claims, held to 0.05\n";
  if (claims.where.after_start) {
    text += "  near: the first " + std::to_string(kSoon) +
            " positions after the start; far: the horizon's second half\n";
  }
  return text;
}

}  // namespace

Table entropy_table(const EntropyReport& entropy, bool draws_documents, bool is_viewed) {
  Table table{.name = "entropy_by_part_of_speech", .path = "entropy_by_part_of_speech/rows"};
  table.columns = {{.path = "name", .role = Role::key}, {.path = "n_tokens"}};
  for (const char* reading : kEntropyReadings) {
    for (const char* statistic : {"/mean_nats", "/median_nats"}) {
      table.columns.push_back(
          {.path = std::string(reading) + statistic, .format = Format::decimal, .unit = "nats"});
    }
  }
  for (const EntropyRow& row : entropy.rows) {
    table.rows.push_back(
        {row.name, count(row.n_tokens), row.mean[0], row.median[0], row.mean[1], row.median[1]});
  }
  if (!entropy.rows.empty()) {
    table.rows.push_back({"content less function", std::monostate(), entropy.difference[0],
                          std::monostate(), entropy.difference[1], std::monostate()});
  }
  if (!is_viewed) return table;
  View view;
  view.shown = {
      left_column(0, "entropy, mean nats", kNameWidth), right_column(1, "tokens", kCountWidth),
      left_column(2, "before the token", kEstimateWidth),
      left_column(4, "at the token", kEstimateWidth),
      left_column(kNoColumn,
                  draws_documents ? "(intervals over documents)" : "(intervals over tokens)", 0)};
  view.lines = table.all_rows();
  table.views.push_back(std::move(view));
  return table;
}

Table claim_table(const ClaimsReport& claims, bool is_viewed) {
  constexpr std::size_t kClaimWidth = 62;
  Table table{.name = "claims", .path = "claims/claims"};
  table.columns = {{.path = "claim", .role = Role::key},
                   {.path = "n_documents"},
                   {.path = "n_units"},
                   {.path = "rank_correlation", .format = Format::decimal},
                   {.path = "p", .format = Format::probability},
                   {.path = "p_holm", .format = Format::probability},
                   {.path = "verdict"}};
  for (const ClaimReport& claim : claims.claims) {
    table.rows.push_back({claim.claim, count(claim.n_documents), count(claim.n_units),
                          claim.correlation, claim.p, claim.p_holm, verdict(claim)});
  }
  if (!is_viewed) return table;
  View view;
  view.shown = {left_column(0, "claims, as rank correlations", kClaimWidth),
                left_column(3, "mean", kEstimateWidth - 3), left_column(4, "p", kCountWidth),
                left_column(5, "Holm's", kCountWidth), left_column(6, "", kCountWidth)};
  view.lines = table.all_rows();
  view.after = about_tests(claims);
  table.views.push_back(std::move(view));
  return table;
}

}  // namespace longshadow
