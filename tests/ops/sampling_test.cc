#include "engine/ops/sampling.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/contracts.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

template <class T>
std::int32_t sample(const std::vector<T>& logits, const SamplingOptions& options, double uniform) {
  return sample_token(std::span<const T>(logits), options, uniform);
}

/// Logits whose softmax is, up to rounding, these probabilities.
std::vector<double> logits_of(const std::vector<double>& probabilities) {
  std::vector<double> logits;
  for (const double p : probabilities) logits.push_back(std::log(p) + 3);
  return logits;
}

TEMPLATE_TEST_CASE("temperature 0 takes the likeliest token, the first of equals", "", float,
                   double) {
  const std::vector<TestType> logits{1, 5, -2, 5, 4};
  for (const double uniform : {0.0, 0.5, 0.999}) CHECK(sample(logits, {}, uniform) == 1);
}

TEST_CASE("each token is drawn from its share, the likeliest from the first") {
  const auto logits = logits_of({0.2, 0.5, 0.3});
  const SamplingOptions plain{.temperature = 1};
  CHECK(sample(logits, plain, 0.0) == 1);
  CHECK(sample(logits, plain, 0.499) == 1);
  CHECK(sample(logits, plain, 0.501) == 2);
  CHECK(sample(logits, plain, 0.799) == 2);
  CHECK(sample(logits, plain, 0.801) == 0);
  CHECK(sample(logits, plain, std::nextafter(1.0, 0.0)) == 0);
}

TEST_CASE("a temperature raises probabilities to its inverse power") {
  const auto logits = logits_of({0.2, 0.8});
  // At 0.5, 0.64 against 0.04; at 2, 0.894 against 0.447.
  CHECK(sample(logits, {.temperature = 0.5}, 0.9411) == 1);
  CHECK(sample(logits, {.temperature = 0.5}, 0.9412) == 0);
  CHECK(sample(logits, {.temperature = 2}, 0.6666) == 1);
  CHECK(sample(logits, {.temperature = 2}, 0.6667) == 0);
}

TEST_CASE("top-p draws from the fewest tokens that reach it, scaled to one") {
  const auto logits = logits_of({0.1, 0.4, 0.3, 0.2});
  const double last = std::nextafter(1.0, 0.0);
  CHECK(sample(logits, {1, 0.01}, last) == 1);
  CHECK(sample(logits, {1, 0.39}, last) == 1);
  CHECK(sample(logits, {1, 0.41}, last) == 2);
  CHECK(sample(logits, {1, 0.71}, last) == 3);
  CHECK(sample(logits, {1, 1}, last) == 0);
  CHECK(sample(logits, {1, 0.41}, 0.571) == 1);  // 4/7
  CHECK(sample(logits, {1, 0.41}, 0.572) == 2);
}

// A count of n draws with probability p has the variance n p (1 - p); beyond 5.2 standard
// deviations lies one of five million, and there are eight counts.
TEST_CASE("draws are distributed as the softmax says, and the seed decides which") {
  const std::vector<float> logits{0, 1, 2, -1, 0.5F, 3, -30, 1.5F};
  const SamplingOptions options{.temperature = 0.8};
  const auto draws = [&](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < 20000; ++i) tokens.push_back(sample(logits, options, uniform_draw(random)));
    return tokens;
  };
  const auto tokens = draws(1);
  CHECK(tokens == draws(1));
  CHECK(tokens != draws(2));
  double total = 0;
  for (const float logit : logits) total += std::exp(logit / options.temperature);
  const auto n = static_cast<double>(tokens.size());
  for (std::size_t id = 0; id < logits.size(); ++id) {
    const double p = std::exp(logits[id] / options.temperature) / total;
    const auto count = std::count(tokens.begin(), tokens.end(), static_cast<std::int32_t>(id));
    CHECK(std::abs(static_cast<double>(count) - n * p) <= 5.2 * std::sqrt(n * p * (1 - p)) + 1e-6);
  }
}

TEST_CASE("a logit that is not a number is refused") {
  const std::vector<float> logits{0, std::numeric_limits<float>::quiet_NaN()};
  CHECK_THAT(test::error_of([&] { sample(logits, {}, 0.5); }),
             Catch::Contains("token 1 is not a number"));
}

#ifdef LONGSHADOW_CONTRACTS
TEST_CASE("a token is drawn from one logit at least", "[contract]") {
  CHECK(test::error_of([&] { sample<float>({}, {}, 0.5); }) ==
        "sample_token: logits.size() is 0, expected at least 1");
}
#endif

}  // namespace
}  // namespace longshadow
