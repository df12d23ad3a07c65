#include "engine/ops/vocabulary/sampling.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/contracts.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

template <class T>
std::int32_t sample(const std::vector<T>& logits, const SamplingOptions& options, double uniform) {
  return sample_token(std::span<const T>(logits), options, uniform);
}

/// The rule, word for word: the vocabulary sorted, and sums of shares in that order.
template <class T>
std::int32_t sample_by_sorting(const std::vector<T>& logits, const SamplingOptions& options,
                               double uniform) {
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(),
                   [&](std::int32_t a, std::int32_t b) { return logits[a] > logits[b]; });
  const double largest = static_cast<double>(logits[ids[0]]);
  std::vector<double> sums;  // up to and including each
  double sum = 0;
  for (const std::int32_t id : ids) {
    sum += std::exp((static_cast<double>(logits[id]) - largest) / options.temperature);
    sums.push_back(sum);
  }
  const double reached = options.top_p * sum;
  const double nucleus = *std::lower_bound(sums.begin(), sums.end(), reached);
  return ids[std::upper_bound(sums.begin(), sums.end(), uniform * nucleus) - sums.begin()];
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

/// Logits of many tokens, of kinds at which an order of sums or of equals could show.
template <class T>
std::map<std::string, std::vector<T>> many_logits(std::size_t n, std::mt19937_64& random) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  std::normal_distribution<double> normal;
  const auto drawn = [&](double deviation) {
    std::vector<T> logits(n);
    for (T& logit : logits) logit = static_cast<T>(deviation * normal(random));
    return logits;
  };
  std::map<std::string, std::vector<T>> kinds{{"flat", drawn(0.01)},
                                              {"normal", drawn(1)},
                                              {"steep", drawn(8)},
                                              {"equal", std::vector<T>(n, T(-3))}};
  auto& levels = kinds["levels"] = drawn(1);
  for (T& logit : levels) logit = std::round(logit);
  auto& one = kinds["one"] = std::vector<T>(n, -kInfinity);
  one[n / 2] = 5;
  auto& masked = kinds["masked"] = drawn(2);
  for (std::size_t i = 1; i < n; i += 3) masked[i] = -kInfinity;
  auto& outlier = kinds["outlier"] = drawn(0.01);
  outlier[n / 3] = -1e30F;
  // Each of the rest is lost beside the first, but not together: e^-37 is 0.8 u.
  auto& lost = kinds["lost"] = std::vector<T>(n, T(-37));
  lost.back() = 0;
  auto& huge = kinds["huge"] = drawn(1);
  huge[n / 4] = std::numeric_limits<T>::max();
  huge[n / 5] = std::numeric_limits<T>::lowest();
  return kinds;
}

TEMPLATE_TEST_CASE("a draw is that of the sorted vocabulary, to the bit", "", float, double) {
  std::mt19937_64 random(3);
  for (const std::size_t n : {1, 7, 8, 200, 2003}) {
    for (const auto& [kind, logits] : many_logits<TestType>(n, random)) {
      for (const double temperature : {1e-3, 0.7, 20.0}) {
        for (const double top_p : {1e-9, 0.25, 0.5, 0.9, 1 - 0x1p-44, 1.0}) {
          std::vector<double> uniforms{0, 0.25, 0.5, 1 - 0x1p-44, 1 - 0x1p-53};
          for (int i = 0; i < 4; ++i) uniforms.push_back(uniform_draw(random));
          for (const double uniform : uniforms) {
            const SamplingOptions options{temperature, top_p};
            CAPTURE(n, kind, temperature, top_p, uniform);
            REQUIRE(sample(logits, options, uniform) ==
                    sample_by_sorting(logits, options, uniform));
          }
        }
      }
    }
  }
}

TEST_CASE("where the largest logit is infinite, the first of those is taken") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CHECK(sample<float>({0, kInfinity, kInfinity}, {1, 0.5}, 0.9) == 1);
  CHECK(sample<float>({-kInfinity, -kInfinity}, {1, 1}, 0.9) == 0);
}

TEMPLATE_TEST_CASE("repetitions are penalized once a token, whichever side of 0 they lie on", "",
                   float, double) {
  std::vector<TestType> logits{3, -3, 0, 2.5, -std::numeric_limits<TestType>::infinity(), 7};
  const std::vector<std::int32_t> ids{4, 1, 0, 2};
  const auto penalty = static_cast<TestType>(1.3);
  penalize_repetition(std::span(logits), std::span(ids), 1.3);
  CHECK(logits == std::vector<TestType>{3 / penalty, -3 * penalty, 0, 2.5,
                                        -std::numeric_limits<TestType>::infinity(), 7});
}

TEST_CASE("a logit that is not a number is refused") {
  for (const std::size_t at : {1, 40}) {
    std::vector<float> logits(41);
    logits[at] = std::numeric_limits<float>::quiet_NaN();
    for (const double temperature : {0.0, 1.0}) {
      CHECK_THAT(test::error_of([&] {
                   sample(logits, {temperature, 0.9}, 0.5);
                 }),
                 Catch::Contains("token " + std::to_string(at) + " is not a number"));
    }
  }
}

// No test: it prints what a draw from Llama 3's 128,256 tokens takes, by turns, in processor time,
// which a busy machine does not stretch.
TEST_CASE("speed of a draw", "[.][benchmark]") {
  std::mt19937_64 random(1);
  const auto milliseconds = [](std::clock_t begin, std::clock_t end) {
    return 1e3 * static_cast<double>(end - begin) / CLOCKS_PER_SEC;
  };
  for (const std::string kind : {"normal", "steep"}) {
    const auto logits = many_logits<float>(128256, random)[kind];
    for (const double top_p : {1.0, 0.9}) {
      std::vector<double> sorting, here, ratios;
      for (int round = 0; round < 51; ++round) {
        const double uniform = uniform_draw(random);
        const auto begin = std::clock();
        const auto expected = sample_by_sorting(logits, {1, top_p}, uniform);
        const auto middle = std::clock();
        REQUIRE(sample(logits, {1, top_p}, uniform) == expected);
        const auto end = std::clock();
        sorting.push_back(milliseconds(begin, middle));
        here.push_back(milliseconds(middle, end));
        ratios.push_back(sorting.back() / here.back());
      }
      const auto median = [](std::vector<double>& of) {
        std::nth_element(of.begin(), of.begin() + 25, of.end());
        return of[25];
      };
      std::printf("%-7s top-p %.1f: sorting %.2f ms, here %.3f ms, %.0f times faster\n",
                  kind.c_str(), top_p, median(sorting), median(here), median(ratios));
    }
  }
}

#ifdef LONGSHADOW_CONTRACTS
TEST_CASE("a token is drawn from one logit at least", "[contract]") {
  CHECK(test::error_of([&] { sample<float>({}, {}, 0.5); }) ==
        "sample_token: logits.size() is 0, expected at least 1");
}
#endif

}  // namespace
}  // namespace longshadow
