#include "engine/ops/cache/key_rotation.h"

#include <catch2/catch.hpp>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

const std::vector<double> kFrequencies{1.0, 0.31, 0.01};

// The frequency, the angle, its cos and sin, two products and their sum round once each; an error
// of the angle, 2 u of it at most, turns into as much of the pair's size.
TEMPLATE_TEST_CASE("kept keys are turned to positions that follow one another", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  constexpr std::size_t d = 6, slack = 3;
  std::vector<std::uint32_t> kept;
  for (std::uint32_t r = 0; r < 70; ++r) kept.push_back(r + r * r / 9);
  const Matrix<T> before = test::random_matrix<T>(cpu, kept.size() + slack, d, 1);
  Matrix<T> keys = test::random_matrix<T>(cpu, kept.size() + slack, d, 1);
  test::run_on(on.device, [&](auto& at) {
    rotate_kept_keys(on.device, std::span<const std::uint32_t>(kept), kFrequencies,
                     at.out(keys).row_range(0, kept.size()));
  });
  for (std::size_t r = 0; r < kept.size(); ++r) {
    // From position r, the moved key would be turned on to where it was.
    const auto back =
        twin::rotate(twin::row(std::as_const(keys).row(r), d), kFrequencies, kept[r] - r);
    for (std::size_t i = 0; i < d; ++i) {
      const std::size_t pair = (i + d / 2) % d;
      const double size = std::abs(before.row(r)[i]) + std::abs(before.row(r)[pair]);
      const double angle = static_cast<double>(kept[r] - r) * kFrequencies[i % (d / 2)];
      CHECK(std::abs(back[i] - double(before.row(r)[i])) <=
            (5 + 2 * angle) * twin::unit_roundoff<T> * size);
    }
  }
  CHECK(test::elements(keys, kept.size(), slack) == test::elements(before, kept.size(), slack));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("rotate_kept_keys refuses keys that do not fit", "[contract]", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const std::vector<std::uint32_t> kept{1, 2};
  CHECK(test::error_of([&] {
          rotate_kept_keys(on.device, std::span<const std::uint32_t>(kept), kFrequencies,
                           test::shaped<float>(3, 6));
        }) == "rotate_kept_keys: keys is [3, 6], expected [2, 6]");
}
#endif

}  // namespace
}  // namespace longshadow
