#include <algorithm>
#include <string>

#include "analysis/report/tables.h"

namespace longshadow {

namespace {

constexpr std::size_t kBudgetWidth = 7;

/// Kinds of tokens that a view compares: the member of the JSON with their shares, the view's
/// title, and the kinds' names for programs and for people.
struct Kinds {
  std::string path;
  std::string title;
  std::vector<std::string> names;
  std::vector<std::string> heads;
};

std::vector<Kinds> kinds_of_tokens() {
  const auto numbered = [](std::size_t first, std::size_t n) {
    std::vector<std::string> numbers;
    for (std::size_t i = first; i < first + n; ++i) numbers.push_back(std::to_string(i));
    return numbers;
  };
  const std::vector<std::string> quarters = {"1st", "2nd", "3rd", "4th"};
  const std::vector<std::string> tags(schema::kUniversalTags.begin(), schema::kUniversalTags.end());
  return {{"kept/by_entropy_quarter", "by entropy", numbered(0, 4), quarters},
          {"kept/by_drift_quarter", "by drift", numbered(0, 4), quarters},
          {"kept/by_position_tenth", "by tenth of context", numbered(0, 10), numbered(1, 10)},
          {"kept/by_upos", "by part of speech", tags, tags}};
}

/// Spells the budget: "0.4", and with quantised keys and values "0.4/4b".
std::string budget_text(const RetentionArm& arm) {
  const bool quantised = arm.kv_bits < 16;
  return arm.budget + (quantised ? "/" + std::to_string(arm.kv_bits) + "b" : "");
}

/// Width of the policies' column, so that the columns behind stand under one another.
std::size_t policy_width(const RetentionReport& report) {
  std::size_t widest = 6;
  for (const RetentionArm& arm : report.arms) widest = std::max(widest, arm.policy.size());
  return widest + 5;
}

/// Makes a view of all arms: policy, budget and these columns.
View arm_view(const Table& table, const std::string& title, std::size_t width,
              const std::vector<Shown>& columns) {
  View view;
  view.shown = {left_column(table.find("policy"), title, width),
                right_column(table.find("budget and bits"), "budget", kBudgetWidth)};
  view.shown.insert(view.shown.end(), columns.begin(), columns.end());
  view.lines = table.all_rows();
  view.indent = 0;
  return view;
}

void view_arms(Table& table, std::size_t width) {
  const auto estimate = [&](const std::string& path, const std::string& head) {
    return right_column(table.find(path), head, kEstimateWidth);
  };
  table.views.push_back(arm_view(
      table, "KL in nats", width,
      {estimate("near/mean_nats", "near, mean"), estimate("near/median_nats", "near, median"),
       estimate("far/mean_nats", "far, mean"), estimate("far/median_nats", "far, median")}));
  table.views.push_back(
      arm_view(table, "the text", width,
               {estimate("perplexity_ratio", "perplexity ratio"), estimate("top1", "same top-1"),
                right_column(table.find("bytes_share"), "bytes", kNumberWidth)}));
  constexpr std::size_t kShareWidth = 6;
  for (const Kinds& kinds : kinds_of_tokens()) {
    std::vector<Shown> columns;
    for (std::size_t i = 0; i < kinds.names.size(); ++i) {
      columns.push_back(
          right_column(table.find(kinds.path + "/" + kinds.names[i]), kinds.heads[i], kShareWidth));
    }
    table.views.push_back(arm_view(table, kinds.title, width, columns));
  }
  table.views[2].before =
      "Kept: the share of the slots that stay, by kind of token. Quarters are of each context,\n"
      "lowest first; entropy is that of the prediction before the token, drift the mean over "
      "layers.\n";
}

Table arm_table(const RetentionReport& report) {
  Table table{.name = "retention", .path = "arms"};
  table.columns = {{.path = "policy", .role = Role::key},
                   {.path = "budget", .role = Role::key},
                   {.path = "kv_bits", .role = Role::key},
                   {.path = "n_documents"},
                   {.path = "bytes_share", .format = Format::three_decimals}};
  for (const char* path :
       {"near/mean_nats", "near/median_nats", "far/mean_nats", "far/median_nats"}) {
    table.columns.push_back({.path = path, .format = Format::scientific, .unit = "nats"});
  }
  for (const char* path : {"top1", "perplexity_ratio"}) {
    table.columns.push_back({.path = path, .format = Format::three_decimals});
  }
  for (const Kinds& kinds : kinds_of_tokens()) {
    for (const std::string& name : kinds.names) {
      table.columns.push_back({.path = kinds.path + "/" + name, .format = Format::decimal});
    }
  }
  table.columns.push_back({.path = "budget and bits", .role = Role::label});
  for (const RetentionArm& arm : report.arms) {
    std::vector<Entry>& row = table.rows.emplace_back();
    row = {arm.policy,      arm.budget,    arm.kv_bits,         count(arm.n_documents),
           arm.bytes_share, arm.near.mean, arm.near.median,     arm.far.mean,
           arm.far.median,  arm.top1,      arm.perplexity_ratio};
    row.insert(row.end(), arm.kept.by_entropy.begin(), arm.kept.by_entropy.end());
    row.insert(row.end(), arm.kept.by_drift.begin(), arm.kept.by_drift.end());
    row.insert(row.end(), arm.kept.by_position.begin(), arm.kept.by_position.end());
    row.insert(row.end(), arm.kept.by_tag.begin(), arm.kept.by_tag.end());
    row.push_back(budget_text(arm));
  }
  return table;
}

/// Makes a view of one budget's policies, P by P. `first` is the row of the first pair.
View overlap_view(const RetentionOverlap& overlap, std::size_t first, std::size_t width) {
  constexpr std::size_t kJaccard = 3;  // its column
  View view;
  view.shown = {left_column(0, "overlap at " + overlap.budget, width)};
  view.indent = 0;
  const std::size_t n = overlap.policies.size();
  for (std::size_t i = 0; i < n; ++i) {
    const std::string number = std::to_string(i + 1);
    view.shown.push_back(right_column(kJaccard, number, kBudgetWidth));
    view.shown.back().row = i;
    view.lines.push_back({first + i * n, 0, number + " " + overlap.policies[i]});
  }
  return view;
}

Table overlap_table(const RetentionReport& report, std::size_t width) {
  Table table{.name = "overlaps", .path = "overlaps"};
  table.columns = {{.path = "budget", .role = Role::key},
                   {.path = "policy", .role = Role::key},
                   {.path = "other", .role = Role::key},
                   {.path = "jaccard", .format = Format::decimal}};
  for (const RetentionOverlap& overlap : report.overlaps) {
    table.views.push_back(overlap_view(overlap, table.rows.size(), width));
    const std::size_t n = overlap.policies.size();
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        table.rows.push_back(
            {overlap.budget, overlap.policies[i], overlap.policies[j], overlap.jaccard[i * n + j]});
      }
    }
  }
  if (!table.views.empty()) {
    table.views.front().before =
        "Overlap of kept slots (Jaccard: kept by both over kept by either), mean over documents.\n";
  }
  return table;
}

}  // namespace

std::vector<Table> retention_tables(const RetentionReport& retention) {
  const std::size_t width = policy_width(retention);
  Table arms = arm_table(retention);
  view_arms(arms, width);
  return {std::move(arms), overlap_table(retention, width)};
}

}  // namespace longshadow
