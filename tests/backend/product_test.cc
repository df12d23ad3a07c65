#include <catch2/catch.hpp>
#include <numeric>
#include <type_traits>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/backend/tile_product.h"
#include "tests/support/contracts.h"
#include "tests/support/random_matrix.h"
#include "tests/support/skip.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;
using twin::Row;

/// The type that products of In are summed in.
template <class In>
using Sum = std::conditional_t<std::is_same_v<In, BF16>, float, In>;

/// `values` as In, and, so that the twin multiplies the same numbers, rounded to it themselves.
template <class In>
Matrix<In> rounded(Cpu& cpu, Matrix<Sum<In>>& values) {
  Matrix<In> result(cpu.memory(), values.rows(), values.cols());
  for (std::size_t i = 0; i < values.rows() * values.cols(); ++i) {
    if constexpr (std::is_same_v<In, BF16>) {
      result.data()[i] = to_bf16(values.data()[i]);
      values.data()[i] = to_float(result.data()[i]);
    } else {
      result.data()[i] = values.data()[i];
    }
  }
  return result;
}

template <class T>
Row column(const Matrix<T>& matrix, std::size_t index) {
  Row values;
  for (std::size_t r = 0; r < matrix.rows(); ++r) values.push_back(matrix.row(r)[index]);
  return values;
}

/// Checks c[r][o] against start + a[r] . b[o]; the sum has one term more than a row has elements.
template <class T>
void check_element(T found, double start, const Row& a, const Row& b) {
  const double expected = start + twin::dot(a, b);
  const double terms = static_cast<double>(a.size()) + 1;
  const double bound = terms * twin::unit_roundoff<T> * (std::abs(start) + twin::magnitude(a, b));
  CHECK(std::abs(static_cast<double>(found) - expected) <= bound);
}

// Bytes of the largest size, where sums of two products would saturate 16 bits.
TEST_CASE("products with packed bytes are exact") {
  if (!has_byte_products()) {
    return test::skip("this processor does not multiply bytes");
  }
  Cpu cpu(2);
  constexpr std::size_t kInputs = 576, kOutputs = 600;
  const auto extreme = [&](std::size_t rows, std::size_t odd) {
    Matrix<std::int8_t> matrix(cpu.memory(), rows, kInputs);
    for (std::size_t i = 0; i < rows * kInputs; ++i) {
      matrix.data()[i] = static_cast<std::int8_t>(i * i % odd == 0 ? -127 : 127);
    }
    return matrix;
  };
  const Matrix<std::int8_t> x = extreme(kRowTile, 3), w = extreme(kOutputs, 7);
  const PackedWeights packed(cpu, w.view());
  for (std::size_t tile = 0; tile < packed.n_tiles(); ++tile) {
    Matrix<float> y(cpu.memory(), kRowTile, packed.padded_width(tile));
    packed.multiply_tile(tile, x.view(), y.view());
    for (std::size_t r = 0; r < kRowTile; r += 5) {
      for (std::size_t o = 0; o < packed.tile_width(tile); ++o) {
        const std::int8_t* output = w.row(packed.tile_begin(tile) + o);
        REQUIRE(double(y.row(r)[o]) == std::inner_product(x.row(r), x.row(r) + kInputs, output, 0));
      }
    }
  }
}

TEMPLATE_TEST_CASE("tile_product in both layouts, replacing and adding", "", float, double, BF16) {
  using In = TestType;
  using Out = Sum<In>;
  struct Shape {
    std::size_t m, k, n;
  };
  Cpu cpu(1);
  for (const Shape shape : {Shape{1, 1, 1}, Shape{16, 64, 64}, Shape{37, 20, 130},
                            Shape{128, 576, 64}, Shape{128, 64, 512}}) {
    for (const RightFactor layout : {RightFactor::by_output, RightFactor::by_input}) {
      for (const bool accumulate : {false, true}) {
        CAPTURE(shape.m, shape.k, shape.n, int(layout), accumulate);
        const bool by_output = layout == RightFactor::by_output;
        Matrix<Out> a_exact = random_matrix<Out>(cpu, shape.m, shape.k, 1);
        Matrix<Out> b_exact = by_output ? random_matrix<Out>(cpu, shape.n, shape.k, 2)
                                        : random_matrix<Out>(cpu, shape.k, shape.n, 2);
        const Matrix<In> a = rounded<In>(cpu, a_exact);
        const Matrix<In> b = rounded<In>(cpu, b_exact);
        const Matrix<Out> before = random_matrix<Out>(cpu, shape.m, shape.n, 3);
        Matrix<Out> c = random_matrix<Out>(cpu, shape.m, shape.n, 3);
        tile_product<In, Out>(a.view(), b.view(), layout, c.view(), accumulate);
        for (std::size_t r = 0; r < shape.m; r += 5) {
          for (std::size_t o = 0; o < shape.n; ++o) {
            const Row factor = by_output ? twin::row(b_exact.row(o), shape.k) : column(b_exact, o);
            check_element(c.row(r)[o], accumulate ? double(before.row(r)[o]) : 0.0,
                          twin::row(a_exact.row(r), shape.k), factor);
          }
        }
      }
    }
  }
}

// A product that reads beyond its factors, or writes beyond its result, would meet the sentinels.
TEMPLATE_TEST_CASE("tile_product stays within its matrices", "", float, double) {
  using T = TestType;
  Cpu cpu(1);
  constexpr std::size_t m = 3, k = 5, n = 7;
  const T infinity = std::numeric_limits<T>::infinity();
  std::vector<T> a(m * k + 64, infinity), b(n * k + 64, infinity), c(m * n + 64, T{-7});
  std::fill_n(a.begin(), m * k, T{1});
  std::fill_n(b.begin(), n * k, T{2});
  tile_product<T, T>(MatrixView<const T>{a.data(), m, k, k}, MatrixView<const T>{b.data(), n, k, k},
                     RightFactor::by_output, MatrixView<T>{c.data(), m, n, n}, false);
  for (std::size_t i = 0; i < m * n; ++i) CHECK(c[i] == T{10});
  for (std::size_t i = m * n; i < c.size(); ++i) CHECK(c[i] == T{-7});
}

TEMPLATE_TEST_CASE("packed weights split the outputs and multiply each tile", "", float, double,
                   BF16) {
  using In = TestType;
  using Out = Sum<In>;
  Cpu cpu(2);
  const std::size_t inputs = GENERATE(as<std::size_t>(), 1, 48, 130);
  const std::size_t outputs = GENERATE(as<std::size_t>(), 1, 48, 513, 1536);
  const std::size_t rows = GENERATE(kRowTile, kFewRows);
  CAPTURE(inputs, outputs, rows);
  Matrix<Out> w_exact = random_matrix<Out>(cpu, outputs, inputs, 4);
  Matrix<Out> x_exact = random_matrix<Out>(cpu, rows, inputs, 5);
  const Matrix<In> w = rounded<In>(cpu, w_exact);
  const Matrix<In> x = rounded<In>(cpu, x_exact);
  const PackedWeights packed(cpu, w.view());
  CHECK(packed.outputs() == outputs);
  CHECK(packed.inputs() == inputs);

  std::size_t covered = 0;
  for (std::size_t tile = 0; tile < packed.n_tiles(); ++tile) {
    REQUIRE(packed.tile_begin(tile) == covered);
    const std::size_t width = packed.tile_width(tile);
    REQUIRE(packed.padded_width(tile) >= width);
    Matrix<Out> y(cpu.memory(), rows, packed.padded_width(tile));
    packed.multiply_tile(tile, x.view(), y.view());
    for (std::size_t r = 0; r < rows; r += 5) {
      for (std::size_t o = 0; o < width; ++o) {
        check_element(y.row(r)[o], 0, twin::row(x_exact.row(r), inputs),
                      twin::row(w_exact.row(covered + o), inputs));
      }
      for (std::size_t o = width; o < y.cols(); ++o) CHECK(y.row(r)[o] == 0);
    }
    covered += width;
  }
  CHECK(covered == outputs);
}

// Weights of one layer differ from those of the next in nothing but their values, and share code.
TEMPLATE_TEST_CASE("packed weights of one shape do not mix", "", float, double) {
  using T = TestType;
  Cpu cpu(1);
  const Matrix<T> x = random_matrix<T>(cpu, kRowTile, 48, 6);
  const Matrix<T> w = random_matrix<T>(cpu, 32, 48, 7);
  Matrix<T> twice = random_matrix<T>(cpu, 32, 48, 7);
  for (std::size_t i = 0; i < 32 * 48; ++i) twice.data()[i] *= 2;
  PackedWeights first(cpu, w.view());
  const PackedWeights second(cpu, twice.view());
  const PackedWeights moved(std::move(first));
  Matrix<T> y(cpu.memory(), kRowTile, 32), y_twice(cpu.memory(), kRowTile, 32);
  moved.multiply_tile(0, x.view(), y.view());
  second.multiply_tile(0, x.view(), y_twice.view());
  for (std::size_t i = 0; i < kRowTile * 32; ++i) CHECK(y_twice.data()[i] == 2 * y.data()[i]);
}

#ifdef LONGSHADOW_CONTRACTS
TEST_CASE("products on the processor refuse shapes that do not fit", "[contract]") {
  const auto wide = test::shaped<const float>(16, 64);
  CHECK(test::error_of([&] {
          tile_product(test::shaped<const float>(16, 8), test::shaped<const float>(8, 16),
                       RightFactor::by_output, test::shaped<float>(16, 16), false);
        }) == "tile_product: b is [8, 16], expected [16, 8]");
  CHECK(test::error_of([&] {
          tile_product(test::shaped<const float>(16, 8), test::shaped<const float>(8, 16),
                       RightFactor::by_input, test::shaped<float>(8, 16), false);
        }) == "tile_product: c is [8, 16], expected [16, 16]");
  CHECK(test::error_of([&] {
          tile_product(wide.column_range(0, 8), test::shaped<const float>(8, 16),
                       RightFactor::by_input, test::shaped<float>(16, 16), false);
        }) == "tile_product: a.stride is 64, expected 8, its cols");
  Cpu cpu(1);
  const Matrix<float> w(cpu.memory(), 20, 4);
  CHECK(test::error_of([&] { PackedWeights(cpu, w.view(), 24); }) ==
        "PackedWeights: multiple is 24, expected a multiple of 16");
  const PackedWeights packed(cpu, w.view());
  CHECK(test::error_of([&] {
          packed.multiply_tile(0, test::shaped<const float>(17, 4), test::shaped<float>(17, 32));
        }) == "multiply_tile: x.rows is 17, expected 16 or a multiple of 128");
  CHECK(test::error_of([&] {
          packed.multiply_tile(1, test::shaped<const float>(16, 4), test::shaped<float>(16, 32));
        }) == "multiply_tile: tile is 1, expected at most 0");
  CHECK(test::error_of([&] {
          packed.multiply_tile(0, test::shaped<const float>(16, 4), test::shaped<float>(16, 20));
        }) == "multiply_tile: y is [16, 20], expected [16, 32]");
  CHECK(test::error_of([&] {
          packed.multiply_tile(0, wide.column_range(0, 4), test::shaped<float>(16, 32));
        }) == "multiply_tile: x.stride is 64, expected 4, its cols");
  CHECK(test::error_of([&] { packed.transposed(); }) ==
        "PackedWeights::transposed: W is in tiles, expected as it is");
}
#endif

}  // namespace
}  // namespace longshadow
