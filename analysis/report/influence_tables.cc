#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "analysis/report/number_text.h"
#include "analysis/report/tables.h"

namespace longshadow {

namespace {

constexpr std::size_t kSetCountWidth = 5;
constexpr std::size_t kMostChunks = 7;  // as columns

/// Width of the first column of groups, with the space behind it.
std::size_t name_width(const Table& groups) {
  std::size_t width = kNameWidth;
  for (const std::vector<Entry>& row : groups.rows) {
    width = std::max(width, std::get<std::string>(row.front()).size() + 3);
  }
  return width;
}

/// Adds a view for each bin of distance, of the groups that reach it.
void view_by_distance(Table& table, const std::vector<GroupReport>& groups) {
  for (std::size_t bin = 0; bin < table.bins.size(); ++bin) {
    View view;
    const std::string head = "distance " + range_text(table.bins[bin]);
    view.shown = influence_columns(left_column(0, head, name_width(table)), table, true);
    for (std::size_t row = 0; row < groups.size(); ++row) {
      if (groups[row].cells[bin].n_subjects > 0) view.lines.push_back({row, bin, ""});
    }
    table.views.push_back(std::move(view));
  }
}

Table correlation_table(const SampleReport& sample, const std::vector<DistanceBin>& bins) {
  Table table{.name = "rank_correlations", .path = "rank_correlations", .counted = "distance"};
  table.bins = bins;
  table.columns = {{.path = "signal", .role = Role::key}};
  table.add_for_each_bin({{.path = "n_subjects"},
                          {.path = "", .format = Format::decimal},
                          {.path = "partial", .format = Format::decimal}});
  for (const SignalReport& signal : sample.signals) {
    std::vector<Entry>& row = table.rows.emplace_back();
    row.push_back(signal.name);
    for (const Correlation& one : signal.correlations) {
      row.insert(row.end(), {count(one.n_subjects), one.rank_correlation, one.partial});
    }
  }
  return table;
}

/// Columns of a view: this first one, then for near and for far how many subjects, and `path` of
/// them.
std::vector<Shown> near_and_far_columns(Shown first, const Table& table, const SampleReport& sample,
                                        const std::string& path) {
  const auto head = [&](const char* name, std::size_t bin) {
    return name + (" (" + range_text(table.bins[bin]) + ")");
  };
  const std::size_t near = sample.near_bin;
  const std::size_t far = sample.far_bin;
  return {std::move(first),
          right_column(table.find_in_bin("n_subjects", near), "subjects", kCountWidth),
          left_column(table.find_in_bin(path, near), head("near", near), kEstimateWidth),
          right_column(table.find_in_bin("n_subjects", far), "subjects", kCountWidth),
          left_column(table.find_in_bin(path, far), head("far", far), kEstimateWidth)};
}

void view_correlations(Table& table, const SampleReport& sample) {
  View view;
  view.shown =
      near_and_far_columns(left_column(0, "rank correlation with", kNameWidth), table, sample, "");
  view.under = {
      near_and_far_columns(text_column("  partial", kNameWidth), table, sample, "partial")};
  view.lines = table.all_rows();
  table.views.push_back(std::move(view));
}

/// Indices of the chunks that become columns: the first, the last, and between them as many as fit,
/// with ever more left out.
std::vector<std::size_t> shown_chunks(std::size_t n_chunks) {
  std::vector<std::size_t> shown;
  for (std::size_t column = 0; column < kMostChunks; ++column) {
    const double exponent = static_cast<double>(column) / (kMostChunks - 1);
    const double place = std::pow(static_cast<double>(n_chunks), exponent);
    const auto chunk = static_cast<std::size_t>(std::lround(place)) - 1;
    if (shown.empty() || chunk > shown.back()) shown.push_back(chunk);
  }
  return shown;
}

/// Columns of a view: these first ones, then one part of the mean in each of these bins.
std::vector<Shown> means_of_bins(std::vector<Shown> columns, const Table& table,
                                 const std::vector<std::size_t>& bins, Part part) {
  for (const std::size_t bin : bins) {
    const std::string head = range_text(table.bins[bin]);
    columns.push_back(right_column(table.find_in_bin("mean_nats", bin), head,
                                   std::max(kNumberWidth, head.size() + 2)));
    columns.back().part = part;
  }
  return columns;
}

/// Adds a view of means side by side, since sets are compared with one another at each position.
/// Their intervals stand below, where there are enough sets.
void view_sets(Table& table, bool in_chunks) {
  std::vector<std::size_t> bins(table.bins.size());
  std::iota(bins.begin(), bins.end(), 0);
  if (in_chunks) bins = shown_chunks(bins.size());
  const std::size_t width = name_width(table);
  View view;
  view.title = "removed at once, mean nats in positions after the start";
  view.shown = means_of_bins(
      {left_column(0, "", width), right_column(table.find("n_subjects"), "sets", kSetCountWidth)},
      table, bins, Part::value);
  for (const auto& [label, part] : {std::pair{"  95%, from", Part::low}, {"  to", Part::high}}) {
    view.under.push_back(
        means_of_bins({text_column(label, width), right_column(kNoColumn, "", kSetCountWidth)},
                      table, bins, part));
  }
  view.lines = table.all_rows();
  if (bins.size() < table.bins.size()) {
    view.after = "  " + std::to_string(bins.size()) + " of " + std::to_string(table.bins.size()) +
                 " chunks; --json and --csv write them all\n";
  }
  table.views.push_back(std::move(view));
}

}  // namespace

Table group_table(const std::string& name, const std::string& counted,
                  const std::vector<GroupReport>& groups, const std::vector<DistanceBin>& bins) {
  Table table{.name = name, .path = name, .counted = counted};
  table.bins = bins;
  table.columns = {{.path = "name", .role = Role::key}, {.path = "n_subjects"}};
  const Column nats{.path = "", .format = Format::scientific, .unit = "nats"};
  std::vector<Column> of_bin = {
      {.path = "n_subjects"}, {.path = "n_values"}, {.path = "n_below_floor"}};
  for (const char* path : {"mean_nats", "trimmed_mean_nats", "median_nats"}) {
    of_bin.emplace_back(nats).path = path;
  }
  table.add_for_each_bin(of_bin);
  for (const GroupReport& group : groups) {
    std::vector<Entry>& row = table.rows.emplace_back();
    row = {group.name, count(group.n_subjects)};
    for (const Cell& cell : group.cells) {
      row.insert(row.end(), {count(cell.n_subjects), count(cell.n_values),
                             count(cell.n_below_floor), cell.mean, cell.trimmed_mean, cell.median});
    }
  }
  return table;
}

std::vector<Shown> influence_columns(Shown first, const Table& groups, bool has_trimmed_mean) {
  std::vector<Shown> columns = {
      std::move(first), right_column(groups.find_in_bin("n_subjects"), "subjects", kCountWidth),
      right_column(groups.find_in_bin("n_values"), "values", kCountWidth),
      right_column(groups.find_in_bin("n_below_floor"), "<floor", kCountWidth),
      left_column(groups.find_in_bin("mean_nats"), "mean, nats", kEstimateWidth)};
  if (has_trimmed_mean) {
    columns.push_back(
        left_column(groups.find_in_bin("trimmed_mean_nats"), "trimmed", kNumberWidth));
    columns.back().part = Part::value;
  }
  columns.push_back(left_column(groups.find_in_bin("median_nats"), "median, nats", kEstimateWidth));
  return columns;
}

Table quarter_table(const SampleReport& sample, const std::vector<DistanceBin>& bins,
                    bool is_viewed) {
  Table table = group_table("quarters", "distance", sample.quarters, bins);
  if (!is_viewed || bins.empty()) return table;
  View view;
  view.shown = {left_column(0, "median nats of quarters by", kNameWidth)};
  for (const std::size_t bin : {sample.near_bin, sample.far_bin}) {
    for (std::size_t k = 0; k < kQuarters; ++k) {
      Shown& shown = view.shown.emplace_back(
          right_column(table.find_in_bin("median_nats", bin), "", kNumberWidth));
      shown.part = Part::value;
      shown.row = k;
    }
  }
  Shown& near = view.shown[1];
  Shown& far = view.shown[1 + kQuarters];
  near.head = "near (" + range_text(bins[sample.near_bin]) + "), lowest first";
  far.head = "far (" + range_text(bins[sample.far_bin]) + ")";
  near.span = far.span = kQuarters;
  for (std::size_t row = 0; row < table.rows.size(); row += kQuarters) {
    const std::string& name = sample.quarters[row].name;
    view.lines.push_back({row, 0, name.substr(0, name.find(' '))});
  }
  table.views.push_back(std::move(view));
  return table;
}

Table part_of_speech_table(const SampleReport& sample, const std::vector<DistanceBin>& bins,
                           bool is_viewed) {
  Table table = group_table("parts_of_speech", "distance", sample.parts_of_speech, bins);
  if (!is_viewed || bins.empty()) return table;
  View view;
  view.shown = near_and_far_columns(left_column(0, "median nats by", kNameWidth), table, sample,
                                    "median_nats");
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    if (sample.parts_of_speech[row].n_subjects > 0) view.lines.push_back({row, 0, ""});
  }
  table.views.push_back(std::move(view));
  return table;
}

std::vector<Table> sample_tables(const SampleReport& sample, const Analysis& analysis,
                                 bool is_last) {
  const std::vector<DistanceBin>& bins = analysis.options.bins;
  Table groups = group_table("groups", "distance", sample.groups, bins);
  view_by_distance(groups, sample.groups);
  Table correlations = correlation_table(sample, bins);
  if (!bins.empty()) view_correlations(correlations, sample);
  Table sets = group_table("sets", "after_start", sample.sets, analysis.set_bins);
  if (!sample.sets.empty()) view_sets(sets, analysis.options.chunk > 0);
  const bool has_words = !sample.entropy.rows.empty();
  return {std::move(groups),
          std::move(correlations),
          std::move(sets),
          quarter_table(sample, bins, is_last),
          part_of_speech_table(sample, bins, is_last && has_words),
          entropy_table(sample.entropy, sample.draws_documents, is_last && has_words),
          claim_table(sample.claims, is_last && !bins.empty())};
}

}  // namespace longshadow
