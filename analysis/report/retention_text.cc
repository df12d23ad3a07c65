#include <algorithm>
#include <cmath>
#include <ostream>

#include "analysis/report/report_sections.h"
#include "analysis/report/report_table.h"

namespace longshadow {

namespace {

constexpr std::size_t kBudgetWidth = 7;

/// As wide as the longest policy's name, so that the columns behind stand under one another.
std::size_t policy_width(const RetentionReport& report) {
  std::size_t widest = 6;
  for (const RetentionArm& arm : report.arms) widest = std::max(widest, arm.policy.size());
  return widest + 2;
}

std::string share(double value) { return std::isnan(value) ? "-" : decimal(value); }

/// "0.4", and with quantised keys and values "0.4/4b".
std::string budget_text(const RetentionArm& arm) {
  const bool quantised = arm.kv_bits < 16;
  return arm.budget + (quantised ? "/" + std::to_string(arm.kv_bits) + "b" : "");
}

void print_arm_name(std::ostream& out, const RetentionArm& arm, std::size_t width) {
  out << left(arm.policy, width) << right(budget_text(arm), kBudgetWidth);
}

void print_costs(std::ostream& out, const RetentionReport& report, std::size_t width) {
  out << "\n"
      << left("KL in nats", width) << right("budget", kBudgetWidth)
      << right("near, mean", kEstimateWidth) << right("near, median", kEstimateWidth)
      << right("far, mean", kEstimateWidth) << right("far, median", kEstimateWidth) << "\n";
  for (const RetentionArm& arm : report.arms) {
    print_arm_name(out, arm, width);
    for (const Estimate* kl : {&arm.near.mean, &arm.near.median, &arm.far.mean, &arm.far.median}) {
      out << right(with_interval(*kl, scientific), kEstimateWidth);
    }
    out << "\n";
  }
  out << "\n"
      << left("the text", width) << right("budget", kBudgetWidth)
      << right("perplexity ratio", kEstimateWidth) << right("same top-1", kEstimateWidth)
      << right("bytes", kNumberWidth) << "\n";
  for (const RetentionArm& arm : report.arms) {
    print_arm_name(out, arm, width);
    out << right(with_interval(arm.perplexity_ratio, three_decimals), kEstimateWidth)
        << right(with_interval(arm.top1, three_decimals), kEstimateWidth)
        << right(three_decimals(arm.bytes_share), kNumberWidth) << "\n";
  }
}

template <std::size_t N>
void print_shares(std::ostream& out, const char* what, const RetentionReport& report,
                  std::size_t width, const std::array<const char*, N>& names,
                  std::array<double, N> KeptShares::*of) {
  constexpr std::size_t kShareWidth = 6;
  out << "\n" << left(what, width) << right("budget", kBudgetWidth);
  for (const char* name : names) out << right(name, kShareWidth);
  out << "\n";
  for (const RetentionArm& arm : report.arms) {
    print_arm_name(out, arm, width);
    for (const double kept : arm.kept.*of) out << right(share(kept), kShareWidth);
    out << "\n";
  }
}

void print_overlap(std::ostream& out, const RetentionOverlap& overlap, std::size_t width) {
  out << "\n" << left("overlap at " + overlap.budget, width);
  const std::size_t n = overlap.policies.size();
  for (std::size_t i = 0; i < n; ++i) out << right(std::to_string(i + 1), kBudgetWidth);
  out << "\n";
  for (std::size_t i = 0; i < n; ++i) {
    out << left(std::to_string(i + 1) + " " + overlap.policies[i], width);
    for (std::size_t j = 0; j < n; ++j) {
      out << right(share(overlap.jaccard[i * n + j]), kBudgetWidth);
    }
    out << "\n";
  }
}

}  // namespace

void print_retention(std::ostream& out, const RetentionReport& report) {
  const std::size_t width = policy_width(report) + 3;
  out << "\nWhat eviction policies keep of the cache, and what it costs: " << report.conditions
      << "\n"
         "KL(full || compressed) at the future's positions; near: their first quarter, far: their\n"
         "last. Means and medians of each document, averaged over documents; in brackets: 95%\n"
         "bootstrap interval over documents, from "
      << kFewestForInterval
      << " documents on. perplexity ratio: of the text, to\n"
         "the full cache's. same top-1: positions whose likeliest token is the full cache's. "
         "bytes: of\nthe full cache's keys and values.\n";
  print_costs(out, report, width);
  out << "\nKept: the share of the slots that stay, by kind of token. Quarters are of each "
         "context,\nlowest first; entropy is that of the prediction before the token, drift the "
         "mean over layers.\n";
  print_shares(out, "by entropy", report, width, {"1st", "2nd", "3rd", "4th"},
               &KeptShares::by_entropy);
  print_shares(out, "by drift", report, width, {"1st", "2nd", "3rd", "4th"}, &KeptShares::by_drift);
  print_shares(out, "by tenth of context", report, width,
               {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}, &KeptShares::by_position);
  print_shares(out, "by part of speech", report, width, schema::kUniversalTags,
               &KeptShares::by_tag);
  out << "\nOverlap of kept slots (Jaccard: kept by both over kept by either), mean over "
         "documents.\n";
  for (const RetentionOverlap& overlap : report.overlaps) print_overlap(out, overlap, width);
}

}  // namespace longshadow
