#include "analysis/report/tables.h"

namespace longshadow {

namespace {

Table calibration_table(const SketchReport& sketch) {
  Table table{.name = "sketches", .path = "bins"};
  table.columns = {{.path = "offset", .role = Role::key},
                   {.path = "relative_standard_error", .format = Format::percent},
                   {.path = "n_control"},
                   {.path = "ratio", .format = Format::decimal},
                   {.path = "rank_correlation", .format = Format::three_decimals},
                   {.path = "n_top"},
                   {.path = "n_top_found"},
                   {.path = "found of top", .role = Role::label}};
  View view;
  view.shown = {left_column(0, "offset", kNameWidth),
                right_column(1, "error", kCountWidth),
                right_column(2, "control", kCountWidth),
                left_column(3, "sketch / exact, median", kEstimateWidth),
                left_column(4, "rank correlation", kEstimateWidth),
                left_column(7, "top", 0)};
  for (const CalibrationBin& bin : sketch.bins) {
    table.rows.push_back({bin.offsets, bin.relative_standard_error, count(bin.n_control), bin.ratio,
                          bin.rank_correlation, count(bin.n_top), count(bin.n_top_found),
                          std::to_string(bin.n_top_found) + " of " + std::to_string(bin.n_top)});
  }
  view.lines = table.all_rows();
  table.views.push_back(std::move(view));
  return table;
}

Table misjudged_table(const SketchReport& sketch) {
  constexpr std::size_t kAttentionWidth = 11;
  Table table{.name = "misjudged_tokens", .path = "worst"};
  table.columns = {{.path = "offset", .role = Role::key},
                   {.path = "token", .role = Role::key},
                   {.path = "text"},
                   {.path = "group"},
                   {.path = "exact_nats", .format = Format::scientific, .unit = "nats"},
                   {.path = "sketch_nats", .format = Format::scientific, .unit = "nats"},
                   {.path = "ratio", .format = Format::decimal},
                   {.path = "attention", .format = Format::decimal},
                   {.path = "reason"}};
  View view;
  view.shown = {
      left_column(0, "furthest off", kNameWidth),    right_column(1, "token", kCountWidth),
      left_column(3, "group", kCountWidth),          right_column(4, "exact", kCountWidth),
      right_column(5, "sketch", kCountWidth),        right_column(6, "ratio", kCountWidth),
      right_column(7, "attention", kAttentionWidth), left_column(8, "why", 0)};
  for (const CalibrationBin& bin : sketch.bins) {
    for (const MisjudgedToken& one : bin.worst) {
      table.rows.push_back({bin.offsets, std::int64_t{one.token}, one.text, one.group, one.exact,
                            one.sketch, one.sketch / one.exact, one.attention, one.reason});
    }
  }
  view.lines = table.all_rows();
  if (sketch.n_measured > 0) table.views.push_back(std::move(view));
  return table;
}

}  // namespace

std::vector<Table> sketch_tables(const SketchReport& sketch) {
  return {calibration_table(sketch), misjudged_table(sketch)};
}

}  // namespace longshadow
