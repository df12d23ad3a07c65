#include "engine/config/rotary_frequencies.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/io/json.h"
#include "engine/ops/projection/rotary.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using nlohmann::json;

TEST_CASE("rotary frequencies as each scaling stretches them") {
  RopeConfig rope;
  rope.theta = 10000;
  CHECK(rotary_frequencies(rope, 4, 1) == std::vector<double>{1.0, 0.01});
  rope.scaling = RopeScaling::linear;
  rope.factor = 4;
  CHECK(rotary_frequencies(rope, 4, 1) == std::vector<double>{0.25, 0.0025});

  // Wavelengths 2 pi, and 200 pi: below 8192 / 4 both stay; of a context of 256, 256 / 4 and 256
  // lie between them and the longer one is divided.
  rope.scaling = RopeScaling::llama3;
  rope.factor = 8;
  CHECK(rotary_frequencies(rope, 4, 1) == std::vector<double>{1.0, 0.01});
  rope.original_context = 256;
  CHECK(rotary_frequencies(rope, 4, 1) == std::vector<double>{1.0, 0.01 / 8});
  // In between: 1200 over the wavelength is 1.9099, 0.3033 of the way from 1 to 4.
  rope.original_context = 1200;
  const double share = (1200 / (200 * std::numbers::pi) - 1) / 3;
  CHECK(rotary_frequencies(rope, 4, 1)[1] == Approx((1 - share) * 0.01 / 8 + share * 0.01));

  rope.frequency_divisors = {1.0, 3.0};
  CHECK(rotary_frequencies(rope, 4, 1) == std::vector<double>{1.0, 0.01 / 3});
}

TEST_CASE("dynamic scaling goes by the text, and yarn by how often a pair turns") {
  RopeConfig rope;
  rope.theta = 10000;
  rope.scaling = RopeScaling::dynamic;
  rope.factor = 2;
  rope.original_context = 100;
  // d / (d - 2) = 2: theta grows by (2 n / 100 - 1)^2, and pair 1 turns by theta^-1/2.
  CHECK(rotary_frequencies(rope, 4, 100)[1] == Approx(0.01).epsilon(1e-14));
  CHECK(rotary_frequencies(rope, 4, 7)[1] == Approx(0.01).epsilon(1e-14));
  CHECK(rotary_frequencies(rope, 4, 200)[1] == Approx(0.01 / 3).epsilon(1e-14));

  // Of 16 pairs of base e^16, pair i turns e^-i radians; within 2 pi e^8 tokens, e^(8 - i) times.
  rope.scaling = RopeScaling::yarn;
  rope.theta = std::exp(16);
  rope.factor = 4;
  rope.original_context = 18730;
  rope.beta_fast = std::exp(5.5);  // between pairs 2 and 3
  rope.beta_slow = std::exp(1.5);  // between pairs 6 and 7
  const std::vector<double> widened = rotary_frequencies(rope, 32, 1);
  for (std::size_t i = 0; i < widened.size(); ++i) {
    const double stretched = std::clamp((static_cast<double>(i) - 2) / 5, 0.0, 1.0);
    CHECK(widened[i] == Approx(std::exp(-static_cast<double>(i)) * (1 - 0.75 * stretched)));
  }
  rope.truncate = false;
  const std::vector<double> exact = rotary_frequencies(rope, 32, 1);
  // 18730 is 2 pi e^8 but for a share of 1e-6, and the band begins at pair 2.5 but for as much.
  CHECK(exact[3] == Approx(std::exp(-3.0) * (1 - 0.75 * 0.5 / 4)).epsilon(1e-5));
}

// transformers computes them in f32. An exponent i / d has a relative error of u = 2^-24, which
// makes one of ln(theta) u in the power; some roundings come from the power itself and what
// follows.
TEST_CASE("rotary settings in every spelling are what transformers takes them for") {
  std::ifstream file(LONGSHADOW_FIXTURES "/models/rotary.json");
  const json root = json::parse(file);
  for (const json& one : root.at("cases")) {
    INFO(one.at("config").dump());
    const std::string text = one.at("config").dump();
    const ModelConfig config = config_from_json(bytes_of(text), "config.json");
    const auto expected = one.at("frequencies").get<std::vector<double>>();
    const std::vector<double> found =
        rotary_frequencies(config.rope, config.head_dim, one.at("tokens").get<std::size_t>());
    REQUIRE(found.size() == config.head_dim / 2);
    // Pairs that are not rotated have frequencies of 0 here, and none there.
    REQUIRE(expected.size() ==
            (config.rope.rotated_elements == 0 ? found.size() : config.rope.rotated_elements / 2));
    for (std::size_t i = expected.size(); i < found.size(); ++i) CHECK(found[i] == 0);
    // Dynamic scaling enlarges theta, by less than e^4 here.
    const double tolerance = (std::log(config.rope.theta) + 4 + 8) * 0x1p-24;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CHECK(std::abs(found[i] / expected[i] - 1) <= tolerance);
    }
    CHECK(config.rope.attention_factor ==
          Approx(one.at("attention_factor").get<double>()).epsilon(1e-14));
  }
}

// The fixture takes transformers' float32 steps in float64: what is left are some roundings of the
// frequencies, which an angle of up to 4e4 makes 4e4 times as large.
TEMPLATE_TEST_CASE("heads turn as transformers turns them, below and above the original context",
                   "", double, float) {
  Cpu cpu(2);
  std::ifstream file(LONGSHADOW_FIXTURES "/models/rotary.json");
  const json root = json::parse(file);
  std::size_t below = 0, above = 0;
  for (const json& one : root.at("cases")) {
    if (!one.contains("positions")) continue;
    const std::string text = one.at("config").dump();
    const ModelConfig config = config_from_json(bytes_of(text), "config.json");
    INFO(text);
    const auto positions = one.at("positions").get<std::vector<std::size_t>>();
    const std::size_t n = positions.back() + 1;
    const RotaryTable table = make_rotary_table(cpu, element_of<TestType>(),
                                                rotary_frequencies(config.rope, config.head_dim, n),
                                                n, config.rope.attention_factor);
    const double tolerance = 1e-10 + twin::unit_roundoff<TestType> * config.rope.attention_factor;
    const auto cos = one.at("cos").get<std::vector<std::vector<double>>>();
    const auto sin = one.at("sin").get<std::vector<std::vector<double>>>();
    for (std::size_t i = 0; i < positions.size(); ++i) {
      ++(positions[i] < config.rope.original_context ? below : above);
      REQUIRE(cos[i].size() == one.at("frequencies").size());
      for (std::size_t pair = 0; pair < config.head_dim / 2; ++pair) {
        CAPTURE(positions[i], pair);
        const double found_cos = table.cos.view().as<TestType>().row(positions[i])[pair];
        const double found_sin = table.sin.view().as<TestType>().row(positions[i])[pair];
        // The pairs behind those that are rotated stay, and no factor makes them longer.
        const bool rotated = pair < cos[i].size();
        CHECK(std::abs(found_cos - (rotated ? cos[i][pair] : 1)) <= tolerance);
        CHECK(std::abs(found_sin - (rotated ? sin[i][pair] : 0)) <= tolerance);
      }
    }
  }
  CHECK(below > 0);
  CHECK(above > 0);
}

}  // namespace
}  // namespace longshadow
