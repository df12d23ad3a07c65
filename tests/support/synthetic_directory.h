#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "data/format/run_file.h"
#include "data/format/run_plan.h"

namespace longshadow::test {

/// How a run of counterfactuals, or of policies alone, would be divided.
inline RunPlan plan_of(const RunFile& run, std::size_t shard_units) {
  const bool of_policies = run.documents[0].influence.subjects.empty();
  RunPlan plan{run, of_policies ? "compressed caches" : "subjects", 64, shard_units, {}};
  plan.run.documents.clear();
  for (const DocumentRun& document : run.documents) {
    plan.documents.push_back(
        {document.name, document.source_sha256,
         of_policies ? document.retention.size() : document.influence.subjects.size()});
  }
  return plan;
}

/// What the full pass gave.
inline DocumentRun pass_of(DocumentRun document) {
  document.influence.kl.clear();
  document.influence.rerouted.clear();
  document.retention.clear();
  document.complete = false;
  return document;
}

/// What these units gave.
inline DocumentRun values_of(const DocumentRun& document, UnitRange units) {
  DocumentRun values;
  values.name = document.name;
  values.context_tokens = document.context_tokens;
  values.future_tokens = document.future_tokens;
  const auto at = [](const auto& all, std::size_t i) {
    return all.begin() + static_cast<std::ptrdiff_t>(i);
  };
  if (document.influence.subjects.empty()) {
    values.retention.assign(at(document.retention, units.begin), at(document.retention, units.end));
    return values;
  }
  const std::vector<double>& kl = document.influence.kl;
  const std::size_t horizon = document.influence.noise_floor.size();
  values.influence.kl.assign(at(kl, units.begin * horizon), at(kl, units.end * horizon));
  const std::vector<float>& rerouted = document.influence.rerouted;
  const std::size_t n_layers = rerouted.size() / document.influence.subjects.size();
  values.influence.rerouted.assign(at(rerouted, units.begin * n_layers),
                                   at(rerouted, units.end * n_layers));
  return values;
}

/// The run as a directory in which everything is measured.
inline void write_directory(const std::filesystem::path& folder, const RunFile& run,
                            const RunPlan& plan) {
  write_plan(folder, plan);
  for (std::size_t d = 0; d < run.documents.size(); ++d) {
    write_pass(folder, plan, d, pass_of(run.documents[d]));
    for (const UnitRange& units : plan.shards(*plan.documents[d].n_units)) {
      write_shard(folder, plan, d, units, values_of(run.documents[d], units));
    }
  }
}

}  // namespace longshadow::test
