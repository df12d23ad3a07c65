#include "engine/ops/attention_statistics/largest_attention.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/support/attention_case.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"

namespace longshadow {
namespace {

using test::AttentionInputs;

constexpr AttentionShape kShape{4, 2, 16};
/// Every query's entries are divided by this.
constexpr double kDivisor = 3;

/// Normalisers of a softmax over all of the prefix and what is the batch's own so far, as
/// attention() gives them, and the largest entries over the columns [first, first + columns) of the
/// prefix, [H, columns]: `calls` calls share the queries out.
template <class Device, class T>
Matrix<double> raise(Device& device, const AttentionInputs<T>& in, std::size_t prefix,
                     std::size_t first, std::size_t columns, std::size_t rows, std::size_t calls) {
  Matrix<T> out(host_memory(), rows, kShape.n_heads * kShape.head_dim);
  Matrix<T> log_normalisers(host_memory(), rows, kShape.n_heads);
  test::run_on(device, [&](auto& at) {
    const auto [queries, context, own] = in.in(at);
    const Stream all{0, rows, prefix};
    attention(device, in.shape, queries, context, own, std::span(&all, 1), at.out(out),
              at.out(log_normalisers));
  });
  T* const values = log_normalisers.data();
  std::for_each(values, values + rows * kShape.n_heads,
                [](T& value) { value += static_cast<T>(std::log(kDivisor)); });
  Matrix<double> largest(host_memory(), kShape.n_heads, columns);
  test::run_on(device, [&](auto& at) {
    const auto [queries, context, own] = in.in(at);
    const MatrixView<const T> normalisers = at.in(log_normalisers);
    const MatrixView<double> to = at.out(largest);
    const std::size_t share = (rows + calls - 1) / calls;
    for (std::size_t row = 0; row < rows; row += share) {
      const std::size_t count = std::min(share, rows - row);
      raise_largest_attention(device, in.shape, queries.part(0, kShape.n_heads, row), count,
                              context.keys.part(0, kShape.n_kv_heads, first),
                              normalisers.row_range(row, count), to);
    }
  });
  return largest;
}

TEMPLATE_TEST_CASE("largest attention is the largest entry of any query", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  // prefix, first column, columns, rows, calls
  const auto [prefix, first, columns, rows, calls] =
      GENERATE(table<std::size_t, std::size_t, std::size_t, std::size_t, std::size_t>(
          {{1, 0, 1, 1, 1}, {70, 3, 65, 130, 1}, {70, 0, 70, 128, 2}, {700, 20, 600, 40, 1}}));
  AttentionShape shape = kShape;
  shape.score.cap = GENERATE(0.0, 1.5);
  CAPTURE(prefix, first, columns, rows, calls, shape.score.cap);
  const AttentionInputs<T> in(cpu, shape, prefix, rows);
  const Matrix<double> found = raise(on.device, in, prefix, first, columns, rows, calls);
  for (std::size_t head = 0; head < kShape.n_heads; ++head) {
    twin::Row largest(columns), bound(columns);
    for (std::size_t r = 0; r < rows; ++r) {
      const twin::Attention row = in.expected({0, rows, prefix}, r, head);
      // The weight's own error, and the roundings of the shifted normaliser and of its logarithm.
      const double normaliser =
          3 * twin::unit_roundoff<T> * (std::abs(row.log_normaliser) + std::log(kDivisor) + 1);
      for (std::size_t j = 0; j < columns; ++j) {
        const double entry = row.weights[first + j] / kDivisor;
        largest[j] = test::larger(largest[j], entry);
        bound[j] = test::larger(bound[j], entry * (test::weight_error<T>(shape, row) + normaliser));
      }
    }
    for (std::size_t j = 0; j < columns; ++j) {
      CHECK(std::abs(found.row(head)[j] - largest[j]) <= bound[j]);
    }
  }
}

TEMPLATE_TEST_CASE("largest attention keeps what is larger already, and NaN", "", test::CpuF32,
                   test::CudaF32) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  AttentionInputs<T> in(cpu, kShape, 8, 4);
  in.prefix_keys.row(2)[0] = std::numeric_limits<T>::quiet_NaN();  // KV head 0
  Matrix<T> log_normalisers(host_memory(), 4, kShape.n_heads);
  Matrix<double> largest(host_memory(), kShape.n_heads, 8);
  largest.row(0)[1] = 1e9;
  test::run_on(on.device, [&](auto& at) {
    const auto [queries, context, own] = in.in(at);
    raise_largest_attention(on.device, kShape, queries, std::size_t{4}, context.keys,
                            at.in(log_normalisers), at.out(largest));
  });
  CHECK(largest.row(0)[1] == 1e9);
  CHECK(largest.row(0)[0] > 0);
  CHECK(std::isnan(largest.row(0)[2]));
  CHECK(std::isnan(largest.row(1)[2]));
  CHECK(largest.row(2)[2] > 0);
}

TEMPLATE_TEST_CASE("largest attention has one result for any threads", "", float, double) {
  using T = TestType;
  CHECK(test::same_bits_for_any_threads([](Cpu& cpu) {
    const AttentionInputs<T> in(cpu, kShape, 700, 130);
    return test::elements(raise(cpu, in, 700, 20, 600, 130, 1));
  }));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("raise_largest_attention refuses shapes that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const auto call = [&](std::size_t rows, std::size_t columns) {
    raise_largest_attention(on.device, kShape, test::shaped_heads<const float>(4, 10, 16), rows,
                            test::shaped_heads<const float>(2, 10, 16),
                            test::shaped<const float>(11, 4), test::shaped<double>(4, columns));
  };
  CHECK(test::error_of([&] { call(11, 10); }) ==
        "raise_largest_attention: queries is 4 heads of [10, 16], expected 4 of [11, 16] or more "
        "rows");
  CHECK(
      test::error_of([&] { call(10, 11); }) ==
      "raise_largest_attention: keys is 2 heads of [10, 16], expected 2 of [11, 16] or more rows");
}
#endif

}  // namespace
}  // namespace longshadow
