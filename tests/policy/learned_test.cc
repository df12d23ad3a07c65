#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/policies/learned/ranking_file.h"
#include "engine/policies/registry.h"
#include "tests/policy/layer_fixture.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace longshadow {
namespace {

using nlohmann::json;

/// A ranking of the fixture's shape, in a file that goes with it.
struct RankingFile {
  test::TemporaryFolder folder;
  std::filesystem::path path;
  PolicyModel model;
  json content;

  RankingFile(std::size_t n_layers, std::size_t n_kv_heads)
      : path(folder.path() / "ranking.json"),
        model{n_layers, n_kv_heads, [] { return std::string(64, 'a'); }, {}},
        content{{"format", "longshadow ranking"},
                {"format_version", 1},
                {"model", {{"name", "tiny"}, {"weights_sha256", std::string(64, 'a')}}},
                {"layers", n_layers},
                {"kv_heads", n_kv_heads},
                {"features", json::array({"distance", "key_norm"})}} {
    for (std::size_t layer = 0; layer < n_layers; ++layer) {
      json heads = json::array();
      for (std::size_t head = 0; head < n_kv_heads; ++head) {
        heads.push_back({1.0 + double(layer), -0.5 - double(head), 0.25});
      }
      content["weights"].push_back(heads);
    }
  }

  std::unique_ptr<Policy> policy(const std::string& more = "") const {
    std::ofstream(path) << content;
    return make_policy("learned:" + path.string() + more, model);
  }
};

TEST_CASE("A learnt ranking is a linear function of the features, by layer and head") {
  const test::PolicyFixture fixture(test::kPolicyFixtures);
  Cpu cpu(1);
  const RankingFile file(fixture.n_layers, fixture.shape.n_kv_heads);
  const auto policy = file.policy(",n_sink=2,recent=5");
  CHECK(policy->traits().window_queries == 0);  // of the two features neither asks for them
  CHECK(policy->traits().n_sink == 2);
  CHECK(policy->traits().n_recent == 5);
  CHECK(policy->traits().files_sha256.size() == 1);
  test::LayerFixture layer(cpu, fixture, 1);
  const LayerView view = layer.view(policy->traits());
  const HeadFeature features[] = {HeadFeature::distance, HeadFeature::key_norm};
  const auto values = head_features(view, features);
  const TokenScores scores = policy->scores(view);
  for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
    for (std::size_t j = 0; j < view.n; ++j) {
      CHECK(scores.head(head)[j] == Approx(2.0 * values[head].row(0)[j] -
                                           (0.5 + double(head)) * values[head].row(1)[j] + 0.25)
                                        .margin(1e-12));
    }
  }
  // A view of the second head alone, as while text is written, is scored by that head's weights.
  LayerView second = view;
  second.first_kv_head = 1;
  second.keys = {view.keys.head(1).data, 1, view.keys.rows, view.keys.head_dim};
  second.values = {view.values.head(1).data, 1, view.values.rows, view.values.head_dim};
  const TokenScores alone = policy->scores(second);
  for (std::size_t j = 0; j < view.n; ++j) CHECK(alone.head(0)[j] == scores.head(1)[j]);
}

TEST_CASE("A ranking's file is read strictly") {
  RankingFile file(2, 2);
  const auto refusal = [&] { return test::error_of([&] { file.policy(); }); };
  CHECK_NOTHROW(file.policy());
  const json good = file.content;
  const auto with = [&](const char* key, const json& value) {
    file.content = good;
    file.content[key] = value;
    return refusal();
  };
  CHECK_THAT(with("format", "longshadow head budgets"),
             Catch::Contains("`longshadow learn ranking`"));
  CHECK_THAT(with("format_version", 2), Catch::Contains("version 2"));
  CHECK_THAT(with("model", {{"weights_sha256", std::string(64, 'b')}}),
             Catch::Contains("this model's weights"));
  CHECK_THAT(with("layers", 3), Catch::Contains("expected 2 layers"));
  CHECK_THAT(with("features", json::array({"distance", "entropy"})),
             Catch::Contains("features[1]"));
  CHECK_THAT(with("features", json::array({"distance", 7})), Catch::Contains("features[1]"));
  CHECK_THAT(with("features", json::array({"distance", "distance"})),
             Catch::Contains("there twice"));
  CHECK_THAT(with("features", json::array({"distance"})),
             Catch::Contains("expected a list of 2, found one of 3"));
  CHECK_THAT(with("weights", json::array()), Catch::Contains("expected a list of 2"));
  json weights = good["weights"];
  weights[1][0][2] = "0.25";
  CHECK_THAT(with("weights", weights), Catch::Contains("expected numbers"));
  weights = good["weights"];
  weights[0] = 3;
  CHECK_THAT(with("weights", weights), Catch::Contains("found something else"));
  CHECK_THAT(with("features", nullptr), Catch::Contains("features"));
  file.model.recipe = [](const std::string& ranking) { return "learn" + ranking; };
  CHECK_THAT(test::error_of([&] { make_policy("learned:nowhere.json", file.model); }),
             Catch::Contains("found no such file; make it in two minutes: learn"));
  CHECK_THAT(test::error_of([] { make_policy("learned"); }), Catch::Contains("one model"));
}

}  // namespace
}  // namespace longshadow
