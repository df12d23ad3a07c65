#include "probes/measure/rerouted.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "engine/backend/cpu.h"
#include "probes/measure/probe_model.h"
#include "tests/support/larger.h"
#include "tests/support/probe_case.h"

namespace longshadow {
namespace {

using test::TinyModel;

std::vector<TinyModel> models_with_experts() {
  std::vector<TinyModel> models = test::tiny_models();
  std::erase_if(models,
                [](const TinyModel& model) { return !model.expected.contains("rerouted"); });
  return models;
}

// A share is a count, and counts are equal unless rounding turns a tie: f64's and f32's differ from
// the reference's in none of these models.
TEMPLATE_TEST_CASE("the share of rows that change their experts is that of plain float64", "",
                   double, float) {
  Cpu cpu(2);
  REQUIRE(models_with_experts().size() == 5);
  for (const TinyModel& model : models_with_experts()) {
    const auto expected = test::flat(model.expected["rerouted"]);
    CHECK(*std::ranges::max_element(expected) >= 0.05);
    const auto checkpoint = open_checkpoint(model.path);
    ProbeOptions options;
    options.context = model.expected["context"].get<std::size_t>();
    options.horizon = model.expected["future"].get<std::size_t>();
    options.evict_at = parse_evict_at("end");
    for (const Method method : {Method::direct, Method::differential}) {
      CAPTURE(model.path, int(method));
      options.method = method;
      test::select(options, test::list_of(model.expected["subjects"]));
      const auto ids = model.expected["token_ids"].get<std::vector<TokenId>>();
      const RunInfluence influence =
          test::probe<TestType>(cpu, *checkpoint, ids, options).influence;
      CHECK(influence.kl.size() == influence.subjects.size() * options.horizon);
      REQUIRE(influence.rerouted.size() == expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(double(influence.rerouted[i]) == expected[i]);
      }
    }
  }
}

TEST_CASE("a model without experts has no such shares") {
  Cpu cpu(2);
  const TinyModel model = test::tiny_models()[0];
  ProbeOptions options;
  options.context = 64;
  options.horizon = 8;
  options.evict_at = parse_evict_at("end");
  test::select(options, "list:3");
  const auto ids = model.expected["token_ids"].get<std::vector<TokenId>>();
  CHECK(test::probe<double>(cpu, *open_checkpoint(model.path), ids, options)
            .influence.rerouted.empty());
}

/// One row for each of `starts`, without one token: whether it changed its experts in any layer,
/// and by how much the two forms differ, relative to the influence.
struct OneRow {
  bool rerouted;
  double kl;
  double difference;
};

std::vector<OneRow> single_rows(const std::string& name) {
  constexpr std::size_t kContext = 24;
  Cpu cpu(2);
  const auto checkpoint = open_checkpoint(test::kTinyModels / name);
  const ProbeModel model = load_probe_model(cpu, *checkpoint, Precision::f64);
  std::vector<TokenId> ids;
  for (TokenId i = 0; i < 120; ++i) ids.push_back(i * 37 % 320);
  ActivationTape tape(cpu, model.weights, {kContext, ids.size()});
  LayerObserver* observer = &tape;
  const FullPass full = run_full_pass(cpu, model.weights, std::span<const TokenId>(ids),
                                      std::span<LayerObserver* const>(&observer, 1), {});
  std::vector<Counterfactual> batch;
  for (std::size_t start = kContext; start < ids.size(); ++start) {
    for (const std::size_t token : {std::size_t{0}, start / 2, start - 1}) {
      batch.push_back({Removal({{token, token + 1}}), start});
    }
  }
  const std::size_t n_layers = model.weights.config.n_layers;
  std::vector<double> kl(batch.size()), direct_kl(batch.size());
  std::vector<double> shares(batch.size() * n_layers), direct_shares(shares.size());
  make_engine(cpu, model, full, &tape, 1, batch.size()).engine->run(batch, kl, shares);
  make_engine(cpu, model, full, nullptr, 1, batch.size())
      .engine->run(batch, direct_kl, direct_shares);
  CHECK(shares == direct_shares);
  std::vector<OneRow> rows;
  for (std::size_t b = 0; b < batch.size(); ++b) {
    bool changed = false;
    for (std::size_t layer = 0; layer < n_layers; ++layer) {
      changed |= shares[b * n_layers + layer] != 0;
    }
    rows.push_back({changed, kl[b], std::abs(kl[b] - direct_kl[b]) / kl[b]});
  }
  return rows;
}

// f64's own error, relative to the change, is some 1e-13; the direct form, which subtracts two
// states, has more where the change is small. A row that changes its experts changes by much.
TEST_CASE("rows are exact whether they change their experts or not") {
  const std::string name = GENERATE("mixtral", "qwen3_moe", "qwen3_moe_mixed");
  CAPTURE(name);
  std::size_t n_rerouted = 0;
  double largest = 0, largest_rerouted = 0;
  const std::vector<OneRow> rows = single_rows(name);
  for (const OneRow& row : rows) {
    if (row.kl <= 1e-12) continue;
    n_rerouted += row.rerouted;
    double& worst = row.rerouted ? largest_rerouted : largest;
    worst = test::larger(worst, row.difference);
  }
  CHECK(n_rerouted >= rows.size() / 20);
  CHECK(largest_rerouted <= 1e-9);
  CHECK(largest <= 1e-10);
}

}  // namespace
}  // namespace longshadow
