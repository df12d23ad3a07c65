#include "engine/ops/attention/attention.h"

#include <catch2/catch.hpp>

#include "tests/support/attention_case.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"

namespace longshadow {
namespace {

using test::AttentionInputs;
using test::elements;

template <class T>
struct Outputs {
  std::vector<T> values;           ///< [rows, H d]
  std::vector<T> log_normalisers;  ///< [rows, H]
};

template <class Device, class T>
Outputs<T> run(Device& device, const AttentionInputs<T>& in, std::span<const Stream> streams,
               std::size_t rows, ColumnOrder order = ColumnOrder::forward) {
  Cpu cpu(1);
  Matrix<T> out(cpu.memory(), rows, in.shape.n_heads * in.shape.head_dim);
  Matrix<T> log_normalisers(cpu.memory(), rows, in.shape.n_heads);
  test::run_on(device, [&](auto& at) {
    const auto [queries, prefix, own] = in.in(at);
    attention(device, in.shape, queries, prefix, own, streams, at.out(out), at.out(log_normalisers),
              order);
  });
  return {elements(out), elements(log_normalisers)};
}

/// Every `step`th row, and the last, of every stream and head against the formula.
template <class T>
void check(const AttentionInputs<T>& in, std::span<const Stream> streams, const Outputs<T>& found,
           std::size_t step = 1) {
  const std::size_t d = in.shape.head_dim;
  for (const Stream& stream : streams) {
    for (std::size_t r = 0; r < stream.n_rows; ++r) {
      if (r % step != 0 && r + 1 != stream.n_rows) continue;
      for (std::size_t head = 0; head < in.shape.n_heads; ++head) {
        const twin::Attention expected = in.expected(stream, r, head);
        const double error = test::weight_error<T>(in.shape, expected);
        const std::size_t at = (stream.first_row + r) * in.shape.n_heads + head;
        CAPTURE(r, head);
        CHECK(std::abs(double(found.log_normalisers[at]) - expected.log_normaliser) <=
              error + twin::unit_roundoff<T> * std::abs(expected.log_normaliser));
        for (std::size_t i = 0; i < d; ++i) {
          CHECK(std::abs(double(found.values[at * d + i]) - expected.out[i]) <=
                error * expected.out_magnitude[i]);
        }
      }
    }
  }
}

constexpr AttentionShape kShape{4, 2, 16};

TEMPLATE_TEST_CASE("attention over prefixes and rows of any width", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  // Tiles are 64 to 512 columns and 16 to 128 rows: at, below and above each of them.
  const auto [prefix, rows] = GENERATE(table<std::size_t, std::size_t>({{0, 1},
                                                                        {0, 16},
                                                                        {1, 17},
                                                                        {63, 2},
                                                                        {64, 16},
                                                                        {65, 1},
                                                                        {130, 129},
                                                                        {511, 3},
                                                                        {700, 40},
                                                                        {1100, 5},
                                                                        {5, 300}}));
  const ColumnOrder order = GENERATE(ColumnOrder::forward, ColumnOrder::reversed);
  CAPTURE(prefix, rows, int(order));
  const AttentionInputs<T> in(cpu, kShape, prefix, rows);
  const std::vector<Stream> streams{{0, rows, prefix}};
  check(in, std::span(streams), run(on.device, in, streams, rows, order), 13);
}

TEMPLATE_TEST_CASE("attention of ungrouped heads and of odd sizes", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const AttentionShape shape =
      GENERATE(AttentionShape{3, 3, 8}, AttentionShape{6, 1, 20}, AttentionShape{1, 1, 64});
  CAPTURE(shape.n_heads, shape.n_kv_heads, shape.head_dim);
  const AttentionInputs<T> in(cpu, shape, 70, 20);
  const std::vector<Stream> streams{{0, 20, 70}};
  check(in, std::span(streams), run(on.device, in, streams, 20));
}

// Windows that end within the own rows, at a tile's edge, within and before the prefix.
TEMPLATE_TEST_CASE("attention sees its window, and capped scores", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const auto [window, cap] = GENERATE(table<std::size_t, double>(
      {{1, 0.0}, {64, 2.0}, {170, 0.0}, {300, 0.0}, {1000, 0.0}, {0, 2.0}}));
  AttentionShape shape{4, 2, 16, window, {0, cap}};
  if (cap != 0) shape.score.scale = 0.5;
  const ColumnOrder order = GENERATE(ColumnOrder::forward, ColumnOrder::reversed);
  CAPTURE(shape.window, shape.score.cap, int(order));
  const AttentionInputs<T> in(cpu, shape, 300, 150);
  const std::vector<Range> few{{3, 4}, {255, 257}};
  const std::vector<RemovedColumns> removed{few, {}};
  const std::vector<Stream> streams{{0, 130, 300, removed}, {130, 20, 100}};
  check(in, std::span(streams), run(on.device, in, streams, 150, order), 13);
}

TEMPLATE_TEST_CASE("a window goes by the positions of a ragged prefix", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const AttentionShape shape{4, 2, 16, GENERATE(1u, 70u, 400u)};
  CAPTURE(shape.window);
  const AttentionInputs<T> in(cpu, shape, 700, 140);
  std::vector<std::uint32_t> positions(700);
  for (std::size_t row = 0; row < 700; ++row) {  // of two heads, every third and every other
    positions[row] = static_cast<std::uint32_t>(row < 400 ? 3 * row : 2 * (row - 400));
  }
  const std::vector<Range> by_head{{0, 400}, {400, 700}}, few{{10, 11}, {450, 600}};
  const std::vector<Stream> streams{{.first_row = 0,
                                     .n_rows = 100,
                                     .prefix = 0,
                                     .ragged_prefix = by_head,
                                     .ragged_positions = positions,
                                     .first_position = 1300},
                                    {.first_row = 100,
                                     .n_rows = 40,
                                     .prefix = 0,
                                     .ragged_prefix = few,
                                     .ragged_positions = positions,
                                     .first_position = 400}};
  check(in, std::span(streams), run(on.device, in, streams, 140), 13);
}

TEMPLATE_TEST_CASE("a KV head's removed ranges are gone, wherever tiles begin and end", "",
                   test::CpuF32, test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const std::vector<Range> removed = GENERATE(values<std::vector<Range>>({
      {{0, 1}},
      {{69, 70}},
      {{0, 700}},    // everything: the rows see one another only
      {{0, 699}},    // all but one column
      {{0, 512}},    // a whole tile, in either order
      {{640, 700}},  // the whole last tile
      {{0, 1}, {64, 128}, {130, 131}, {500, 650}, {690, 700}},
  }));
  const ColumnOrder order = GENERATE(ColumnOrder::forward, ColumnOrder::reversed);
  CAPTURE(removed.front().begin, removed.back().end, int(order));
  const AttentionInputs<T> in(cpu, kShape, 700, 20);
  const std::vector<Range> few{{3, 4}, {511, 513}};
  // By index: a generator would keep the spans of the first round.
  const std::vector<std::vector<RemovedColumns>> choices{
      {removed, removed}, {removed, {}}, {few, removed}};
  const std::vector<RemovedColumns>& by_head = choices[GENERATE(0, 1, 2)];
  const std::vector<Stream> streams{{0, 20, 700, by_head}};
  check(in, std::span(streams), run(on.device, in, streams, 20, order), 7);
}

TEMPLATE_TEST_CASE("streams see their own rows, prefix and removals, and no others", "",
                   test::CpuF32, test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const std::vector<Range> few{{3, 9}};
  const std::vector<Range> many{{0, 100}, {550, 613}};
  const std::vector<RemovedColumns> one{few, few}, another{few, many};
  const std::vector<Stream> streams{{0, 37, 613, another}, {37, 37, 100, one}, {74, 130, 20, {}}};
  const AttentionInputs<T> in(cpu, kShape, 613, 204);
  const Outputs<T> together = run(on.device, in, streams, 204);
  check(in, std::span(streams), together, 11);

  // The same bits when a stream comes alone.
  const std::size_t width = kShape.n_heads * kShape.head_dim;
  for (const Stream& stream : streams) {
    const Outputs<T> alone = run(on.device, in, std::span(&stream, 1), 204);
    const auto part = [&](const std::vector<T>& all, std::size_t cols) {
      return std::vector<T>(all.begin() + stream.first_row * cols,
                            all.begin() + (stream.first_row + stream.n_rows) * cols);
    };
    CHECK(test::same_bits(part(together.values, width), part(alone.values, width)));
    CHECK(test::same_bits(part(together.log_normalisers, kShape.n_heads),
                          part(alone.log_normalisers, kShape.n_heads)));
  }
}

TEMPLATE_TEST_CASE("KV heads of a ragged prefix see rows of their own", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const AttentionInputs<T> in(cpu, kShape, 700, 60);
  const std::vector<Range> few{{5, 8}, {800, 1413}}, none{{0, 0}, {130, 131}};
  const std::vector<Stream> streams{
      {.first_row = 0, .n_rows = 20, .prefix = 0, .ragged_prefix = few},
      {.first_row = 20, .n_rows = 40, .prefix = 0, .ragged_prefix = none}};
  const ColumnOrder order = GENERATE(ColumnOrder::forward, ColumnOrder::reversed);
  CAPTURE(int(order));
  check(in, std::span(streams), run(on.device, in, streams, 60, order), 7);

  // A prefix that is not ragged is one of equal lengths, to the bit.
  const std::size_t head_rows = in.prefix().keys.rows;
  const std::vector<Range> even{{0, 700}, {head_rows, head_rows + 700}};
  const std::vector<Stream> plain{{0, 60, 700}};
  const std::vector<Stream> ragged{
      {.first_row = 0, .n_rows = 60, .prefix = 0, .ragged_prefix = even}};
  CHECK(test::same_bits(run(on.device, in, plain, 60, order).values,
                        run(on.device, in, ragged, 60, order).values));
}

TEMPLATE_TEST_CASE("attention's bits do not depend on threads or on slack rows", "", float,
                   double) {
  using T = TestType;
  constexpr std::size_t prefix = 150, rows = 70;
  const std::vector<Stream> streams{{0, rows, prefix}};
  const auto attend = [&](Cpu& cpu, T slack) {
    AttentionInputs<T> in(cpu, kShape, prefix, rows);
    in.fill_slack(in.queries, kShape.n_heads, rows, slack);
    for (Matrix<T>* heads : {&in.own_keys, &in.own_values}) {
      in.fill_slack(*heads, kShape.n_kv_heads, rows, slack);
    }
    for (Matrix<T>* heads : {&in.prefix_keys, &in.prefix_values}) {
      in.fill_slack(*heads, kShape.n_kv_heads, prefix, slack);
    }
    return run(cpu, in, streams, rows).values;
  };
  CHECK(test::same_bits_for_any_threads([&](Cpu& cpu) { return attend(cpu, T{0}); }));
  Cpu cpu(2);
  CHECK(test::same_bits(attend(cpu, T{0}), attend(cpu, T{1e4})));
}

// Equal bits would make a noise floor of nothing.
TEMPLATE_TEST_CASE("the reversed order rounds differently", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  const AttentionInputs<T> in(cpu, kShape, 300, 16);
  const std::vector<Stream> streams{{0, 16, 300}};
  CHECK_FALSE(test::same_bits(run(on.device, in, streams, 16).values,
                              run(on.device, in, streams, 16, ColumnOrder::reversed).values));
}

// Scores of some hundreds overflow exp in f32 unless the running maximum is subtracted.
TEMPLATE_TEST_CASE("attention withstands large scores", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  AttentionInputs<T> in(cpu, kShape, 200, 4);
  for (std::size_t i = 0; i < in.queries.rows() * kShape.head_dim; ++i) in.queries.data()[i] *= 64;
  const std::vector<Stream> streams{{0, 4, 200}};
  for (const ColumnOrder order : {ColumnOrder::forward, ColumnOrder::reversed}) {
    check(in, std::span(streams), run(on.device, in, streams, 4, order));
  }
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("attention refuses shapes and streams that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const auto call = [&](const AttentionShape& shape, const Stream& stream, std::size_t out_rows) {
    const auto queries = test::shaped_heads<const float>(4, 10 + kRowTile, 8);
    const auto own = test::shaped_heads<const float>(2, 10 + kRowTile, 8);
    const auto prefix = test::shaped_heads<const float>(2, 50 + kRowTile, 8);
    attention(on.device, shape, queries, KeysValuesView{prefix, prefix}, KeysValuesView{own, own},
              std::span(&stream, 1), test::shaped<float>(out_rows, 32), test::shaped<float>(10, 4));
  };
  constexpr AttentionShape shape{4, 2, 8};
  const std::vector<Range> overlapping{{2, 5}, {4, 6}}, beyond{{50, 60}};
  const std::vector<RemovedColumns> removed{{}, overlapping}, too_far{beyond, {}};
  const std::vector<Range> ragged{{0, 5}, {250, 300}};
  CHECK(test::error_of([&] {
          call({5, 2, 8}, {0, 10, 50}, 10);
        }) == "attention: shape.n_heads is 5, expected a multiple of 2");
  CHECK(test::error_of([&] {
          call(shape, {0, 10, 51}, 10);
        }) ==
        "attention: a cache's keys is 2 heads of [178, 8], expected 2 of [179, 8] or more rows");
  CHECK(test::error_of([&] {
          call(shape, {1, 10, 50}, 10);
        }) == "attention: queries is 4 heads of [138, 8], expected 4 of [139, 8] or more rows");
  CHECK(test::error_of([&] {
          call(shape, {0, 10, 50}, 9);
        }) == "attention: out is [9, 32], expected [10, 32] or more rows");
  CHECK(test::error_of([&] {
          call(shape, {0, 10, 50, std::span(removed).first(1)}, 10);
        }) == "attention: a stream's removed.size() is 1, expected 2");
  CHECK(test::error_of([&] {
          call(shape, {0, 10, 50, removed}, 10);
        }) == "attention: the begin of a removed range is 4, expected at least 5");
  CHECK(test::error_of([&] {
          call(shape, {0, 10, 0, {}, ragged}, 10);
        }) == "attention: a ragged prefix's keys is [356, 8], expected [428, 8] or more rows");
  CHECK(test::error_of([&] {
          call(shape, {0, 10, 50, too_far}, 10);
        }) == "attention: the end of what is removed is 60, expected at most 50");
}
#endif

}  // namespace
}  // namespace longshadow
