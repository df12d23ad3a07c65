#include "engine/kv/packed_rows.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/error_of.h"
#include "tests/support/larger.h"
#include "tests/support/random_matrix.h"

namespace longshadow {
namespace {

using test::random_matrix;

TEST_CASE("packed rows take the bytes of their bits, scales and minima") {
  Cpu cpu(1);
  const Matrix<float> values = random_matrix<float>(cpu, 128, 64, 1);
  const auto bytes = [&](GroupAxis axis, const Quantization& quantization) {
    return PackedRows(cpu, values.view(), axis, quantization).bytes();
  };
  constexpr std::size_t n = 128 * 64;
  CHECK(bytes(GroupAxis::rows, {8, 64}) == n + n / 64 * 8);
  CHECK(bytes(GroupAxis::columns, {8, 32}) == n + n / 32 * 8);
  CHECK(bytes(GroupAxis::rows, {4, 64}) == n / 2 + n / 64 * 8);
  CHECK(bytes(GroupAxis::columns, {4, 32}) == n / 2 + n / 32 * 8);
}

// The rows behind the last whole group stay, and the others come back within half a scale of their
// group's range, which is at most 9 here.
TEMPLATE_TEST_CASE("rounding through packing is packing whole groups", "", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  const Matrix<float> before = random_matrix<float>(cpu, 75, 16, 1);
  Matrix<float> rows = random_matrix<float>(cpu, 75, 16, 1);
  std::size_t bytes = 0;
  test::run_on(on.device, [&](auto& at) {
    bytes = round_through_packing(on.device, at.out(rows), GroupAxis::rows, {4, 32});
  });
  CHECK(bytes == 64 * 16 / 2 + 2 * 16 * 8 + 11 * 16 * sizeof(float));
  float worst = 0;
  for (std::size_t i = 0; i < 64 * 16; ++i) {
    worst = test::larger(worst, std::abs(rows.data()[i] - before.data()[i]));
  }
  CHECK(worst > 0);
  CHECK(worst <= 4.5F / 15);
  CHECK(test::elements(rows, 64, 11) == test::elements(before, 64, 11));
}

TEST_CASE("no rows, other bits and other groups") {
  Cpu cpu(1);
  const MatrixView<const float> none{nullptr, 0, 64, 64};
  CHECK(PackedRows(cpu, none, GroupAxis::rows, {}).bytes() == 0);
  CHECK_THAT(test::error_of([&] {
               PackedRows(cpu, none, GroupAxis::rows, {3, 64});
             }),
             Catch::Contains("8 or 4 bits, found 3"));
  CHECK_THAT(test::error_of([&] {
               PackedRows(cpu, none, GroupAxis::rows, {4, 48});
             }),
             Catch::Contains("32 or 64 elements share a scale, found 48"));
}

#ifdef LONGSHADOW_CONTRACTS
TEST_CASE("rows are unpacked into rows of their shape", "[contract]") {
  Cpu cpu(1);
  const Matrix<float> rows = random_matrix<float>(cpu, 64, 16, 1);
  const PackedRows packed(cpu, rows.view(), GroupAxis::rows, {});
  CHECK(test::error_of([&] { packed.unpack(cpu, test::shaped<float>(63, 16)); }) ==
        "unpack_rows: elements is [64, 16], expected [63, 16]");
}
#endif

}  // namespace
}  // namespace longshadow
