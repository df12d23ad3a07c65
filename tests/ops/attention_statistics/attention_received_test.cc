#include "engine/ops/attention_statistics/attention_received.h"

#include <catch2/catch.hpp>

#include "tests/support/attention_case.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"

namespace longshadow {
namespace {

using test::AttentionInputs;
using test::elements;

constexpr AttentionShape kShape{4, 2, 16};

/// What every column receives, [K, columns], and how far the sums may be off.
struct Received {
  std::vector<double> all, window, bound;
};

/// By the definition: one softmax row after the other.
template <class T>
Received expected_received(const AttentionInputs<T>& in, std::size_t queries, std::size_t columns,
                           std::size_t window_begin) {
  const AttentionShape& shape = in.shape;
  const std::size_t group = kShape.n_heads / kShape.n_kv_heads;
  Received received{std::vector<double>(kShape.n_kv_heads * columns),
                    std::vector<double>(kShape.n_kv_heads * columns),
                    std::vector<double>(kShape.n_kv_heads * columns)};
  const Stream whole{0, queries, 0};
  for (std::size_t head = 0; head < kShape.n_heads; ++head) {
    for (std::size_t query = 0; query < queries; ++query) {
      const twin::Attention row = in.expected(whole, query, head);
      const std::size_t first = shape.first_seen(query);
      for (std::size_t j = first; j < std::min(query + 1, columns); ++j) {
        const std::size_t at = head / group * columns + j;
        const double share = row.weights[j - first] / static_cast<double>(group);
        received.all[at] += share;
        if (query >= window_begin) received.window[at] += share;
        // The weights' own error, the stored normaliser's rounding, and kRowTile sums in T.
        const double normaliser = twin::unit_roundoff<T> * std::abs(row.log_normaliser);
        received.bound[at] += share * (test::weight_error<T>(shape, row) + normaliser +
                                       double(kRowTile) * twin::unit_roundoff<T>);
      }
    }
  }
  return received;
}

/// Queries [0, queries) in chunks, over the first `columns` keys.
template <class Device, class T>
std::pair<std::vector<double>, std::vector<double>> receive(
    Device& device, const AttentionInputs<T>& in, std::size_t queries, std::size_t columns,
    std::size_t window_begin, std::size_t chunk) {
  Cpu cpu(1);
  Matrix<T> out(cpu.memory(), queries, kShape.n_heads * kShape.head_dim);
  Matrix<T> log_normalisers(cpu.memory(), queries, kShape.n_heads);
  const Stream whole{0, queries, 0};
  Matrix<double> all(cpu.memory(), kShape.n_kv_heads, columns);
  Matrix<double> window(cpu.memory(), kShape.n_kv_heads, columns);
  test::run_on(device, [&](auto& at) {
    const auto [query_heads, prefix, own] = in.in(at);
    const MatrixView<T> normalisers = at.out(log_normalisers);
    const MatrixView<double> to_all = at.out(all), to_window = at.out(window);
    attention(device, in.shape, query_heads, own, own, std::span(&whole, 1), at.out(out),
              normalisers);
    for (std::size_t first = 0; first < queries; first += chunk) {
      HeadRows<const T> part = query_heads;
      part.data += first * kShape.head_dim;  // a head's rows from `first` on
      add_attention_received(device, in.shape, part, first, std::min(chunk, queries - first),
                             own.keys,
                             MatrixView<const T>(normalisers.row_range(first, queries - first)),
                             window_begin, to_all, to_window);
    }
  });
  return {elements(all), elements(window)};
}

TEMPLATE_TEST_CASE("attention received is the column sums of the softmax", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  // queries, columns, window's begin, queries in a chunk
  const auto [queries, columns, window, chunk] =
      GENERATE(table<std::size_t, std::size_t, std::size_t, std::size_t>({{1, 1, 0, 1},
                                                                          {64, 64, 0, 64},
                                                                          {150, 150, 86, 150},
                                                                          {150, 150, 86, 128},
                                                                          {300, 300, 236, 256},
                                                                          {300, 200, 136, 300},
                                                                          {300, 300, 300, 100}}));
  CAPTURE(queries, columns, window, chunk);
  const AttentionInputs<T> in(cpu, kShape, 0, 300);
  const Received expected = expected_received(in, queries, columns, window);
  const auto [all, received_window] = receive(on.device, in, queries, columns, window, chunk);
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(std::abs(all[i] - expected.all[i]) <= expected.bound[i]);
    CHECK(std::abs(received_window[i] - expected.window[i]) <= expected.bound[i]);
  }
}

TEMPLATE_TEST_CASE("attention received from within a window, of capped scores", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const auto [window, cap] =
      GENERATE(table<std::size_t, double>({{1, 0.0}, {70, 1.5}, {256, 0.0}, {0, 1.5}}));
  const AttentionShape shape{4, 2, 16, window, {0, cap}};
  CAPTURE(shape.window, shape.score.cap);
  const AttentionInputs<T> in(cpu, shape, 0, 300);
  const Received expected = expected_received(in, 300, 280, 236);
  const auto [all, received_window] = receive(on.device, in, 300, 280, 236, 128);
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(std::abs(all[i] - expected.all[i]) <= expected.bound[i]);
    CHECK(std::abs(received_window[i] - expected.window[i]) <= expected.bound[i]);
  }
}

TEMPLATE_TEST_CASE("attention received has one result for any threads", "", float, double) {
  using T = TestType;
  CHECK(test::same_bits_for_any_threads([](Cpu& cpu) {
    const AttentionInputs<T> in(cpu, kShape, 0, 300);
    return receive(cpu, in, 300, 300, 236, 256).first;
  }));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("add_attention_received refuses shapes that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const auto call = [&](std::size_t used_rows, std::size_t window_cols) {
    add_attention_received(on.device, kShape, test::shaped_heads<const float>(4, 10, 16),
                           std::size_t{0}, used_rows, test::shaped_heads<const float>(2, 10, 16),
                           test::shaped<const float>(10, 4), std::size_t{0},
                           test::shaped<double>(2, 10), test::shaped<double>(2, window_cols));
  };
  CHECK(test::error_of([&] { call(11, 10); }) ==
        "add_attention_received: queries is 4 heads of [10, 16], expected 4 of [11, 16] or more "
        "rows");
  CHECK(test::error_of([&] { call(10, 9); }) ==
        "add_attention_received: window_queries is [2, 9], expected [2, 10]");
}
#endif

}  // namespace
}  // namespace longshadow
