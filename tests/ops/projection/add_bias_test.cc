#include "engine/ops/projection/add_bias.h"

#include <catch2/catch.hpp>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/random_matrix.h"

namespace longshadow {
namespace {

using test::elements;
using test::random_matrix;

// One addition, which rounds once: the same bits as the twin's.
TEMPLATE_TEST_CASE("a bias is added to every row", "", test::CpuF32, test::CpuF64, test::CudaF32,
                   test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const Matrix<T> bias = random_matrix<T>(cpu, 1, 70, 1);
  Matrix<T> x = random_matrix<T>(cpu, 37, 70, 2);
  std::vector<T> expected = elements(x);
  for (std::size_t r = 3; r < 36; ++r) {
    for (std::size_t c = 0; c < 70; ++c) expected[r * 70 + c] += bias.row(0)[c];
  }
  test::run_on(on.device,
               [&](auto& at) { add_bias(on.device, at.in(bias), at.out(x).row_range(3, 33)); });
  CHECK(elements(x) == expected);

  const Matrix<T> none;
  add_bias(on.device, none.view(), x.view());
  CHECK(elements(x) == expected);
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("add_bias refuses a bias of another width", "[contract]", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  CHECK(test::error_of([&] {
          add_bias(on.device, test::shaped<const float>(1, 3), test::shaped<float>(5, 4));
        }) == "add_bias: bias is [1, 3], expected [1, 4]");
}
#endif

}  // namespace
}  // namespace longshadow
