#include "analysis/statistics/permutation.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "analysis/statistics/statistics.h"
#include "tests/support/normal_sample.h"

using namespace longshadow;
using test::normal_sample;

TEST_CASE("flipping signs: all of one sign is two of 2^n patterns") {
  CHECK(sign_flip_p(std::vector<double>{3}, 1) == 1);
  CHECK(sign_flip_p(std::vector<double>{1, 1}, 1) == 0.5);
  CHECK(sign_flip_p(std::vector<double>{0.1, 0.2, 0.3, 4, 5, 6}, 1) == 2 / 64.0);
  CHECK(sign_flip_p(std::vector<double>(10, -0.3), 1) == 2 / 1024.0);
  CHECK(sign_flip_p(std::vector<double>{1, -1}, 1) == 1);
  // |sum| 4 of 1, 2, 3, 4 with one sign turned (-3): patterns with |sum| >= 4 are those with sum
  // +-10, +-8, +-6, +-4 (1 and 2 turned, or 3): 1 + 1 + 1 + 2 of each sign.
  CHECK(sign_flip_p(std::vector<double>{1, 2, -3, 4}, 1) == 10 / 16.0);
  CHECK(std::isnan(sign_flip_p({}, 1)));
}

TEST_CASE("flipping signs: drawn patterns find what the normal law says") {
  // The flipped sum of 400 values is normal, near enough, with the variance of their squares.
  const std::vector<double> values = normal_sample(400, 3);
  double sum = 0;
  double squares = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
  }
  const double expected = std::erfc(std::abs(sum) / std::sqrt(2 * squares));
  // 9,999 draws know a probability p to sqrt(p (1 - p) / 9999); five of them, and 0.005 for the
  // normal law.
  CHECK(std::abs(sign_flip_p(values, 1) - expected) <
        5 * std::sqrt(expected * (1 - expected) / 9999) + 0.005);
  CHECK(sign_flip_p(values, 1) == sign_flip_p(values, 1));
}

TEST_CASE("shuffling: the share of all orders that are as far") {
  const CentredPairs pairs{centred_ranks(std::vector<double>{1, 2, 3, 4, 5, 6}),
                           centred_ranks(std::vector<double>{2, 1, 4, 3, 6, 5})};
  const double seen = centred_correlation(pairs.x, pairs.y);
  std::vector<double> order = pairs.y;
  std::sort(order.begin(), order.end());
  double as_far = 0;
  double orders = 0;
  do {
    as_far += std::abs(centred_correlation(pairs.x, order)) >= std::abs(seen) - 1e-12;
    orders += 1;
  } while (std::next_permutation(order.begin(), order.end()));
  REQUIRE(orders == 720);
  const double p = as_far / orders;
  // 1,999 shuffles know a probability p to sqrt(p (1 - p) / 1999); five of them.
  CHECK(std::abs(shuffle_p(std::vector{pairs}, 1) - p) < 5 * std::sqrt(p * (1 - p) / 1999));
  CHECK(std::isnan(shuffle_p({}, 1)));
  CHECK(std::isnan(shuffle_p(std::vector{CentredPairs{{0, 0}, {1, -1}}}, 1)));
}

TEST_CASE("shuffling: p is below a tenth in a tenth of the cases without a relation") {
  int below = 0;
  for (unsigned trial = 0; trial < 200; ++trial) {
    std::vector<CentredPairs> documents;
    for (unsigned d = 0; d < 3; ++d) {
      const std::vector<double> x = normal_sample(20, 1000 + 10 * trial + d);
      const std::vector<double> y = normal_sample(20, 9000 + 10 * trial + d);
      documents.push_back({centred_ranks(x), centred_ranks(y)});
    }
    below += shuffle_p(documents, trial) < 0.1;
  }
  CHECK(std::abs(below - 20) < 4 * std::sqrt(200 * 0.1 * 0.9));
}

TEST_CASE("Holm's correction of an example worked by hand") {
  // 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1, which may not be less than the one before it.
  const std::vector<double> corrected = holm(std::vector<double>{0.01, 0.04, 0.03, 0.005});
  CHECK(corrected[0] == Approx(0.03));
  CHECK(corrected[1] == Approx(0.06));
  CHECK(corrected[2] == Approx(0.06));
  CHECK(corrected[3] == Approx(0.02));
  const std::vector<double> large =
      holm(std::vector<double>{0.6, std::numeric_limits<double>::quiet_NaN(), 0.9});
  CHECK(large[0] == 1);
  CHECK(std::isnan(large[1]));
  CHECK(large[2] == 1);
}
