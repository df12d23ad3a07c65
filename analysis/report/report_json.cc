#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "analysis/report/report.h"
#include "analysis/report/report_sections.h"

namespace longshadow {

Json json_of(const DistanceBin& bin) { return Json::array({bin.begin, bin.end}); }

Json json_of(const Estimate& estimate) {
  return {{"value", estimate.value}, {"low", estimate.low}, {"high", estimate.high}};
}

namespace {

Json json_of(const InfluenceEstimate& influence) {
  Json json = json_of(influence.estimate);
  json["is_bound"] = influence.is_bound;
  return json;
}

Json json_of(const GroupReport& group, const std::vector<DistanceBin>& bins, const char* counted) {
  Json cells = Json::array();
  for (std::size_t bin = 0; bin < bins.size(); ++bin) {
    const Cell& cell = group.cells[bin];
    cells.push_back({{counted, json_of(bins[bin])},
                     {"n_subjects", cell.n_subjects},
                     {"n_values", cell.n_values},
                     {"n_below_floor", cell.n_below_floor},
                     {"mean_nats", json_of(cell.mean)},
                     {"trimmed_mean_nats", json_of(cell.trimmed_mean)},
                     {"median_nats", json_of(cell.median)}});
  }
  return {{"name", group.name}, {"n_subjects", group.n_subjects}, {"bins", cells}};
}

}  // namespace

Json json_of(const std::vector<GroupReport>& groups, const std::vector<DistanceBin>& bins,
             const char* counted) {
  Json json = Json::array();
  for (const GroupReport& group : groups) json.push_back(json_of(group, bins, counted));
  return json;
}

namespace {

Json json_of(const SignalReport& signal, const std::vector<DistanceBin>& bins) {
  Json correlations = Json::array();
  for (std::size_t bin = 0; bin < bins.size(); ++bin) {
    Json json = {{"distance", json_of(bins[bin])},
                 {"n_subjects", signal.correlations[bin].n_subjects}};
    json.update(json_of(signal.correlations[bin].rank_correlation));
    json["partial"] = json_of(signal.correlations[bin].partial);
    correlations.push_back(json);
  }
  return {{"signal", signal.name}, {"bins", correlations}};
}

Json json_of(const SampleReport& sample, const std::vector<DistanceBin>& bins,
             const std::vector<DistanceBin>& set_bins) {
  const auto bin_or_null = [&](std::size_t bin) {
    return bins.empty() ? Json() : json_of(bins[bin]);
  };
  Json json = {{"name", sample.name},
               {"conditions", sample.conditions},
               {"n_documents", sample.n_documents},
               {"n_subjects", sample.n_subjects},
               {"n_population", sample.n_population},
               {"intervals_over", sample.draws_documents ? "documents" : "subjects"},
               {"n_sets", sample.n_sets},
               {"n_missing", sample.n_missing},
               {"noise_floor_nats", sample.noise_floor},
               {"near", bin_or_null(sample.near_bin)},
               {"far", bin_or_null(sample.far_bin)},
               {"groups", json_of(sample.groups, bins, "distance")},
               {"quarters", json_of(sample.quarters, bins, "distance")},
               {"parts_of_speech", json_of(sample.parts_of_speech, bins, "distance")},
               {"rank_correlations", Json::array()},
               {"entropy_by_part_of_speech", json_of(sample.entropy)},
               {"claims", json_of(sample.claims)},
               {"sets", json_of(sample.sets, set_bins, "after_start")}};
  for (const SignalReport& signal : sample.signals) {
    json["rank_correlations"].push_back(json_of(signal, bins));
  }
  return json;
}

}  // namespace

std::string report_json(const Report& report) {
  const AnalyzeOptions& options = report.options;
  Json bins = Json::array();
  for (const DistanceBin& bin : options.bins) bins.push_back(json_of(bin));
  Json json = {{"model", report.model.name},
               {"options",
                {{"bins", bins},
                 {"chunk", options.chunk > 0 ? Json(options.chunk) : Json()},
                 {"top_share", options.sample.top_share},
                 {"n_sinks", options.sample.n_sinks},
                 {"bootstrap_replicates", options.bootstrap.replicates},
                 {"bootstrap_seed", options.bootstrap.seed}}},
               {"documents", Json::array()},
               {"pooled", nullptr},
               {"sentences", Json::array()},
               {"sketches", Json::array()}};
  for (const SampleReport& document : report.documents) {
    json["documents"].push_back(json_of(document, options.bins, report.set_bins));
  }
  if (report.pooled) json["pooled"] = json_of(*report.pooled, options.bins, report.set_bins);
  for (const SentenceReport& one : report.sentences) json["sentences"].push_back(json_of(one));
  for (const SketchReport& sketch : report.sketches) json["sketches"].push_back(json_of(sketch));
  json["retention"] = report.retention ? retention_json(*report.retention) : Json();
  // Names from a stranger's file need not be UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace longshadow
