#include "engine/ops/attention/attention_delta.h"

#include <catch2/catch.hpp>
#include <type_traits>

#include "engine/ops/attention/softmax_weights.h"
#include "engine/ops/common/lanes.h"
#include "tests/support/attention_case.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/precision.h"

namespace longshadow {
namespace {

using test::random_matrix;
using test::rounded_copy;

constexpr AttentionShape kShape{4, 2, 16};

/// A text of `positions`, whose positions from `first` on are the full rows, and a batch of
/// changes.
template <class T, class P>
struct Inputs {
  AttentionShape shape;
  std::size_t first;
  Matrix<T> queries, keys, values, log_normalisers, attended;
  Matrix<P> rounded_keys, rounded_values;
  Matrix<T> dq, dk, dv;
  std::size_t row_tiles_before = 0;

  Inputs(Cpu& cpu, std::size_t positions, std::size_t first_full, std::size_t batch_rows,
         double scale, const AttentionShape& of = kShape)
      : shape(of),
        first(first_full),
        queries(random_matrix<T>(cpu, 4 * (positions - first_full + kRowTile), 16, 1)),
        keys(random_matrix<T>(cpu, 2 * (positions + kRowTile), 16, 2)),
        values(random_matrix<T>(cpu, 2 * (positions + kRowTile), 16, 3)),
        log_normalisers(cpu.memory(), positions - first_full + kRowTile, 4),
        attended(cpu.memory(), positions - first_full, 4 * 16),
        dq(random_matrix<T>(cpu, 4 * (batch_rows + kRowTile), 16, 4, scale)),
        dk(random_matrix<T>(cpu, 2 * (batch_rows + kRowTile), 16, 5, scale)),
        dv(random_matrix<T>(cpu, 2 * (batch_rows + kRowTile), 16, 6, scale)) {
    complete(cpu);
  }

  /// Derives what follows from queries, keys and values.
  void complete(Cpu& cpu) {
    rounded_keys = rounded_copy<P>(cpu, keys);
    rounded_values = rounded_copy<P>(cpu, values);
    for (std::size_t row = 0; row < attended.rows(); ++row) {
      for (std::size_t head = 0; head < 4; ++head) {
        const twin::Attention full = attend_fully(row, head);
        log_normalisers.row(row)[head] = static_cast<T>(full.log_normaliser);
        for (std::size_t i = 0; i < 16; ++i) {
          attended.row(row)[head * 16 + i] = static_cast<T>(full.out[i]);
        }
      }
    }
  }

  static twin::Row head_row(const Matrix<T>& heads, std::size_t n_heads, std::size_t head,
                            std::size_t row) {
    return twin::row(as_heads(heads.view(), n_heads).head(head).row(row), 16);
  }

  twin::Attention attend_fully(std::size_t row, std::size_t head) const {
    twin::Rows seen_keys, seen_values;
    for (std::size_t j = shape.first_seen(first + row); j <= first + row; ++j) {
      seen_keys.push_back(head_row(keys, 2, head / 2, j));
      seen_values.push_back(head_row(values, 2, head / 2, j));
    }
    return twin::attend(head_row(queries, 4, head, row), seen_keys, seen_values, form());
  }

  twin::ScoreForm form() const { return {shape.score.scale, shape.score.cap}; }

  /// The change of a score where f q.k changes from `before`, without a difference of two tanh.
  double capped_change(double before, double change) const {
    const double cap = shape.score.cap;
    if (cap == 0) return change;
    return cap * std::sinh(change / cap) /
           (std::cosh(before / cap) * std::cosh((before + change) / cap));
  }

  /// The op's result, as T; -7 where it wrote nothing.
  template <class Device>
  Matrix<T> run(Device& device, std::span<const DeltaStream> streams) const {
    Cpu cpu(1);
    Matrix<P> out(cpu.memory(), dq.rows() / 4 - kRowTile, 4 * 16);
    std::fill_n(out.data(), out.rows() * out.cols(), rounded<P>(T{-7}));
    const auto rounded_dq = rounded_copy<P>(cpu, dq);
    const auto rounded_dv = rounded_copy<P>(cpu, dv);
    test::run_on(device, [&](auto& at) {
      const auto kv_heads = [&](const auto& rows) { return as_heads(at.in(rows), 2); };
      const FullAttentionView full{as_heads(at.in(queries), 4),
                                   at.in(log_normalisers),
                                   at.in(attended),
                                   KeysValuesView{kv_heads(keys), kv_heads(values)},
                                   KeysValuesView{kv_heads(rounded_keys), kv_heads(rounded_values)},
                                   row_tiles_before};
      attention_delta(device, shape, full, as_heads(at.in(rounded_dq), 4), kv_heads(dk),
                      kv_heads(rounded_dv), streams, at.out(out));
    });
    return test::widened_copy<T>(cpu, out);
  }
};

twin::Row sum(twin::Row a, const twin::Row& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

/// Row r of the stream against the difference of two attentions. To first order, with the full
/// softmax p and a column's new weight p (1 + e) / (1 + z): p is off by weight_error(), a score's
/// change by 2 d + 4 roundings of its magnitude; both enter with v less the result. A cap
/// multiplies the change by a slope of at most 1 + its own change, and 24 roundings more, beside
/// that of the capped score, which is as large a part of the slope as 1 / (1 - tanh): 4 at tanh
/// 3/4. Where most of the attention is lost, the op subtracts results, and only what is kept
/// counts.
template <class T, class P>
void check_row(const Inputs<T, P>& in, const DeltaStream& stream, std::size_t r, std::size_t head,
               const T* found) {
  const std::size_t full_row = stream.full_row + r, row = stream.first_row + r;
  const twin::Attention before = in.attend_fully(full_row, head);
  const twin::Row q = in.head_row(in.queries, 4, head, full_row);
  const twin::Row dq = in.head_row(in.dq, 4, head, row);
  struct Column {
    twin::Row value, value_change;
    double p, e, score_change_magnitude;
  };
  std::vector<Column> columns;
  twin::Rows new_keys, new_values;
  double z = 0;
  const std::size_t first_seen = in.shape.first_seen(stream.prefix + r);
  const double factor = in.form().factor(16);
  for (std::size_t j = first_seen; j <= stream.prefix + r; ++j) {
    const twin::Row k = in.head_row(in.keys, 2, head / 2, j);
    Column column{in.head_row(in.values, 2, head / 2, j), twin::Row(16),
                  before.weights[j - first_seen], -1, 0};
    bool removed = false;
    for (const Range& range : removed_from(head / 2, stream.removed)) {
      removed |= j >= range.begin && j < range.end;
    }
    if (!removed) {
      twin::Row dk(16);
      if (j >= stream.prefix) {
        dk = in.head_row(in.dk, 2, head / 2, stream.first_row + j - stream.prefix);
        column.value_change = in.head_row(in.dv, 2, head / 2, stream.first_row + j - stream.prefix);
      }
      new_keys.push_back(sum(k, dk));
      new_values.push_back(sum(column.value, column.value_change));
      const double change = (twin::dot(q, dk) + twin::dot(dq, new_keys.back())) * factor;
      column.e = std::expm1(in.capped_change(twin::dot(q, k) * factor, change));
      column.score_change_magnitude =
          (twin::magnitude(q, dk) + twin::magnitude(dq, k) + twin::magnitude(dq, dk)) * factor;
    }
    z += column.p * column.e;
    columns.push_back(column);
  }
  const twin::Attention after = twin::attend(sum(q, dq), new_keys, new_values, in.form());

  const double of_cap = in.shape.score.cap != 0 ? 24 + 4 * (16 + 8) : 0;
  const double product_error =
      (2 * 16 + 4 + of_cap) * twin::unit_roundoff<T> + (std::is_same_v<P, BF16> ? 3 * 0x1p-8 : 0);
  const double p_error = test::weight_error<T>(in.shape, before) + product_error;
  const bool most_is_lost = 1 + z < 0.5;
  for (std::size_t i = 0; i < 16; ++i) {
    double bound = 0;
    for (const Column& column : columns) {
      const double kept = column.p * (1 + column.e);
      const double score_error = product_error * column.score_change_magnitude;
      const double moved = std::abs(column.value_change[i]);
      const double distance = std::abs(column.value[i]) + std::abs(after.out[i]);
      bound += most_is_lost ? kept * (p_error + score_error) * (distance + moved)
                            : (column.p * std::abs(column.e) * p_error + kept * score_error) *
                                      (distance + std::abs(before.out[i])) +
                                  kept * p_error * moved;
    }
    bound /= 1 + z;
    if (most_is_lost) bound += 2 * twin::unit_roundoff<T> * std::abs(before.out[i]);
    if (std::is_same_v<P, BF16>) bound += 0x1p-8 * std::abs(after.out[i] - before.out[i]);
    // The twin's own: a difference of two results in double.
    bound += 64 * 0x1p-53 * (before.out_magnitude[i] + after.out_magnitude[i]);
    CAPTURE(r, head, i, z);
    CHECK(std::abs(double(found[head * 16 + i]) - (after.out[i] - before.out[i])) <= bound);
  }
}

TEMPLATE_TEST_CASE("attention_delta is the difference of two attentions", "", test::CpuF32,
                   test::CpuF64, test::CpuMixedBF16, test::CudaF32, test::CudaF64,
                   test::CudaMixedBF16) {
  test::UnderTest<typename TestType::Device> on;
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(2);
  const double scale = GENERATE(1e-4, 1e-2, 0.5);
  CAPTURE(scale);
  // Some of one start, one alone; a row tile and a bit; nothing, a few and nearly all removed. The
  // full rows are positions 60 to 339.
  const std::vector<Range> one{{0, 1}}, few{{0, 1}, {63, 70}}, most{{0, 150}, {151, 199}};
  const std::vector<RemovedColumns> both_few{few, few}, most_and_few{most, few}, first_one{one, {}};
  const std::vector<DeltaStream> streams{{0, 20, 140, 200, both_few},
                                         {20, 20, 140, 200, most_and_few},
                                         {40, 20, 140, 200, {}},
                                         {61, 131, 3, 63, first_one}};
  const Inputs<T, P> in(cpu, 340, 60, 192, scale);
  const Matrix<T> found = in.run(on.device, streams);
  for (const DeltaStream& stream : streams) {
    for (std::size_t r = 0; r<stream.n_rows; r += stream.n_rows> 100 ? 13 : 3) {
      for (std::size_t head = 0; head < 4; ++head) {
        check_row(in, stream, r, head, found.row(stream.first_row + r));
      }
    }
    // The same bits when a stream comes alone.
    const Matrix<T> alone = in.run(on.device, std::span(&stream, 1));
    CHECK(test::same_bits(test::elements(found, stream.first_row, stream.n_rows),
                          test::elements(alone, stream.first_row, stream.n_rows)));
  }
  for (std::size_t i = 0; i < 64; ++i) CHECK(found.row(60)[i] == T{-7});
}

// Windows that end within the own rows, and within the prefix, whose removed columns then count in
// some rows and not in others, or in none. Caps of about the largest scores.
TEMPLATE_TEST_CASE("attention_delta sees its window, and capped scores", "", test::CpuF32,
                   test::CpuF64, test::CpuMixedBF16, test::CudaF32, test::CudaF64,
                   test::CudaMixedBF16) {
  test::UnderTest<typename TestType::Device> on;
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(2);
  const auto [window, cap] = GENERATE(table<std::size_t, double>(
      {{1, 0.0}, {9, 3.0}, {70, 0.0}, {141, 3.0}, {1000, 0.0}, {0, 3.0}}));
  AttentionShape shape{4, 2, 16, window, {0, cap}};
  if (cap != 0) shape.score.scale = 0.3;
  const double scale = GENERATE(1e-4, 0.3);
  CAPTURE(shape.window, shape.score.cap, scale);
  const std::vector<Range> few{{0, 1}, {63, 70}}, most{{0, 150}, {151, 199}};
  const std::vector<RemovedColumns> both_few{few, few}, most_and_few{most, few};
  const std::vector<DeltaStream> streams{
      {0, 20, 140, 200, both_few}, {20, 20, 140, 200, most_and_few}, {40, 140, 60, 120, both_few}};
  const Inputs<T, P> in(cpu, 340, 60, 180, scale, shape);
  const Matrix<T> found = in.run(on.device, streams);
  for (const DeltaStream& stream : streams) {
    for (std::size_t r = 0; r<stream.n_rows; r += stream.n_rows> 100 ? 13 : 5) {
      for (std::size_t head = 0; head < 4; ++head) {
        check_row(in, stream, r, head, found.row(stream.first_row + r));
      }
    }
    const Matrix<T> alone = in.run(on.device, std::span(&stream, 1));
    CHECK(test::same_bits(test::elements(found, stream.first_row, stream.n_rows),
                          test::elements(alone, stream.first_row, stream.n_rows)));
  }
}

TEMPLATE_TEST_CASE("attention_delta has the same bits where full rows begin a tile later", "",
                   test::CpuF32, test::CpuF64, test::CpuMixedBF16, test::CudaF32, test::CudaF64,
                   test::CudaMixedBF16) {
  test::UnderTest<typename TestType::Device> on;
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(2);
  const Inputs<T, P> whole(cpu, 340, 60, 40, 0.1);
  Inputs<T, P> later(cpu, 340, 60 + kRowTile, 40, 0.1);
  for (std::size_t head = 0; head < 4; ++head) {
    const auto from = as_heads(whole.queries.view(), 4).head(head);
    const auto to = as_heads(later.queries.view(), 4).head(head);
    for (std::size_t row = 0; row < to.rows; ++row) {
      std::copy_n(from.row(kRowTile + row), 16, to.row(row));
    }
  }
  later.complete(cpu);
  later.row_tiles_before = 1;
  const std::vector<Range> few{{0, 1}, {63, 70}};
  const std::vector<RemovedColumns> removed{few, few};
  const auto run = [&](const Inputs<T, P>& in, std::size_t full_row) {
    const std::vector<DeltaStream> streams{{0, 20, full_row, 200, removed},
                                           {20, 20, full_row + 3, 203, removed}};
    return test::elements(in.run(on.device, streams), 0, 40);
  };
  CHECK(test::same_bits(run(whole, 140), run(later, 140 - kRowTile)));
}

// All but a hundred-thousandth of the attention goes: (sum - z o) / (1 + z) would cancel to noise.
TEMPLATE_TEST_CASE("attention_delta without its sink", "", test::CpuF32, test::CpuF64,
                   test::CpuMixedBF16, test::CudaF32, test::CudaF64, test::CudaMixedBF16) {
  test::UnderTest<typename TestType::Device> on;
  using T = typename TestType::T;
  Cpu cpu(2);
  Inputs<T, typename TestType::P> in(cpu, 100, 60, 20, 0.01);
  for (std::size_t row = 0; row < in.queries.rows(); ++row) in.queries.row(row)[0] = T{4};
  for (std::size_t head = 0; head < 2; ++head) {
    as_heads(in.keys.view(), 2).head(head).row(0)[0] = T{20};
  }
  in.complete(cpu);
  const std::vector<Range> first{{0, 1}};
  const std::vector<RemovedColumns> sink{first, first};
  const std::vector<DeltaStream> streams{{0, 20, 20, 80, sink}};
  const Matrix<T> found = in.run(on.device, streams);
  for (std::size_t r = 0; r < 20; ++r) {
    for (std::size_t head = 0; head < 4; ++head) {
      REQUIRE(in.attend_fully(20 + r, head).weights[0] > 0.99);
      check_row(in, streams[0], r, head, found.row(r));
    }
  }
}

TEMPLATE_TEST_CASE("attention_delta of no change is exactly 0", "", test::CpuF32, test::CpuF64,
                   test::CpuMixedBF16, test::CudaF32, test::CudaF64, test::CudaMixedBF16) {
  test::UnderTest<typename TestType::Device> on;
  using T = typename TestType::T;
  Cpu cpu(1);
  const Inputs<T, typename TestType::P> in(cpu, 100, 60, 20, 0);
  const std::vector<DeltaStream> streams{{0, 20, 20, 80, {}}};
  const Matrix<T> found = in.run(on.device, streams);
  for (std::size_t i = 0; i < 20 * 64; ++i) CHECK(found.data()[i] == 0);
}

// A tile reaches beyond a stream's last row, into the rows of the next. Changes of up to 1/4 in the
// scores take the short series of expm1, which is where a neighbour's large ones would show.
TEMPLATE_TEST_CASE("attention_delta does not depend on the next stream's changes", "", test::CpuF32,
                   test::CpuF64, test::CpuMixedBF16, test::CudaF32, test::CudaF64,
                   test::CudaMixedBF16) {
  test::UnderTest<typename TestType::Device> on;
  using T = typename TestType::T;
  Cpu cpu(1);
  const auto attend_beside = [&](T neighbour) {
    Inputs<T, typename TestType::P> in(cpu, 180, 60, 100, 0.06);
    for (Matrix<T>* changes : {&in.dk, &in.dv}) {
      const HeadRows<T> heads = as_heads(changes->view(), 2);
      for (std::size_t head = 0; head < 2; ++head) {
        std::fill(heads.head(head).row(90), heads.head(head).row(heads.rows), neighbour);
      }
    }
    const std::vector<DeltaStream> streams{{0, 90, 20, 80, {}}};
    return test::elements(in.run(on.device, streams), 0, 90);
  };
  CHECK(test::same_bits(attend_beside(T{0}), attend_beside(T{1000})));
}

TEMPLATE_TEST_CASE("attention_delta has one result for any threads", "", test::CpuF32, test::CpuF64,
                   test::CpuMixedBF16) {
  const std::vector<Range> ranges{{0, 1}, {63, 70}};
  const std::vector<RemovedColumns> few{ranges, {}};
  const std::vector<DeltaStream> streams{{0, 20, 20, 80, few}, {20, 20, 20, 80, {}}};
  CHECK(test::same_bits_for_any_threads([&](Cpu& cpu) {
    return test::elements(Inputs<typename TestType::T, typename TestType::P>(cpu, 100, 60, 40, 0.1)
                              .run(cpu, streams));
  }));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("attention_delta refuses streams that do not fit", "[contract]", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const auto call = [&](const std::vector<DeltaStream>& streams) {
    const auto queries = test::shaped_heads<const float>(4, 20, 16);
    const auto cache = test::shaped_heads<const float>(2, 70, 16);
    const FullAttentionView full{queries,
                                 test::shaped<const float>(20, 4),
                                 test::shaped<const float>(20, 64),
                                 {cache, cache},
                                 {cache, cache}};
    const auto dq = test::shaped_heads<const float>(4, 10, 16);
    const auto dk = test::shaped_heads<const float>(2, 10, 16);
    attention_delta(on.device, kShape, full, dq, dk, dk, std::span(streams),
                    test::shaped<float>(10, 64));
  };
  CHECK(test::error_of([&] { call({}); }) ==
        "attention_delta: streams.size() is 0, expected at least 1");
  CHECK(test::error_of([&] {
          call({{0, 10, 11, 61}});
        }) == "attention_delta: the end of a stream's full rows is 21, expected at most 20");
  CHECK(test::error_of([&] {
          call({{0, 5, 0, 50}, {5, 5, 5, 56}});
        }) == "attention_delta: a stream's prefix - full_row is 51, expected 50");
  CHECK(test::error_of([&] {
          call({{1, 10, 0, 50}});
        }) == "attention_delta: dq is 4 heads of [10, 16], expected 4 of [11, 16] or more rows");
}
#endif

#ifdef LONGSHADOW_CONTRACTS
TEST_CASE("to_softmax_weights refuses columns that are no whole lanes", "[contract]") {
  float scores[1] = {};
  CHECK(test::error_of([&] {
          to_softmax_weights(scores, {0, 2 * kLanes<float>}, kLanes<float>, 1.0F, 0.0F);
        }) == "to_softmax_weights: visible.end is 32, expected at most 16");
  CHECK(test::error_of([&] { to_softmax_weights(scores, {}, kLanes<float> + 1, 1.0F, 0.0F); }) ==
        "to_softmax_weights: cols is 17, expected a multiple of 16");
}
#endif

}  // namespace
}  // namespace longshadow
