#include "analysis/inspect/log_code.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace longshadow;

namespace {

/// What data.js makes of a code from 2 on.
double value_of(const LogCodes& coded, std::uint16_t code) {
  const double last = std::exp2(coded.bits) - 1;
  return coded.low * std::pow(coded.high / coded.low, (code - 2) / (last - 2));
}

}  // namespace

TEST_CASE("A code stands for its value within the relative error that is given") {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> exponent(-12, 1);
  std::vector<float> values;
  for (int i = 0; i < 2000; ++i)
    values.push_back(static_cast<float>(std::pow(10, exponent(random))));
  for (const int bits : {8, 16}) {
    const LogCodes coded = log_codes(values, bits, 300);
    // 13 decades in 253 or 65533 steps, of which half one is lost
    const double expected = std::expm1(13 * std::log(10) / (std::exp2(bits) - 3) / 2);
    CHECK(coded.relative_error() == Approx(expected).epsilon(0.01));
    for (std::size_t i = 0; i < values.size(); ++i) {
      REQUIRE(coded.codes[i] >= 2);
      // and 1e-9 for the rounding of the logarithms
      CHECK(std::abs(std::log(value_of(coded, coded.codes[i]) / values[i])) <=
            std::log1p(coded.relative_error()) + 1e-9);
    }
  }
}

TEST_CASE("No value, zero and what lies too far under the largest have codes of their own") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const LogCodes coded = log_codes(std::vector<float>{nan, 0, -1, 1e-9f, 1e-5f, 1}, 8, 6);
  CHECK(coded.low == Approx(1e-6));
  CHECK(coded.high == 1);
  CHECK(coded.codes == std::vector<std::uint16_t>{0, 1, 1, 1, coded.codes[4], 255});
  CHECK(value_of(coded, coded.codes[4]) == Approx(1e-5).epsilon(coded.relative_error()));
}

TEST_CASE("Arrays of one value or of none are coded too") {
  CHECK(log_codes(std::vector<float>{3, 3}, 8, 6).codes == std::vector<std::uint16_t>{2, 2});
  CHECK(log_codes(std::vector<float>{3}, 8, 6).relative_error() == 0);
  CHECK(log_codes(std::vector<float>{0, 0}, 16, 6).codes == std::vector<std::uint16_t>{1, 1});
  CHECK(log_codes(std::vector<float>{}, 16, 6).codes.empty());
}
