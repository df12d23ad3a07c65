#include <nlohmann/json.hpp>

#include "analysis/report/report_sections.h"

namespace longshadow {

namespace {

Json json_of_estimate(const Estimate& estimate) {
  return {{"value", estimate.value}, {"low", estimate.low}, {"high", estimate.high}};
}

Json json_of_kl(const KlReport& kl) {
  return {{"mean_nats", json_of_estimate(kl.mean)}, {"median_nats", json_of_estimate(kl.median)}};
}

Json json_of_kept(const KeptShares& kept) {
  Json tags = Json::object();
  for (std::size_t tag = 0; tag < kept.by_tag.size(); ++tag) {
    tags[schema::kUniversalTags[tag]] = kept.by_tag[tag];
  }
  return {{"by_upos", tags},
          {"by_entropy_quarter", kept.by_entropy},
          {"by_drift_quarter", kept.by_drift},
          {"by_position_tenth", kept.by_position}};
}

Json json_of_arm(const RetentionArm& arm) {
  return {{"policy", arm.policy},
          {"budget", arm.budget},
          {"kv_bits", arm.kv_bits},
          {"n_documents", arm.n_documents},
          {"bytes_share", arm.bytes_share},
          {"near", json_of_kl(arm.near)},
          {"far", json_of_kl(arm.far)},
          {"top1", json_of_estimate(arm.top1)},
          {"perplexity_ratio", json_of_estimate(arm.perplexity_ratio)},
          {"kept", json_of_kept(arm.kept)}};
}

Json json_of_overlap(const RetentionOverlap& overlap) {
  Json rows = Json::array();
  const std::size_t n = overlap.policies.size();
  for (std::size_t i = 0; i < n; ++i) {
    Json row = Json::array();
    for (std::size_t j = 0; j < n; ++j) row.push_back(overlap.jaccard[i * n + j]);
    rows.push_back(row);
  }
  return {{"budget", overlap.budget}, {"policies", overlap.policies}, {"jaccard", rows}};
}

}  // namespace

Json retention_json(const RetentionReport& report) {
  Json json = {
      {"conditions", report.conditions}, {"arms", Json::array()}, {"overlaps", Json::array()}};
  for (const RetentionArm& arm : report.arms) json["arms"].push_back(json_of_arm(arm));
  for (const RetentionOverlap& overlap : report.overlaps) {
    json["overlaps"].push_back(json_of_overlap(overlap));
  }
  return json;
}

}  // namespace longshadow
