#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "engine/policies/registry.h"
#include "tests/policy/layer_fixture.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

constexpr std::size_t kWindow = 32, kKernel = 5;
constexpr double kGamma = 200;

/// The paper's formulas, term by term, of one layer.
struct Twin {
  twin::Rows scores;  ///< [K][n - window]
  double entropy = 0, variance = 0;
};

Twin twin_of(const LayerView& view) {
  const std::size_t d = view.keys.head_dim, before = view.n - kWindow;
  const std::size_t group = view.window_queries.n_heads / view.keys.n_heads;
  Twin twin{twin::Rows(view.keys.n_heads, twin::Row(before))};
  for (std::size_t head = 0; head < view.window_queries.n_heads; ++head) {
    const twin::Rows keys = twin::rows(view.keys.head(head / group).row_range(0, view.n));
    twin::Rows weights;
    for (std::size_t i = 0; i < kWindow; ++i) {
      const twin::Rows seen(keys.begin(),
                            keys.begin() + static_cast<std::ptrdiff_t>(before + i + 1));
      weights.push_back(
          twin::attend(twin::row(view.window_queries.head(head).row(i), d), seen, seen).weights);
    }
    twin::Row raw(before);
    for (std::size_t j = 0; j < before; ++j) {
      double mean = 0, variance = 0;
      for (const twin::Row& row : weights) {
        mean += row[j] / kWindow;
        twin.entropy -= row[j] * std::log(row[j]);
      }
      for (const twin::Row& row : weights) variance += std::pow(row[j] - mean, 2) / (kWindow - 1);
      twin.variance += variance;
      raw[j] = mean + kGamma * variance;
    }
    for (std::size_t j = 0; j < before; ++j) {
      for (std::size_t i = j < 2 ? 0 : j - 2; i < std::min(j + 3, before); ++i) {
        twin.scores[head / group][j] += raw[i] / kKernel / static_cast<double>(group);
      }
    }
  }
  return twin;
}

TEST_CASE("CAKE's scores rank as its paper's do, and sum to the layer's preference") {
  const test::PolicyFixture fixture(test::kPolicyFixtures);
  Cpu cpu(2);
  const std::size_t n_sink = GENERATE(0, 4);
  const auto policy = make_policy("cake:tau1=1.6,tau2=0.4");
  policy->protect_sinks(n_sink);
  for (std::size_t layer = 0; layer < fixture.n_layers; ++layer) {
    test::LayerFixture of_layer(cpu, fixture, layer);
    const LayerView view = of_layer.view(policy->traits());
    const TokenScores scores = policy->scores(view);
    const Twin twin = twin_of(view);
    double raw_sum = 0, sum = 0;
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (std::size_t j = n_sink; j < view.n - kWindow; ++j) {
        raw_sum += twin.scores[head][j];
        sum += scores.head(head)[j];
      }
    }
    const double preference = std::pow(twin.entropy, 1 / 1.6) * std::pow(twin.variance, 1 / 0.4);
    // Both are double: a weight is off by some n roundings, and powers take them 2.5 times.
    const double error = 16 * static_cast<double>(view.n) * twin::unit_roundoff<double>;
    CHECK(sum == Approx(preference).epsilon(error).margin(0));
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (std::size_t j = 0; j < view.n - kWindow; ++j) {
        CAPTURE(layer, head, j);
        CHECK(scores.head(head)[j] ==
              Approx(twin.scores[head][j] / raw_sum * preference).epsilon(error).margin(0));
      }
    }
  }
}

/// Scores of layers with these preferences, [1, n] each, falling from the first token on.
std::vector<TokenScores> layers_of(const std::vector<double>& preferences, std::size_t n) {
  std::vector<TokenScores> layers;
  for (const double preference : preferences) {
    TokenScores& scores = layers.emplace_back(1, n);
    const auto unprotected = static_cast<double>(n - kWindow);
    for (std::size_t j = 0; j < n - kWindow; ++j) {
      const double share = 2 * (unprotected - static_cast<double>(j)) / (unprotected + 1);
      scores.head(0)[j] = preference * share / unprotected;
    }
    // As protected_scores() has them.
    for (std::size_t j = n - kWindow; j < n; ++j) scores.head(0)[j] = preference + 1;
  }
  return layers;
}

std::vector<std::size_t> kept_before_window(const std::vector<double>& preferences, std::size_t n,
                                            std::size_t mean_slots) {
  const auto policy = make_policy("cake");
  const auto layers = layers_of(preferences, n);
  const SlotBudget budget{0, std::vector<std::size_t>(preferences.size(), mean_slots)};
  std::vector<std::size_t> kept;
  for (const KeptSlots& slots : policy->select(layers, budget)) {
    const auto& of_head = slots.by_head.front();
    REQUIRE(of_head.size() >= kWindow);
    CHECK(of_head[of_head.size() - kWindow] == n - kWindow);
    kept.push_back(of_head.size() - kWindow);
    // The highest scores are the first tokens'; a layer without preference has none.
    if (preferences[kept.size() - 1] > 0) CHECK(of_head[kept.back() - 1] == kept.back() - 1);
  }
  return kept;
}

TEST_CASE("CAKE gives layers slots in proportion to their preferences") {
  using Slots = std::vector<std::size_t>;
  // Besides the window each layer has 10 on the mean.
  CHECK(kept_before_window({1, 2, 1}, 132, 42) == Slots{8, 15, 7});
  CHECK(kept_before_window({5, 5}, 132, 42) == Slots{10, 10});
  // 100 is all there is before the window; the 140 too many go to the others alike, and what whole
  // numbers leave over to the first of them.
  CHECK(kept_before_window({0.1, 9.6, 0.3}, 132, 32 + 83) == Slots{73, 100, 76});
  CHECK(kept_before_window({1, 1e9, 1}, 132, 132) == Slots{100, 100, 100});
  CHECK(kept_before_window({0, 0}, 132, 42) == Slots{10, 10});
  // No slots besides the window's: all layers alike.
  CHECK(make_policy("cake")->select(layers_of({1, 2}, 132), {0, {20, 20}})[1].by_head[0].size() ==
        20);
}

TEST_CASE("CAKE keeps what the paper's code keeps") {
  const test::PolicyFixture fixture(test::kPolicyFixtures);
  Cpu cpu(2);
  const auto expected = nlohmann::json::parse(std::ifstream(test::kPolicyFixtures / "cake.json"));
  REQUIRE(expected["kept"].size() == 6);
  for (const auto& one : expected["kept"]) {
    const auto policy = make_policy(one["policy"].get<std::string>());
    std::vector<TokenScores> scores;
    for (std::size_t layer = 0; layer < fixture.n_layers; ++layer) {
      test::LayerFixture of_layer(cpu, fixture, layer);
      scores.push_back(protected_scores(*policy, of_layer.view(policy->traits())));
    }
    const auto kept = keep(*policy, scores, one["budget"]);
    CAPTURE(one["policy"], one["budget"]);
    for (std::size_t layer = 0; layer < fixture.n_layers; ++layer) {
      for (std::size_t head = 0; head < fixture.shape.n_kv_heads; ++head) {
        std::vector<std::uint32_t> before = kept[layer].by_head[head];
        REQUIRE(before.size() > kWindow);
        before.resize(before.size() - kWindow);
        CHECK(before == one["slots"][layer][head].get<std::vector<std::uint32_t>>());
      }
    }
  }
}

TEST_CASE("CAKE refuses a window of one query, which has no variance") {
  CHECK_THROWS_WITH(make_policy("cake:window=1"), Catch::Contains("2 queries"));
}

}  // namespace
}  // namespace longshadow
