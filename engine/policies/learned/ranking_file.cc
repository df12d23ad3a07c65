#include "engine/policies/learned/ranking_file.h"

#include <algorithm>
#include <optional>
#include <string>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/mapped_file.h"
#include "engine/policies/learned/learned_file.h"

namespace longshadow {
namespace {

std::vector<HeadFeature> features_of(const nlohmann::json& names, const std::string& where) {
  std::vector<HeadFeature> features;
  for (const nlohmann::json& name : names) {
    const std::string text = name.is_string() ? name.get<std::string>() : "";
    const std::optional<HeadFeature> feature = head_feature(text);
    const std::string item = where + "[" + std::to_string(features.size()) + "]";
    if (!feature) {
      throw Error(item + ": expected one of the features that this program computes, such as \"" +
                  std::string(name_of(HeadFeature::window_mean)) + "\"");
    }
    if (std::find(features.begin(), features.end(), *feature) != features.end()) {
      throw Error(item + ": \"" + std::string(name_of(*feature)) + "\" is there twice");
    }
    features.push_back(*feature);
  }
  return features;
}

}  // namespace

Ranking read_ranking(const std::filesystem::path& path, const PolicyModel& model) {
  const MappedFile mapped(path);
  const std::string source = path.string();
  const nlohmann::json file = parse_json(mapped.bytes(), source);
  check_learned_file(file, "longshadow ranking", "ranking", model, source);
  Ranking ranking{model.n_layers,
                  model.n_kv_heads,
                  features_of(json_array_at(file, "features", source), source + ": features"),
                  {}};
  const std::string where = source + ": weights";
  const nlohmann::json& layers = json_array_at(file, "weights", source);
  check_length(layers, ranking.n_layers, where);
  for (const nlohmann::json& heads : layers) {
    check_length(heads, ranking.n_kv_heads, where);
    for (const nlohmann::json& weights : heads) {
      check_length(weights, ranking.features.size() + 1, where);
      for (const nlohmann::json& weight : weights) {
        if (!weight.is_number()) throw Error(where + ": expected numbers");
        ranking.weights.push_back(weight.get<double>());
      }
    }
  }
  return ranking;
}

}  // namespace longshadow
