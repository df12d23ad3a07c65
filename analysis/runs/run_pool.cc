#include "analysis/runs/run_pool.h"

#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>

#include "data/format/schema.h"

namespace longshadow {

namespace {

using Conditions = std::vector<std::pair<const char*, std::string>>;

/// Conditions that must agree for influences to be of one kind, in the words of the command line.
Conditions conditions_of(const DocumentRun& document) {
  const RunInfluence& influence = document.influence;
  const bool at_end = influence.evict_at == schema::kEvictAtEnd;
  return {{"--context", std::to_string(document.context_tokens)},
          {"--future", std::to_string(influence.noise_floor.size())},
          {"--evict-at",
           at_end ? influence.evict_at : influence.evict_at + ":" + std::to_string(influence.lag)},
          {"--layers", influence.layers},
          {"--heads", influence.heads}};
}

[[noreturn]] void refuse(const std::string& first, const std::string& second,
                         const std::string& what) {
  throw std::invalid_argument(first + " and " + second + " cannot be pooled: " + what);
}

void check_model(const NamedRun& first, const NamedRun& other) {
  if (first.run.model.weights_sha256 == other.run.model.weights_sha256) return;
  refuse(first.path, other.path,
         "expected the same weights, found those of " + first.run.model.name + " and of " +
             other.run.model.name + " (SHA-256 " + first.run.model.weights_sha256.substr(0, 8) +
             " and " + other.run.model.weights_sha256.substr(0, 8) + ")");
}

void check_conditions(const std::string& first_path, const Conditions& first,
                      const std::string& path, const Conditions& other) {
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (first[i].second == other[i].second) continue;
    refuse(first_path, path,
           "expected the same " + std::string(first[i].first) + ", found " + first[i].second +
               " and " + other[i].second);
  }
}

}  // namespace

RunFile pool_runs(std::vector<NamedRun> runs) {
  std::optional<std::pair<std::string, Conditions>> first;
  std::map<std::string, std::size_t> run_of_text;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const NamedRun& named = runs[r];
    check_model(runs.front(), named);
    for (const DocumentRun& document : named.run.documents) {
      const std::size_t seen = run_of_text.emplace(document.source_sha256, r).first->second;
      if (seen != r) {
        refuse(runs[seen].path, named.path, "both have the text of " + document.name);
      }
      if (document.influence.subjects.empty()) continue;
      const Conditions conditions = conditions_of(document);
      if (!first) first = {named.path, conditions};
      check_conditions(first->first, first->second, named.path, conditions);
    }
  }
  RunFile pooled = std::move(runs.front().run);
  for (std::size_t i = 1; i < runs.size(); ++i) {
    auto& documents = runs[i].run.documents;
    pooled.documents.insert(pooled.documents.end(), std::make_move_iterator(documents.begin()),
                            std::make_move_iterator(documents.end()));
  }
  return pooled;
}

}  // namespace longshadow
