#include "engine/ops/attention_statistics/window_statistics.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/contracts.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

constexpr std::size_t kHeads = 4, kKvHeads = 2, kDim = 16;

struct Text {
  std::size_t n, window;
  Matrix<float> queries, keys, values;
  ScoreForm score{};

  Text(Cpu& cpu, std::size_t tokens, std::size_t last, double query_scale)
      : n(tokens),
        window(last),
        queries(test::random_matrix<float>(cpu, kHeads * window, kDim, 1, query_scale)),
        keys(test::random_matrix<float>(cpu, kKvHeads * n, kDim, 2)),
        values(test::random_matrix<float>(cpu, kKvHeads * n, kDim, 3)) {}

  std::vector<WindowStatistics> statistics(std::size_t n_latest) const {
    return window_statistics(score, as_heads(queries.view(), kHeads),
                             as_heads(keys.view(), kKvHeads), as_heads(values.view(), kKvHeads), n,
                             n_latest);
  }
};

/// The definitions, and beside them what bounds are made of.
struct Twin {
  twin::Row mean, latest, largest, removal;
  twin::Row removal_size;   ///< mean of min(p / (1 - p), 1)² (|v_j| + the largest |v|)²
  double weight_error = 0;  ///< relative, of a weight
};

Twin twin_of(const Text& text, std::size_t kv_head, std::size_t n_latest) {
  const std::size_t n = text.n, window = text.window, group = kHeads / kKvHeads;
  Twin twin{twin::Row(n), twin::Row(n), twin::Row(n), twin::Row(n), twin::Row(n)};
  const twin::Rows keys = twin::rows(as_heads(text.keys.view(), kKvHeads).head(kv_head));
  const twin::Rows values = twin::rows(as_heads(text.values.view(), kKvHeads).head(kv_head));
  double longest_value = 0, largest_score = 0;
  for (const twin::Row& v : values) {
    longest_value = test::larger(longest_value, std::sqrt(twin::dot(v, v)));
  }
  for (std::size_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    const auto queries = as_heads(text.queries.view(), kHeads).head(head);
    for (std::size_t r = 0; r < window; ++r) {
      const twin::Row q = twin::row(queries.row(r), kDim);
      const std::size_t seen = n - window + r + 1;
      twin::Row scores(seen);
      for (std::size_t j = 0; j < seen; ++j) {
        const twin::ScoreForm form{text.score.scale, text.score.cap};
        scores[j] = form.score(q, keys[j]);
        largest_score =
            test::larger(largest_score, twin::magnitude(q, keys[j]) * form.factor(kDim));
      }
      double highest = scores[0], total = 0;
      for (const double s : scores) highest = test::larger(highest, s);
      for (const double s : scores) total += std::exp(s - highest);
      for (std::size_t j = 0; j < seen; ++j) {
        const double p = std::exp(scores[j] - highest) / total;
        // The output without token j, from its own softmax: no formula is shared with the op.
        double others = 0;
        twin::Row with(kDim), without(kDim);
        for (std::size_t k = 0; k < seen; ++k) {
          const double w = std::exp(scores[k] - highest);
          if (k != j) others += w;
          for (std::size_t i = 0; i < kDim; ++i) {
            with[i] += w / total * values[k][i];
            if (k != j) without[i] += w * values[k][i];
          }
        }
        double change = 0;
        for (std::size_t i = 0; i < kDim; ++i) {
          change += std::pow(without[i] / others - with[i], 2);
        }
        const double see = double(n - std::max(j, n - window)) * double(group);
        const double see_late = double(n - std::max(j, n - n_latest)) * double(group);
        twin.mean[j] += p / see;
        if (r + n_latest >= window) twin.latest[j] += p / see_late;
        twin.largest[j] = test::larger(twin.largest[j], p);
        twin.removal[j] += change / see;
        const double length = std::sqrt(twin::dot(values[j], values[j])) + longest_value;
        const double odds = std::min(p / (others / total), 1.0);
        twin.removal_size[j] += odds * odds * length * length / see;
      }
    }
  }
  // A score is a sum of kDim products, and the highest's error enters beside it; the difference,
  // its scaling, e^x within 2 ulp, the total and its inverse are a few roundings, and the total is
  // a sum of n / 16 lanes.
  const double u = twin::unit_roundoff<float>;
  const double of_cap = text.score.cap != 0 ? 8 + 2 : 0;  // tanh and its argument and product
  twin.weight_error = 2 * (kDim + 2 + of_cap) * u * largest_score + (double(n) / 16 + 16) * u;
  return twin;
}

TEST_CASE("the window's statistics are those of softmax rows and of outputs without a token") {
  Cpu cpu(2);
  const auto [n, window, n_latest] = GENERATE(table<std::size_t, std::size_t, std::size_t>(
      {{9, 3, 2}, {64, 16, 4}, {150, 32, 16}, {70, 70, 70}}));
  const double query_scale = GENERATE(1.0, 12.0);  // with the latter some weights are near 1
  Text text(cpu, n, window, query_scale);
  if (GENERATE(false, true)) text.score = {.scale = 0.5, .cap = 4};
  CAPTURE(n, window, n_latest, query_scale, text.score.cap);
  const auto found = text.statistics(n_latest);
  REQUIRE(found.size() == kKvHeads);
  const double u = twin::unit_roundoff<float>;
  double largest = 0;
  for (std::size_t head = 0; head < kKvHeads; ++head) {
    const Twin twin = twin_of(text, head, n_latest);
    // Of a sum of positive terms over the window's rows.
    const double e = twin.weight_error + double(window) * u;
    for (std::size_t j = 0; j < n; ++j) {
      if (j == 0 && window == n) continue;  // the first query sees nothing else: below
      CAPTURE(head, j);
      CHECK(std::abs(found[head].mean[j] - twin.mean[j]) <= e * twin.mean[j]);
      CHECK(std::abs(found[head].latest[j] - twin.latest[j]) <= e * twin.latest[j]);
      CHECK(std::abs(found[head].largest[j] - twin.largest[j]) <= e * twin.largest[j]);
      // The square of the odds, at most doubly wrong for p <= 1/2, takes 4 e; an output is off by
      // 2 e of the longest value, which enters a square twice: 4 e; and the square's parts, each a
      // sum of kDim products, are off by kDim + 4 roundings of (|v| + |o|)².
      CHECK(std::abs(found[head].removal[j] - twin.removal[j]) <=
            (8 * e + (kDim + 4) * u) * twin.removal_size[j]);
      largest = test::larger(largest, found[head].largest[j]);
    }
  }
  if (query_scale > 1 && n > 9) CHECK(largest > 0.9999);
}

TEST_CASE("a query that sees one token alone loses that token's value with it") {
  Cpu cpu(1);
  const Text text(cpu, 1, 1, 1);
  for (const WindowStatistics& head : text.statistics(1)) {
    CHECK(head.mean[0] == 1);
    CHECK(head.largest[0] == 1);
  }
  const twin::Row value = twin::row(text.values.row(1), kDim);
  CHECK(text.statistics(1)[1].removal[0] == Approx(twin::dot(value, value)));
}

TEST_CASE("a value that is not a number reaches the statistics") {
  Cpu cpu(1);
  Text text(cpu, 70, 8, 1);
  text.values.row(5)[3] = std::nanf("");
  CHECK(std::isnan(text.statistics(4)[0].removal[9]));
  text.keys.row(5)[3] = std::nanf("");
  CHECK(std::isnan(text.statistics(4)[0].mean[9]));
}

TEST_CASE("the window's statistics have the same bits for any number of threads") {
  CHECK(test::same_bits_for_any_threads([](Cpu& cpu) {
    const Text text(cpu, 700, 64, 3);
    std::vector<double> all;
    std::vector<WindowStatistics> found;
    cpu.parallel_for(1, [&](std::size_t) { found = text.statistics(16); });
    for (const WindowStatistics& head : found) {
      for (const auto* part : {&head.mean, &head.latest, &head.largest, &head.removal}) {
        all.insert(all.end(), part->begin(), part->end());
      }
    }
    return all;
  }));
}

#ifdef LONGSHADOW_CONTRACTS
TEST_CASE("window_statistics refuses a window longer than the text", "[contract]") {
  CHECK_THAT(test::error_of([] {
               window_statistics(ScoreForm{}, test::shaped_heads<const float>(4, 9, 16),
                                 test::shaped_heads<const float>(2, 8, 16),
                                 test::shaped_heads<const float>(2, 8, 16), 8, 4);
             }),
             Catch::Contains("window_statistics: the window"));
}
#endif

}  // namespace
}  // namespace longshadow
