#include "engine/ops/attention_statistics/window_spread.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/contracts.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

constexpr std::size_t kHeads = 6, kKvHeads = 2, kGroup = kHeads / kKvHeads, kDim = 16;

struct Text {
  Matrix<float> queries, keys;
  ScoreForm score{};

  Text(Cpu& cpu, std::size_t n, std::size_t window, double query_scale)
      : queries(test::random_matrix<float>(cpu, kHeads * window, kDim, 1, query_scale)),
        keys(test::random_matrix<float>(cpu, kKvHeads * n, kDim, 2)) {}

  HeadRows<const float> query_heads() const { return as_heads(queries.view(), kHeads); }
  HeadRows<const float> key_heads() const { return as_heads(keys.view(), kKvHeads); }
};

/// The weights [window][n - window] of one query head, and how far one may be off, relative to it.
struct Weights {
  twin::Rows rows;
  double error = 0;
};

Weights weights_of(const Text& text, std::size_t head, std::size_t n) {
  const auto queries = text.query_heads().head(head);
  const twin::Rows keys = twin::rows(text.key_heads().head(head / kGroup));
  const std::size_t window = queries.rows;
  Weights weights;
  double largest_score = 0;
  for (std::size_t i = 0; i < window; ++i) {
    const twin::Rows seen(keys.begin(), keys.begin() + static_cast<long>(n - window + i + 1));
    const twin::Row query = twin::row(queries.row(i), kDim);
    const twin::Attention row = twin::attend(query, seen, seen, {text.score.scale, text.score.cap});
    largest_score = test::larger(largest_score, row.score_magnitude);
    weights.rows.push_back(
        {row.weights.begin(), row.weights.begin() + static_cast<long>(n - window)});
  }
  // Op and twin each round a score kDim + 2 times, and its difference to the highest; a cap brings
  // three roundings more; the total is a sum of up to n terms.
  weights.error =
      (4 * (kDim + 5) * largest_score + 2 * double(n) + 8) * twin::unit_roundoff<double>;
  return weights;
}

TEST_CASE("the window's spread is mean, variance and entropy of its softmax rows") {
  Cpu cpu(2);
  const auto [n, window] = GENERATE(table<std::size_t, std::size_t>({{3, 2}, {40, 8}, {130, 32}}));
  const double query_scale = GENERATE(0.1, 1.0, 8.0);  // steady, plain and peaked attention
  Text text(cpu, n, window, query_scale);
  text.score.cap = GENERATE(0.0, 2.0);
  CAPTURE(n, window, query_scale, text.score.cap);
  const auto found = window_spread(text.score, text.query_heads(), text.key_heads(), n);
  REQUIRE(found.size() == kKvHeads);
  for (std::size_t kv_head = 0; kv_head < kKvHeads; ++kv_head) {
    double entropy = 0, entropy_error = 0;
    twin::Row mean(n - window), variance(n - window), largest_square(n - window);
    double error = 0;
    for (std::size_t head = kv_head * kGroup; head < (kv_head + 1) * kGroup; ++head) {
      const Weights weights = weights_of(text, head, n);
      error = test::larger(error, weights.error);
      for (std::size_t j = 0; j < n - window; ++j) {
        double sum = 0, squares = 0, largest = 0;
        for (const twin::Row& row : weights.rows) {
          sum += row[j] / double(window);
          largest = test::larger(largest, row[j]);
          // d(p log p) = (1 + log p) dp
          entropy -= row[j] * std::log(row[j]);
          entropy_error += weights.error * row[j] * (1 - std::log(row[j]));
        }
        for (const twin::Row& row : weights.rows) squares += std::pow(row[j] - sum, 2);
        mean[j] += sum / kGroup;
        variance[j] += squares / double(window - 1) / kGroup;
        largest_square[j] += largest * largest / kGroup;
      }
    }
    // A sum of n window terms; and 2 window roundings of Welford's means, at most as large as the
    // largest weight, whose square bounds the variance's terms.
    const double u = twin::unit_roundoff<double>;
    CHECK(std::abs(found[kv_head].entropy - entropy) <=
          entropy_error + double(n * window * kGroup) * u * entropy);
    for (std::size_t j = 0; j < n - window; ++j) {
      CAPTURE(kv_head, j);
      const double e = error + 4 * double(window) * u;
      CHECK(std::abs(found[kv_head].mean[j] - mean[j]) <= e * mean[j] + 4 * u * mean[j]);
      CHECK(std::abs(found[kv_head].variance[j] - variance[j]) <= 8 * e * largest_square[j]);
    }
  }
}

TEST_CASE("the window's spread has the same bits for any number of threads") {
  CHECK(test::same_bits_for_any_threads([](Cpu& cpu) {
    const Text text(cpu, 300, 32, 3);
    std::vector<double> all;
    std::vector<WindowSpread> found;
    cpu.parallel_for(1, [&](std::size_t) {
      found = window_spread(text.score, text.query_heads(), text.key_heads(), 300);
    });
    for (const WindowSpread& head : found) {
      all.insert(all.end(), head.mean.begin(), head.mean.end());
      all.insert(all.end(), head.variance.begin(), head.variance.end());
      all.push_back(head.entropy);
    }
    return all;
  }));
}

#ifdef LONGSHADOW_CONTRACTS
TEST_CASE("window_spread refuses a window of one query, and one with no token before it",
          "[contract]") {
  const auto of = [](std::size_t window, std::size_t n) {
    return test::error_of([=] {
      window_spread(ScoreForm{}, test::shaped_heads<const float>(4, window, 16),
                    test::shaped_heads<const float>(2, n, 16), n);
    });
  };
  CHECK_THAT(of(1, 8), Catch::Contains("window_spread: the window"));
  CHECK_THAT(of(8, 8), Catch::Contains("window_spread: n"));
}
#endif

}  // namespace
}  // namespace longshadow
