#include <nlohmann/json.hpp>
#include <string>

#include "analysis/report/report.h"

namespace longshadow {

namespace {

using Json = nlohmann::ordered_json;

Json array_of(const DistanceBin& range) { return Json::array({range.begin, range.end}); }

/// Writes an entry to `place`. A number with an interval becomes members of the object there.
struct Put {
  Json& place;

  void operator()(std::monostate) const { place = nullptr; }
  void operator()(const std::string& text) const { place = text; }
  void operator()(std::int64_t count) const { place = count; }
  void operator()(double number) const { place = number; }  // NaN is written as null
  void operator()(const DistanceBin& range) const { place = array_of(range); }
  void operator()(const Estimate& estimate) const {
    place["value"] = estimate.value;
    place["low"] = estimate.low;
    place["high"] = estimate.high;
  }
  void operator()(const InfluenceEstimate& influence) const {
    (*this)(influence.estimate);
    place["is_bound"] = influence.is_bound;
  }
};

/// Finds the member that a path leads to, and makes it where there is none.
Json& at(Json& json, const std::string& path) {
  return path.empty() ? json : json[Json::json_pointer("/" + path)];
}

Json json_of(const Table& table, const std::vector<Entry>& row) {
  Json json = Json::object();
  for (std::size_t i = 0; i < row.size(); ++i) {
    const Column& column = table.columns[i];
    if (column.role == Role::label || column.bin) continue;
    std::visit(Put{at(json, column.path)}, row[i]);
  }
  if (table.counted.empty()) return json;
  Json& bins = json["bins"] = Json::array();
  for (const DistanceBin& bin : table.bins) bins.push_back({{table.counted, array_of(bin)}});
  for (std::size_t i = 0; i < row.size(); ++i) {
    const Column& column = table.columns[i];
    if (column.bin) std::visit(Put{at(bins[*column.bin], column.path)}, row[i]);
  }
  return json;
}

Json json_of(const Section& section) {
  Json json = Json::object();
  for (const Fact& fact : section.facts) std::visit(Put{at(json, fact.path)}, fact.value);
  for (const Table& table : section.tables) {
    Json& rows = at(json, table.path) = Json::array();
    for (const std::vector<Entry>& row : table.rows) rows.push_back(json_of(table, row));
  }
  return json;
}

Json json_of(const AnalyzeOptions& options) {
  Json bins = Json::array();
  for (const DistanceBin& bin : options.bins) bins.push_back(array_of(bin));
  return {{"bins", bins},
          {"chunk", options.chunk > 0 ? Json(options.chunk) : Json()},
          {"top_share", options.sample.top_share},
          {"n_sinks", options.sample.n_sinks},
          {"bootstrap_replicates", options.bootstrap.replicates},
          {"bootstrap_seed", options.bootstrap.seed}};
}

}  // namespace

std::string to_json(const Report& report) {
  Json json = {{"model", report.model},      {"options", json_of(report.options)},
               {"documents", Json::array()}, {"pooled", nullptr},
               {"sentences", Json::array()}, {"sketches", Json::array()},
               {"retention", nullptr}};
  for (const Section& section : report.sections) {
    if (section.is_in_list) {
      json[section.key].push_back(json_of(section));
    } else {
      json[section.key] = json_of(section);
    }
  }
  // Names from a stranger's file need not be UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace longshadow
