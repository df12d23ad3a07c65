#include "analysis/report/report.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/synthetic_run.h"

using namespace longshadow;
using Catch::Matchers::Contains;
using test::synthetic_run;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Two rows, two bins; all kinds of entries.
Table small_table() {
  Table table{.name = "small", .path = "parts/small", .counted = "distance"};
  table.bins = {{1, 16}, {16, 32}};
  table.columns = {{.path = "name", .role = Role::key},
                   {.path = "budget", .role = Role::key},
                   {.path = "near/share", .format = Format::percent},
                   {.path = "note"},
                   {.path = "spelled", .role = Role::label}};
  table.add_for_each_bin({{.path = "", .format = Format::decimal},
                          {.path = "mean_nats", .format = Format::scientific, .unit = "nats"}});
  table.rows = {{"a \"b\"", std::int64_t{4}, 0.25, "x,y", "A", Estimate{0.5, 0.25, 1},
                 InfluenceEstimate{{1e-6, 5e-7, 2e-6}, true}, Estimate{kNaN, kNaN, kNaN},
                 InfluenceEstimate{{0, kNaN, kNaN}, false}},
                {"c", std::int64_t{8}, kNaN, std::monostate(), "C", Estimate{-1, kNaN, kNaN},
                 InfluenceEstimate{{kNaN, kNaN, kNaN}, false}, Estimate{0, 0, 0},
                 InfluenceEstimate{{1, 1, 1}, false}}};
  return table;
}

Report report_of(Table table) {
  Report report;
  report.model = "m";
  Section section{.key = "documents", .is_in_list = true, .name = "d"};
  section.facts = {{"name", "d"}, {"parts/near", DistanceBin{1, 16}}, {"far", Entry()}};
  section.tables.push_back(std::move(table));
  report.sections.push_back(std::move(section));
  return report;
}

std::string text_of(const Report& report) {
  std::ostringstream out;
  print_text(out, report);
  return out.str();
}

/// Runs of every kind, a name to each.
std::vector<std::pair<const char*, RunFile>> all_kinds_of_runs() {
  const auto without_influence = [](RunFile run) {
    for (DocumentRun& document : run.documents) document.influence = {};
    return run;
  };
  RunFile empty = synthetic_run();
  empty.documents.clear();
  return {
      {"no document", empty},
      {"nothing measured", without_influence(synthetic_run())},
      {"a lag", synthetic_run()},
      {"few subjects", synthetic_run({.n_subjects = 2})},
      {"the end, sets", synthetic_run({.n_subjects = 60, .n_sets = 3, .lag = -1})},
      {"sets alone", synthetic_run({.n_subjects = 1, .n_sets = 2, .lag = -1})},
      {"a pool", synthetic_run({.n_documents = 5, .n_sets = 6, .lag = -1})},
      {"sentences", synthetic_run({.n_documents = 2, .lag = 0, .has_sentences = true})},
      {"a screened sketch", synthetic_run({.n_documents = 2, .lag = -1, .has_sketch = true})},
      {"a sketch alone", without_influence(synthetic_run({.has_sketch = true}))},
      {"a retention alone",
       without_influence(synthetic_run({.n_documents = 2, .has_retention = true}))},
      {"everything",
       synthetic_run(
           {.n_documents = 2, .n_sets = 2, .lag = -1, .has_sketch = true, .has_retention = true})}};
}

}  // namespace

TEST_CASE("tables of every run are whole, and all four printers take them") {
  for (const auto& [kind, run] : all_kinds_of_runs()) {
    INFO(kind);
    const Report report = make_report(analyze(run, {}));
    std::set<std::pair<std::string, std::string>> names;
    std::size_t n_values = 0;
    for (const Section& section : report.sections) {
      for (const Table& table : section.tables) {
        INFO(section.name << ", " << table.name);
        CHECK(names.insert({section.name, table.name}).second);
        for (const std::vector<Entry>& row : table.rows) {
          REQUIRE(row.size() == table.columns.size());
          for (std::size_t i = 0; i < row.size(); ++i) {
            n_values += table.columns[i].role == Role::value &&
                        !std::holds_alternative<std::monostate>(row[i]);
          }
        }
        for (const View& view : table.views) {
          CHECK_FALSE(view.shown.empty());
          for (const Line& line : view.lines) CHECK(line.row < table.rows.size());
          for (const auto& texts : spelled(table, view)) CHECK(texts.size() == view.shown.size());
        }
      }
    }
    const std::string csv = to_csv(report);
    CHECK(std::count(csv.begin(), csv.end(), '\n') ==
          static_cast<std::ptrdiff_t>(n_values) + 1);  // no text of these runs has a line feed
    const auto json = nlohmann::json::parse(to_json(report));
    CHECK(json["documents"].is_array());
    CHECK(json["sketches"].is_array());
    CHECK_THAT(text_of(report), !Contains("nan"));
    CHECK(text_of(report).empty() == report.sections.empty());
  }
}

TEST_CASE("a text stands in its column, and a longer one pushes the others on") {
  Table table = small_table();
  View view;
  view.title = "a title";
  view.before = "before\n";
  view.after = "after\n";
  view.shown = {left_column(0, "name", 8), right_column(1, "n", 3),
                left_column(table.find_in_bin(""), "rho", 20),
                left_column(table.find_in_bin("mean_nats"), "mean", 0)};
  view.under = {{left_column(kNoColumn, "", 8), right_column(kNoColumn, "", 3),
                 left_column(table.find_in_bin(""), "", 20),
                 left_column(table.find_in_bin("mean_nats"), "", 0)}};
  view.under[0][0].text = "to";
  view.under[0][2].part = view.under[0][3].part = Part::high;
  view.lines = {{0, 0, ""}, {1, 0, "a long label"}, {0, 1, ""}};
  table.views = {view};
  CHECK(text_of(report_of(table)) ==
        "\nbefore\n"
        "\na title\n"
        "name      n  rho                 mean\n"
        "  a \"b\"   4  0.50 [0.25, 1.00]   <1.0e-6 [5.0e-7, 2.0e-6]\n"
        "  to         1.00                2.0e-6\n"
        "  a long label   8  -1.00               -\n"  // all under it is unknown
        "  a \"b\"   4  -                   0\n"
        "after\n");
}

TEST_CASE("a head may be of several columns, and their entries of rows that follow") {
  Table table = small_table();
  View view;
  view.shown = {left_column(0, "name", 6), right_column(table.find("near/share"), "both", 8),
                right_column(table.find("near/share"), "", 8), right_column(1, "n", 3)};
  view.shown[1].span = 2;
  view.shown[2].row = 1;
  view.lines = {{0, 0, ""}};
  view.indent = 0;
  table.views = {view};
  CHECK(text_of(report_of(table)) ==
        "\nname    both            n\n"
        "a \"b\"      25%       -  4\n");
}

TEST_CASE("paths lead to members of the JSON, and bins have their own") {
  const auto json = nlohmann::json::parse(to_json(report_of(small_table())))["documents"][0];
  CHECK(json["parts"]["near"] == std::vector<int>{1, 16});
  CHECK(json["far"].is_null());
  const auto& rows = json["parts"]["small"];
  REQUIRE(rows.size() == 2);
  CHECK(rows[0]["near"]["share"] == 0.25);
  CHECK(rows[1]["near"]["share"].is_null());
  CHECK(rows[1]["note"].is_null());
  CHECK_FALSE(rows[0].contains("spelled"));
  CHECK(rows[0]["bins"][0] == nlohmann::json::parse(R"({"distance": [1, 16], "value": 0.5,
      "low": 0.25, "high": 1.0, "mean_nats": {"value": 1e-6, "low": 5e-7, "high": 2e-6,
      "is_bound": true}})"));
  CHECK(rows[0]["bins"][1]["value"].is_null());
  Table none = small_table();
  none.rows.clear();
  CHECK(nlohmann::json::parse(to_json(report_of(none)))["documents"][0]["parts"]["small"] ==
        nlohmann::json::array());
}

TEST_CASE("the CSV has a line for each value, named by the columns that are keys") {
  CHECK(to_csv(report_of(small_table())) ==
        "sample,table,name,bin_begin,bin_end,statistic,unit,value,low,high,is_bound,text\n"
        "\"d\",small,\"a \"\"b\"\" 4\",,,near/share,,0.25,,,,\n"
        "\"d\",small,\"a \"\"b\"\" 4\",,,note,,,,,,\"x,y\"\n"
        "\"d\",small,\"a \"\"b\"\" 4\",1,16,small,,0.5,0.25,1,,\n"
        "\"d\",small,\"a \"\"b\"\" 4\",1,16,mean_nats,nats,1e-06,5e-07,2e-06,1,\n"
        "\"d\",small,\"a \"\"b\"\" 4\",16,32,small,,,,,,\n"
        "\"d\",small,\"a \"\"b\"\" 4\",16,32,mean_nats,nats,0,,,0,\n"
        "\"d\",small,\"c 8\",,,near/share,,,,,,\n"
        "\"d\",small,\"c 8\",1,16,small,,-1,,,,\n"
        "\"d\",small,\"c 8\",1,16,mean_nats,nats,,,,0,\n"
        "\"d\",small,\"c 8\",16,32,small,,0,0,0,,\n"
        "\"d\",small,\"c 8\",16,32,mean_nats,nats,1,1,1,0,\n");
}

TEST_CASE("a row is named by its range too") {
  Table table{.name = "ranges", .path = "ranges"};
  table.columns = {{.path = "offset", .role = Role::key}, {.path = "n"}};
  table.rows = {{DistanceBin{2, 5}, std::int64_t{7}}};
  CHECK_THAT(to_csv(report_of(table)), Contains("\"d\",ranges,\"\",2,5,n,,7,,,,\n"));
}

TEST_CASE("a column that a table lacks is refused") {
  const Table table = small_table();
  CHECK(table.find("note") == 3);
  CHECK(table.find_in_bin("mean_nats", 1) == 8);
  CHECK_THROWS_AS(table.find("mean_nats"), std::invalid_argument);
  CHECK_THROWS_AS(table.find_in_bin("mean_nats", 2), std::invalid_argument);
  CHECK_THROWS_AS(table.find_in_bin("note"), std::invalid_argument);
}
