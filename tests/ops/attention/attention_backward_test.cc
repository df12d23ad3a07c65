#include "engine/ops/attention/attention_backward.h"

#include <catch2/catch.hpp>
#include <type_traits>

#include "tests/support/attention_case.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/finite_differences.h"
#include "tests/support/larger.h"
#include "tests/support/precision.h"

namespace longshadow {
namespace {

using test::random_matrix;

constexpr AttentionShape kShape{4, 2, 16};
constexpr std::size_t kGroup = 2;
constexpr std::size_t kDim = 16;

twin::Row head_row(HeadRows<const double> heads, std::size_t head, std::size_t row) {
  return twin::row(heads.head(head).row(row), kDim);
}

/// A text whose positions from `prefix` on are the full rows, from full row `full_row` on, in
/// double: queries, keys, values, and gates on the prefix.
struct Text {
  AttentionShape shape;
  std::size_t prefix, n_rows, full_row;
  Matrix<double> queries, keys, values;
  std::vector<double> gates;

  Text(Cpu& cpu, std::size_t columns, std::size_t rows, std::size_t first,
       const AttentionShape& of = kShape)
      : shape(of),
        prefix(columns),
        n_rows(rows),
        full_row(first),
        queries(random_matrix<double>(cpu, 4 * (first + rows + kRowTile), kDim, 1)),
        keys(random_matrix<double>(cpu, 2 * (columns + rows + kRowTile), kDim, 2)),
        values(random_matrix<double>(cpu, 2 * (columns + rows + kRowTile), kDim, 3)),
        gates(columns, 1.0) {}

  HeadRows<const double> query_heads() const { return as_heads(queries.view(), 4); }
  HeadRows<const double> key_heads() const { return as_heads(keys.view(), 2); }
  HeadRows<const double> value_heads() const { return as_heads(values.view(), 2); }

  /// Of a row that sees the columns from `first` on: p and out, and what a score gains of f q.k.
  struct Row {
    std::size_t first;
    twin::Row p, out, slope;
    double log_normaliser;
  };
  double factor() const { return twin::ScoreForm{shape.score.scale, shape.score.cap}.factor(kDim); }
  /// A gate takes the result from what it is (1) straight to what it is without the column (0).
  void pass_gates(std::size_t head, Row& row) const {
    const twin::Row full = row.out;
    for (std::size_t j = row.first; j < prefix; ++j) {
      const twin::Row value = head_row(value_heads(), head / kGroup, j);
      const double p = row.p[j - row.first];
      for (std::size_t i = 0; i < kDim; ++i) {
        const double without = (full[i] - p * value[i]) / (1 - p);
        row.out[i] += (gates[j] - 1) * (full[i] - without);
      }
    }
  }
  /// Row r of one head, with the gates.
  Row attend(std::size_t head, std::size_t r) const {
    const twin::Row query = head_row(query_heads(), head, full_row + r);
    Row row{shape.first_seen(prefix + r), {}, twin::Row(kDim), {}, 0};
    const twin::ScoreForm form{shape.score.scale, shape.score.cap};
    double sum = 0;
    for (std::size_t j = row.first; j <= prefix + r; ++j) {
      const double score = form.score(query, head_row(key_heads(), head / kGroup, j));
      const double capped = form.cap != 0 ? score / form.cap : 0;
      row.p.push_back(std::exp(score));
      row.slope.push_back(1 - capped * capped);
      sum += row.p.back();
    }
    for (std::size_t j = row.first; j <= prefix + r; ++j) {
      row.p[j - row.first] /= sum;
      const twin::Row value = head_row(value_heads(), head / kGroup, j);
      for (std::size_t i = 0; i < kDim; ++i) row.out[i] += row.p[j - row.first] * value[i];
    }
    row.log_normaliser = std::log(sum);
    pass_gates(head, row);
    return row;
  }
};

/// What attention_backward() gives for one stream, and the magnitudes of what it is a sum of.
struct Expected {
  twin::Rows queries, keys, values, removals;
  twin::Rows query_sizes, key_sizes, value_sizes, removal_sizes;
};

Expected by_formula(const Text& text, HeadRows<const double> dout, std::size_t first_row) {
  const auto zeros = [](std::size_t rows, std::size_t cols) {
    return twin::Rows(rows, twin::Row(cols));
  };
  Expected sum{zeros(text.n_rows, 4 * kDim), zeros(text.n_rows, 2 * kDim),
               zeros(text.n_rows, 2 * kDim), zeros(2, text.prefix),
               zeros(text.n_rows, 4 * kDim), zeros(text.n_rows, 2 * kDim),
               zeros(text.n_rows, 2 * kDim), zeros(2, text.prefix)};
  for (std::size_t head = 0; head < 4; ++head) {
    const std::size_t kv = head / kGroup;
    for (std::size_t r = 0; r < text.n_rows; ++r) {
      const Text::Row row = text.attend(head, r);
      const twin::Row query = head_row(text.query_heads(), head, text.full_row + r);
      const twin::Row d = head_row(dout, head, first_row + r);
      for (std::size_t j = row.first; j <= text.prefix + r; ++j) {
        const double p = row.p[j - row.first];
        const double of_products = text.factor() * row.slope[j - row.first];
        const twin::Row value = head_row(text.value_heads(), kv, j);
        const twin::Row key = head_row(text.key_heads(), kv, j);
        const double ds = p * (twin::dot(d, value) - twin::dot(d, row.out));
        const double size = p * (twin::magnitude(d, value) + twin::magnitude(d, row.out));
        for (std::size_t i = 0; i < kDim; ++i) {
          sum.queries[r][head * kDim + i] += of_products * ds * key[i];
          sum.query_sizes[r][head * kDim + i] += text.factor() * size * std::abs(key[i]);
          if (j < text.prefix) continue;
          sum.keys[j - text.prefix][kv * kDim + i] += of_products * ds * query[i];
          sum.key_sizes[j - text.prefix][kv * kDim + i] +=
              text.factor() * size * std::abs(query[i]);
          sum.values[j - text.prefix][kv * kDim + i] += p * d[i];
          sum.value_sizes[j - text.prefix][kv * kDim + i] += p * std::abs(d[i]);
        }
        if (j < text.prefix) {
          // 1 - p is off by what p is.
          const double kept = 1 - p;
          sum.removals[kv][j] += ds / kept;
          sum.removal_sizes[kv][j] += size / (kept * kept);
        }
      }
    }
  }
  return sum;
}

template <class T>
Matrix<T> converted(Cpu& cpu, const Matrix<double>& from) {
  Matrix<T> to(cpu.memory(), from.rows(), from.cols());
  for (std::size_t i = 0; i < from.rows() * from.cols(); ++i) {
    to.data()[i] = static_cast<T>(from.data()[i]);
  }
  return to;
}

/// What it found; -7 where it wrote nothing.
template <class T>
struct Found {
  Matrix<T> queries, keys, values, removals;
};

template <class T, class P = T>
Matrix<P> unwritten(std::size_t rows, std::size_t cols) {
  Matrix<P> matrix(host_memory(), rows, cols);
  std::fill_n(matrix.data(), rows * cols, rounded<P>(T{-7}));
  return matrix;
}

template <class T, class P, class Device>
Found<T> run(Device& device, const Text& text, const Matrix<double>& dout,
             std::span<const PairedRows> streams) {
  Cpu cpu(1);
  const Matrix<T> queries = converted<T>(cpu, text.queries), keys = converted<T>(cpu, text.keys),
                  values = converted<T>(cpu, text.values), gradients = converted<T>(cpu, dout);
  const Matrix<P> rounded_keys = test::rounded_copy<P>(cpu, keys);
  const Matrix<P> rounded_values = test::rounded_copy<P>(cpu, values);
  Matrix<T> log_normalisers(cpu.memory(), text.full_row + text.n_rows, 4);
  Matrix<T> attended(cpu.memory(), text.full_row + text.n_rows, 4 * kDim);
  for (std::size_t r = 0; r < text.n_rows; ++r) {
    for (std::size_t head = 0; head < 4; ++head) {
      const Text::Row row = text.attend(head, r);
      log_normalisers.row(text.full_row + r)[head] = static_cast<T>(row.log_normaliser);
      for (std::size_t i = 0; i < kDim; ++i) {
        attended.row(text.full_row + r)[head * kDim + i] = static_cast<T>(row.out[i]);
      }
    }
  }
  const std::size_t rows = dout.rows() / 4 - kRowTile;
  Matrix<P> dv = unwritten<T, P>(rows, 2 * kDim);
  Found<T> found{unwritten<T>(rows, 4 * kDim), unwritten<T>(rows, 2 * kDim), Matrix<T>(),
                 unwritten<T>(streams.size() * 2, text.prefix)};
  test::run_on(device, [&](auto& at) {
    const auto kv_heads = [&](const auto& rows_of_heads) {
      return as_heads(at.in(rows_of_heads), 2);
    };
    const FullAttentionView full{as_heads(at.in(queries), 4), at.in(log_normalisers),
                                 at.in(attended), KeysValuesView{kv_heads(keys), kv_heads(values)},
                                 KeysValuesView{kv_heads(rounded_keys), kv_heads(rounded_values)}};
    attention_backward(device, text.shape, full, text.prefix, as_heads(at.in(gradients), 4),
                       streams,
                       AttentionGradientsView{at.out(found.queries), at.out(found.keys), at.out(dv),
                                              at.out(found.removals)});
  });
  found.values = test::widened_copy<T>(cpu, dv);
  return found;
}

template <class T>
void check_row(const T* found, const twin::Row& expected, const twin::Row& sizes, double relative) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const bool within = std::abs(double(found[i]) - expected[i]) <= relative * sizes[i];
    if (!within) CHECK(double(found[i]) == expected[i]);  // says what was found
  }
}

TEMPLATE_TEST_CASE("attention_backward is the formula", "", test::CpuF32, test::CpuF64,
                   test::CpuMixedBF16, test::CudaF32, test::CudaF64, test::CudaMixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  struct Size {
    std::size_t prefix, rows, full_row;
  };
  // Less than a tile; a row tile and a bit, over several widths of column tiles.
  const Size size = GENERATE(Size{70, 20, 3}, Size{600, 131, 0}, Size{1, 1, 0});
  // Windows within the own rows and within the prefix; a cap of about the largest scores.
  const auto [window, cap] = GENERATE(table<std::size_t, double>({{0, 0.0}, {13, 3.0}, {90, 0.0}}));
  AttentionShape shape{4, 2, 16, window, {0, cap}};
  if (cap != 0) shape.score.scale = 0.3;
  CAPTURE(size.prefix, size.rows, shape.window, shape.score.cap);
  const Text text(cpu, size.prefix, size.rows, size.full_row, shape);
  const std::vector<PairedRows> streams{{0, size.rows, size.full_row},
                                        {size.rows + 2, size.rows, size.full_row}};
  const Matrix<double> dout =
      random_matrix<double>(cpu, 4 * (2 * size.rows + 2 + kRowTile), kDim, 4);
  const Found<T> found = run<T, P>(on.device, text, dout, streams);
  // A weight is off by weight_error(), a product of d terms by d roundings, sums over columns (a
  // row's) or rows (a column's) by as many; bf16 rounds both factors of two products in a row.
  const double columns = static_cast<double>(size.prefix + size.rows);
  twin::Attention widest{twin::Row(size.prefix + size.rows), {}, {}, 0, 0};
  for (std::size_t head = 0; head < 4; ++head) {
    for (std::size_t r = 0; r < size.rows; ++r) {
      const twin::Row query = head_row(text.query_heads(), head, size.full_row + r);
      for (std::size_t j = 0; j <= size.prefix + r; ++j) {
        widest.score_magnitude = test::larger(
            widest.score_magnitude,
            text.factor() * twin::magnitude(query, head_row(text.key_heads(), head / kGroup, j)));
      }
    }
  }
  for (const auto* matrix : {&found.queries, &found.keys, &found.values}) {
    for (std::size_t i = 0; i < matrix->cols(); ++i) CHECK(matrix->row(size.rows)[i] == T{-7});
  }
  // A slope, 1 - tanh², is off by what tanh is, twice.
  const double of_cap =
      shape.score.cap != 0 ? 2 * (kDim + 8 + 2) * (1 + widest.score_magnitude) : 0;
  const double relative = test::weight_error<T>(shape, widest) +
                          (2 * kDim + kGroup * columns + 8 + of_cap) * twin::unit_roundoff<T> +
                          (std::is_same_v<P, BF16> ? 4.5 * 0x1p-8 : 0);
  for (std::size_t b = 0; b < streams.size(); ++b) {
    const std::size_t first = streams[b].first_row;
    const Expected expected = by_formula(text, as_heads(dout.view(), 4), first);
    for (std::size_t r = 0; r < size.rows; ++r) {
      CAPTURE(b, r);
      check_row(found.queries.row(first + r), expected.queries[r], expected.query_sizes[r],
                relative);
      check_row(found.keys.row(first + r), expected.keys[r], expected.key_sizes[r], relative);
      check_row(found.values.row(first + r), expected.values[r], expected.value_sizes[r], relative);
    }
    for (std::size_t kv = 0; kv < 2; ++kv) {
      check_row(found.removals.row(b * 2 + kv), expected.removals[kv], expected.removal_sizes[kv],
                relative);
    }
  }
}

TEST_CASE("attention_backward is the derivative of attention under gates") {
  Cpu cpu(2);
  AttentionShape shape = kShape;
  shape.window = GENERATE(0u, 4u);
  shape.score.cap = GENERATE(0.0, 2.0);
  CAPTURE(shape.window, shape.score.cap);
  Text text(cpu, 9, 5, 0, shape);
  const PairedRows stream{0, 5, 0};
  const Matrix<double> dout = random_matrix<double>(cpu, 4 * (5 + kRowTile), kDim, 4);
  const Found<double> found = run<double, double>(cpu, text, dout, std::span(&stream, 1));
  const auto value = [&](std::size_t first_head, std::size_t end_head) {
    double total = 0;
    for (std::size_t head = first_head; head < end_head; ++head) {
      for (std::size_t r = 0; r < 5; ++r) {
        total += twin::dot(head_row(as_heads(dout.view(), 4), head, r), text.attend(head, r).out);
      }
    }
    return total;
  };
  const auto all = [&] { return value(0, 4); };
  const auto check = [](double gradient, double expected) {
    CHECK(std::abs(gradient - expected) <= 1e-9);
  };
  for (std::size_t r = 0; r < 5; ++r) {
    for (std::size_t i = 0; i < kDim; i += 5) {
      for (std::size_t head = 0; head < 4; ++head) {
        check(found.queries.row(r)[head * kDim + i],
              test::derivative(as_heads(text.queries.view(), 4).head(head).row(r)[i], all));
      }
      for (std::size_t kv = 0; kv < 2; ++kv) {
        check(found.keys.row(r)[kv * kDim + i],
              test::derivative(as_heads(text.keys.view(), 2).head(kv).row(9 + r)[i], all));
        check(found.values.row(r)[kv * kDim + i],
              test::derivative(as_heads(text.values.view(), 2).head(kv).row(9 + r)[i], all));
      }
    }
  }
  for (std::size_t j = 0; j < 9; ++j) {
    for (std::size_t kv = 0; kv < 2; ++kv) {
      const auto of_head = [&] { return value(kv * kGroup, (kv + 1) * kGroup); };
      check(found.removals.row(kv)[j], test::derivative(text.gates[j], of_head));
    }
  }
}

// Nearly all attention is on one column: dp - dout.o cancels there, and what is left counts many
// times. bf16 products must not decide what it is.
TEMPLATE_TEST_CASE("attention_backward without its sink", "", Cpu, Cuda) {
  test::UnderTest<TestType> on;
  Cpu cpu(2);
  Text text(cpu, 70, 20, 0);
  for (std::size_t row = 0; row < text.queries.rows(); ++row) text.queries.row(row)[0] = 4;
  for (std::size_t head = 0; head < 2; ++head) {
    as_heads(text.keys.view(), 2).head(head).row(0)[0] = 9;
  }
  const PairedRows stream{0, 20, 0};
  const Matrix<double> dout = random_matrix<double>(cpu, 4 * (20 + kRowTile), kDim, 4);
  const auto exact = run<double, double>(on.device, text, dout, std::span(&stream, 1));
  const auto single = run<float, float>(on.device, text, dout, std::span(&stream, 1));
  const auto mixed = run<float, BF16>(on.device, text, dout, std::span(&stream, 1));
  const Expected expected = by_formula(text, as_heads(dout.view(), 4), 0);
  for (std::size_t kv = 0; kv < 2; ++kv) {
    double least = 1, size = 0;
    for (std::size_t r = 0; r < 20; ++r) {
      for (std::size_t head = kv * kGroup; head < (kv + 1) * kGroup; ++head) {
        const Text::Row row = text.attend(head, r);
        const twin::Row d = head_row(as_heads(dout.view(), 4), head, r);
        const twin::Row value = head_row(text.value_heads(), kv, 0);
        least = test::smaller(least, 1 - row.p[0]);
        size += (twin::magnitude(d, value) + twin::magnitude(d, row.out)) / (1 - row.p[0]);
      }
    }
    REQUIRE(least < 0.01);
    CHECK(std::abs(exact.removals.row(kv)[0] - expected.removals[kv][0]) <=
          1e3 * twin::unit_roundoff<double> * size / least);
    // p, the same in both, is off; dp, a sum of 16 products, is not.
    CHECK(std::abs(double(single.removals.row(kv)[0]) - expected.removals[kv][0]) <=
          1e3 * twin::unit_roundoff<float> * size / least);
    CHECK(std::abs(double(mixed.removals.row(kv)[0]) - double(single.removals.row(kv)[0])) <=
          (2 * kDim + 40) * twin::unit_roundoff<float> * size);
  }
}

/// All gradients of some streams of 150 rows after 200 columns.
template <class T, class P, class Device>
std::vector<T> gradients_of(Device& device, std::span<const PairedRows> streams) {
  Cpu cpu(1);
  const Text text(cpu, 200, 150, 0);
  const Matrix<double> dout = random_matrix<double>(cpu, 4 * (300 + kRowTile), kDim, 4);
  const Found<T> found = run<T, P>(device, text, dout, streams);
  std::vector<T> values = test::elements(found.removals, 0, 2);
  for (const auto* matrix : {&found.queries, &found.keys, &found.values}) {
    const std::vector<T> rows = test::elements(*matrix, 0, 150);
    values.insert(values.end(), rows.begin(), rows.end());
  }
  return values;
}

const std::vector<PairedRows> kTwoStreams{{0, 150, 0}, {150, 150, 0}};

TEMPLATE_TEST_CASE("attention_backward has the same bits in any company", "", test::CpuF32,
                   test::CpuF64, test::CpuMixedBF16, test::CudaF32, test::CudaF64,
                   test::CudaMixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  test::UnderTest<typename TestType::Device> on;
  const std::span<const PairedRows> both(kTwoStreams);
  CHECK(test::same_bits(gradients_of<T, P>(on.device, both.first(1)),
                        gradients_of<T, P>(on.device, both)));
}

// So many that their heads do not all go at once.
TEST_CASE("attention_backward of many streams on a CUDA device", "[host_cuda]") {
  Cuda device;
  Cpu cpu(1);
  constexpr std::size_t kRows = 128, kStreams = 260;
  const Text text(cpu, 1, kRows, 0);
  const Matrix<double> dout =
      random_matrix<double>(cpu, 4 * (kStreams * kRows + kRowTile), kDim, 4);
  std::vector<PairedRows> streams;
  for (std::size_t b = 0; b < kStreams; ++b) streams.push_back({b * kRows, kRows, 0});
  const auto together = run<float, float>(device, text, dout, streams);
  const PairedRows last = streams.back();
  const auto alone = run<float, float>(device, text, dout, std::span(&last, 1));
  for (const auto member : {&Found<float>::queries, &Found<float>::keys, &Found<float>::values}) {
    CHECK(test::same_bits(test::elements(together.*member, last.first_row, kRows),
                          test::elements(alone.*member, last.first_row, kRows)));
  }
  CHECK(test::same_bits(test::elements(together.removals, 2 * (kStreams - 1), 2),
                        test::elements(alone.removals)));
}

TEMPLATE_TEST_CASE("attention_backward has the same bits for any threads", "", test::CpuF32,
                   test::CpuF64, test::CpuMixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  CHECK(test::same_bits_for_any_threads(
      [&](Cpu& cpu) { return gradients_of<T, P>(cpu, kTwoStreams); }));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("attention_backward refuses streams and gradients that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const auto call = [&](const std::vector<PairedRows>& streams, std::size_t removals) {
    const auto queries = test::shaped_heads<const float>(4, 20, kDim);
    const auto cache = test::shaped_heads<const float>(2, 70, kDim);
    const FullAttentionView full{queries,
                                 test::shaped<const float>(20, 4),
                                 test::shaped<const float>(20, 64),
                                 {cache, cache},
                                 {cache, cache}};
    const AttentionGradientsView gradients{test::shaped<float>(10, 64), test::shaped<float>(10, 32),
                                           test::shaped<float>(10, 32),
                                           test::shaped<float>(removals, 50)};
    attention_backward(on.device, kShape, full, std::size_t{50},
                       test::shaped_heads<const float>(4, 10 + kRowTile, kDim), std::span(streams),
                       gradients);
  };
  CHECK(test::error_of([&] {
          call({{0, 5, 0}, {5, 4, 0}}, 4);
        }) == "attention_backward: a stream's n_rows is 4, expected 5");
  CHECK(test::error_of([&] {
          call({{0, 5, 0}, {6, 5, 0}}, 4);
        }) == "attention_backward: the end of a pair's rows is 11, expected at most 10");
  CHECK(test::error_of([&] {
          call({{0, 5, 0}, {5, 5, 0}}, 3);
        }) == "attention_backward: gradients.removals is [3, 50], expected [4, 50]");
}
#endif

}  // namespace
}  // namespace longshadow
