#include "engine/core/half.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

namespace longshadow {
namespace {

/// The value that the bits of a binary format with the given fields stand for.
double value_of(std::uint32_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const auto exponent = static_cast<int>((bits >> mantissa_bits) & ((1u << exponent_bits) - 1));
  const double mantissa = bits & ((1u << mantissa_bits) - 1);
  const double sign = (bits >> (exponent_bits + mantissa_bits)) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * INFINITY;
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

TEST_CASE("every binary16 and bfloat16 pattern widens to its exact value") {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto pattern = static_cast<std::uint16_t>(bits);
    wrong += !same(to_float(F16{pattern}), value_of(bits, 5, 10));
    wrong += !same(to_float(BF16{pattern}), value_of(bits, 8, 7));
  }
  CHECK(wrong == 0);
}

TEST_CASE("bfloat16 rounds to nearest, ties to even, and keeps what it can hold") {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const BF16 here{static_cast<std::uint16_t>(bits)};
    if (std::isnan(to_float(here))) {
      wrong += !std::isnan(to_float(to_bf16(to_float(here))));
      continue;
    }
    wrong += to_bf16(to_float(here)).bits != here.bits;
    if (std::isinf(to_float(here))) continue;
    // Between this value and the next one away from zero.
    const float middle = std::bit_cast<float>((bits << 16) | 0x8000u);
    const std::uint32_t even = bits + (bits & 1u);
    wrong += to_bf16(middle).bits != even;
    wrong += to_bf16(std::nextafter(middle, 0.0f)).bits != bits;
    wrong += to_bf16(std::bit_cast<float>((bits << 16) | 0x8001u)).bits != bits + 1;
  }
  CHECK(wrong == 0);
}

// A NaN whose payload lies only in the bits that are cut off must not become infinity.
TEST_CASE("a NaN with a low payload stays NaN in bfloat16") {
  CHECK(std::isnan(to_float(to_bf16(std::bit_cast<float>(0x7f800001u)))));
  CHECK(std::isnan(to_float(to_bf16(std::bit_cast<float>(0xff80ffffu)))));
}

}  // namespace
}  // namespace longshadow
