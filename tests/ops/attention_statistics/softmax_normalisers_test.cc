#include "engine/ops/attention_statistics/softmax_normalisers.h"

#include <catch2/catch.hpp>

#include "tests/support/attention_case.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"

namespace longshadow {
namespace {

using test::AttentionInputs;

constexpr AttentionShape kShape{4, 2, 16};

/// Of the batch's first `rows` queries over the first `columns` keys of the prefix, [rows, H].
template <class Device, class T>
Matrix<T> normalise(Device& device, const AttentionInputs<T>& in, std::size_t rows,
                    std::size_t columns) {
  Matrix<T> log_normalisers(host_memory(), rows, kShape.n_heads);
  test::run_on(device, [&](auto& at) {
    const auto [queries, prefix, own] = in.in(at);
    softmax_normalisers(device, in.shape, queries, rows, prefix.keys, columns,
                        at.out(log_normalisers));
  });
  return log_normalisers;
}

/// Scores 40 times as large, so that exp of them, not less a maximum, overflows in f32.
template <class T>
AttentionInputs<T> inputs(Cpu& cpu, std::size_t rows, std::size_t columns, T factor) {
  AttentionInputs<T> in(cpu, kShape, columns, rows);
  T* const queries = in.queries.data();
  std::for_each(queries, queries + in.queries.rows() * in.queries.cols(),
                [&](T& value) { value *= factor; });
  // What lies beyond the last column is never part of a sum.
  AttentionInputs<T>::fill_slack(in.prefix_keys, kShape.n_kv_heads, columns, T{100});
  return in;
}

TEMPLATE_TEST_CASE("softmax normalisers are logs of sums over the given keys alone", "",
                   test::CpuF32, test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const auto [rows, columns] = GENERATE(
      table<std::size_t, std::size_t>({{1, 1}, {32, 64}, {32, 700}, {130, 65}, {128, 1100}}));
  const auto factor = static_cast<T>(GENERATE(1, 40));
  AttentionInputs<T> in = inputs<T>(cpu, rows, columns, factor);
  in.shape.score.cap = GENERATE(0.0, 30.0);
  CAPTURE(rows, columns, factor, in.shape.score.cap);
  const Matrix<T> found = normalise(on.device, in, rows, columns);
  for (std::size_t head = 0; head < kShape.n_heads; ++head) {
    twin::Rows keys;
    for (std::size_t j = 0; j < columns; ++j) {
      const T* key = in.prefix().keys.head(kShape.kv_head_of(head)).template as<T>().row(j);
      keys.push_back(twin::row(key, kShape.head_dim));
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const twin::Row query = twin::row(in.query_heads().head(head).row(r), kShape.head_dim);
      const twin::Attention row = twin::attend(query, keys, keys, {0, in.shape.score.cap});
      // The sum is off, relative to itself, by what a weight and its quotient are, which the log
      // turns into an absolute error; then the log is rounded.
      const double bound = test::weight_error<T>(in.shape, row) +
                           twin::unit_roundoff<T> * std::abs(row.log_normaliser);
      CHECK(std::abs(found.row(r)[head] - row.log_normaliser) <= bound);
    }
  }
}

TEMPLATE_TEST_CASE("softmax normalisers have one result for any threads", "", float, double) {
  using T = TestType;
  CHECK(test::same_bits_for_any_threads([](Cpu& cpu) {
    const Matrix<T> found = normalise(cpu, inputs<T>(cpu, 200, 300, 1), 200, 300);
    return test::elements(found);
  }));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("softmax_normalisers refuses shapes that do not fit", "[contract]", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const auto call = [&](std::size_t key_rows, std::size_t columns) {
    softmax_normalisers(on.device, kShape, test::shaped_heads<const float>(4, 140, 16),
                        std::size_t{10}, test::shaped_heads<const float>(2, key_rows, 16), columns,
                        test::shaped<float>(10, 4));
  };
  CHECK(test::error_of([&] { call(140, 13); }) ==
        "softmax_normalisers: keys is 2 heads of [140, 16], expected 2 of [141, 16] or more rows");
  CHECK(test::error_of([&] { call(140, 0); }).find("columns") != std::string::npos);
}
#endif

}  // namespace
}  // namespace longshadow
