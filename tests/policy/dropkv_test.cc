#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "engine/policies/registry.h"
#include "tests/policy/layer_fixture.h"
#include "tests/support/keep_layer.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

constexpr std::size_t kWindow = 16;

/// The paper's formula, term by term, of one KV head; and sums that bounds are made of.
struct Twin {
  twin::Row scores, sizes;
  double largest_score = 0;  ///< of a query and a key, in magnitudes
};

Twin twin_of(const LayerView& view, std::size_t kv_head) {
  const std::size_t d = view.keys.head_dim;
  const std::size_t group = view.window_queries.n_heads / view.keys.n_heads;
  Twin twin{twin::Row(view.n), twin::Row(view.n)};
  const twin::Rows keys = twin::rows(view.keys.head(kv_head).row_range(0, view.n));
  const twin::Rows values = twin::rows(view.values.head(kv_head).row_range(0, view.n));
  double longest = 0;
  for (const twin::Row& v : values) longest = test::larger(longest, std::sqrt(twin::dot(v, v)));
  for (std::size_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (std::size_t i = 0; i < kWindow; ++i) {
      const std::size_t seen = view.n - kWindow + i + 1;
      const twin::Row query = twin::row(view.window_queries.head(head).row(i), d);
      const twin::Attention row =
          twin::attend(query, {keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(seen)},
                       {values.begin(), values.begin() + static_cast<std::ptrdiff_t>(seen)});
      twin.largest_score = test::larger(twin.largest_score, row.score_magnitude);
      for (std::size_t j = 0; j < seen; ++j) {
        const double score = twin::dot(query, keys[j]) / std::sqrt(static_cast<double>(d));
        const double p = std::exp(score - row.log_normaliser);
        double square = 0;
        for (std::size_t k = 0; k < d; ++k) square += std::pow(values[j][k] - row.out[k], 2);
        const double odds = p / (1 - p);
        twin.scores[j] += odds * odds * square / static_cast<double>(group);
        const double length = std::sqrt(twin::dot(values[j], values[j])) + longest;
        twin.sizes[j] += std::pow(std::min(odds, 1.0) * length, 2) / static_cast<double>(group);
      }
    }
  }
  return twin;
}

TEST_CASE("DropKV scores what the last queries' outputs lose with a token") {
  const test::PolicyFixture fixture(test::kPolicyFixtures);
  Cpu cpu(2);
  const auto policy = make_policy("dropkv:window=16,n_sink=2");
  REQUIRE(fixture.n > kWindow);
  for (std::size_t layer = 0; layer < fixture.n_layers; ++layer) {
    test::LayerFixture of_layer(cpu, fixture, layer);
    const LayerView view = of_layer.view(policy->traits());
    const TokenScores scores = policy->scores(view);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      const Twin twin = twin_of(view, head);
      for (std::size_t j = 0; j < view.n; ++j) {
        CAPTURE(layer, head, j);
        // A weight is off by 2 (d + 2) roundings of a score and n / 16 of its total and the rows';
        // the score takes eight times that and d + 4 roundings more, as window_statistics_test.cc
        // derives for the same arithmetic.
        const double u = twin::unit_roundoff<float>;
        const auto d = static_cast<double>(view.keys.head_dim);
        const double weight =
            (2 * (d + 2) * twin.largest_score + static_cast<double>(view.n) / 16 + 32) * u;
        CHECK(std::abs(scores.head(head)[j] - twin.scores[j]) <=
              (8 * weight + (d + 4) * u) * twin.sizes[j]);
      }
    }
    const KeptSlots kept = test::keep_layer(*policy, view, 0.25);
    for (const auto& slots : kept.by_head) {
      CHECK(slots.size() == n_kept(view.n, 0.75));
      CHECK(slots.front() == 0);
      CHECK(slots[slots.size() - kWindow] == view.n - kWindow);
    }
  }
}

}  // namespace
}  // namespace longshadow
