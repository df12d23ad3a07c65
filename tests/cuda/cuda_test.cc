#include "engine/cuda/cuda.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <numeric>
#include <tuple>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/range.h"
#include "engine/cuda/product.h"
#include "engine/cuda/runtime.h"
#include "tests/support/error_of.h"
#include "tests/support/precision.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::F32;
using test::F64;
using test::MixedBF16;
using test::random_matrix;
using test::rounded_copy;

template <class T>
DeviceArray<T> on_device(Cuda& device, const Matrix<T>& matrix) {
  return {device, std::span<const T>(matrix.data(), matrix.rows() * matrix.cols())};
}

TEST_CASE("what goes to a CUDA device comes back", "[host_cuda]") {
  REQUIRE(Cuda::is_available());
  Cuda device;
  std::vector<int> numbers{1, 2, 3, 4, 5};
  const DeviceArray<int> copy(device, std::span<const int>(numbers));
  numbers.assign(5, 0);  // the copy was taken before
  CHECK(copy.on_host() == std::vector<int>{1, 2, 3, 4, 5});
  CHECK(DeviceArray<int>(device, 0).on_host().empty());
}

TEST_CASE("matrices of a CUDA device begin at zero", "[host_cuda]") {
  Cuda device;
  for (int i = 0; i < 2; ++i) {  // the second time it is memory that was used
    const Matrix<double> fresh(device.memory(), 30, 20);
    std::vector<double> values(600, -1);
    device.copy_to_host(fresh.data(), values.data(), fresh.bytes());
    CHECK(values == std::vector<double>(600));
    device.copy_to_device(std::vector<double>(600, 1).data(), const_cast<double*>(fresh.data()),
                          fresh.bytes());
  }
}

TEST_CASE("more memory than there is says how much there is", "[host_cuda]") {
  Cuda device;
  CHECK_THROWS_WITH(device.allocate(device.total_bytes() + 1),
                    Catch::Contains(" GiB more do not fit its memory of "));
}

// Rows lie apart, as views of parts of matrices do; k products and their sum in T.
TEMPLATE_TEST_CASE("products on a CUDA device", "[host_cuda]", F32, F64, MixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(1);
  Cuda device;
  const auto layout = GENERATE(RightFactor::by_output, RightFactor::by_input);
  const bool accumulate = GENERATE(false, true);
  constexpr std::size_t m = 7, n = 5, k = 11, apart = 3;
  const bool by_output = layout == RightFactor::by_output;
  const Matrix<P> a = rounded_copy<P>(cpu, random_matrix<T>(cpu, m, k + apart, 1));
  const Matrix<P> b = rounded_copy<P>(
      cpu, random_matrix<T>(cpu, by_output ? n : k, (by_output ? k : n) + apart, 2));
  const Matrix<T> before = random_matrix<T>(cpu, m, n + apart, 3);
  const DeviceArray<P> a_there = on_device(device, a), b_there = on_device(device, b);
  const DeviceArray<T> c_there = on_device(device, before);
  const MatrixView<const P> left{a_there.data(), m, k, a.cols()};
  const MatrixView<const P> right{b_there.data(), b.rows(), b.cols() - apart, b.cols()};
  product(device, left, right, layout, MatrixView<T>{c_there.data(), m, n, n + apart}, accumulate);
  const std::vector<T> found = c_there.on_host();

  for (std::size_t r = 0; r < m; ++r) {
    for (std::size_t c = 0; c < n + apart; ++c) {
      const auto old = double(before.row(r)[c]);
      double expected = accumulate || c >= n ? old : 0, size = std::abs(expected);
      for (std::size_t i = 0; i < k && c < n; ++i) {
        const double term =
            widened<double>(a.row(r)[i]) * widened<double>(by_output ? b.row(c)[i] : b.row(i)[c]);
        expected += term;
        size += std::abs(term);
      }
      CHECK(std::abs(double(found[r * (n + apart) + c]) - expected) <=
            double(k + 1) * twin::unit_roundoff<T> * size);
    }
  }
}

TEMPLATE_TEST_CASE("batched products are products", "[host_cuda]", F32, F64, MixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(1);
  Cuda device;
  constexpr std::size_t m = 4, n = 6, k = 5, count = 3;
  const auto a = on_device(device, rounded_copy<P>(cpu, random_matrix<T>(cpu, count * m, k, 1)));
  const auto b = on_device(device, rounded_copy<P>(cpu, random_matrix<T>(cpu, count * n, k, 2)));
  const DeviceArray<T> c(device, count * m * n), single(device, m * n);
  std::vector<const P*> as, bs;
  std::vector<T*> cs;
  for (std::size_t i = 0; i < count; ++i) {
    as.push_back(a.data() + i * m * k);
    bs.push_back(b.data() + (count - 1 - i) * n * k);
    cs.push_back(c.data() + i * m * n);
  }
  batched_product<P, T>(device, {as, m, k}, {bs, n, k}, RightFactor::by_output, {cs, m, n}, false);
  const std::vector<T> found = c.on_host();
  for (std::size_t i = 0; i < count; ++i) {
    product<P, T>(device, {as[i], m, k, k}, {bs[i], n, k, k}, RightFactor::by_output,
                  single.rows(m, n), false);
    const std::vector<T> expected = single.on_host();
    for (std::size_t j = 0; j < m * n; ++j) {  // two orders of k products below 16 in size
      CHECK(std::abs(double(found[i * m * n + j] - expected[j])) <=
            2 * 16 * double(k) * twin::unit_roundoff<T>);
    }
  }
}

// Columns of a wider matrix as the left factor, rows apart in the result.
TEMPLATE_TEST_CASE("batched products of a transposed factor", "[host_cuda]", F32, F64, MixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(1);
  Cuda device;
  constexpr std::size_t m = 4, n = 6, k = 5, count = 3, apart = 2;
  const bool accumulate = GENERATE(false, true);
  const Matrix<P> a = rounded_copy<P>(cpu, random_matrix<T>(cpu, count * k, m + apart, 1));
  const Matrix<P> b = rounded_copy<P>(cpu, random_matrix<T>(cpu, count * k, n, 2));
  const Matrix<T> before = random_matrix<T>(cpu, count * m, n + apart, 3);
  const DeviceArray<P> a_there = on_device(device, a), b_there = on_device(device, b);
  const DeviceArray<T> c_there = on_device(device, before);
  std::vector<const P*> as, bs;
  std::vector<T*> cs;
  for (std::size_t i = 0; i < count; ++i) {
    as.push_back(a_there.data() + i * k * a.cols());
    bs.push_back(b_there.data() + i * k * n);
    cs.push_back(c_there.data() + i * m * before.cols());
  }
  batched_transposed_product<P, T>(device, {as, k, m, a.cols()}, {bs, k, n},
                                   {cs, m, n, before.cols()}, accumulate);
  const std::vector<T> found = c_there.on_host();
  for (std::size_t row = 0; row < count * m; ++row) {
    for (std::size_t c = 0; c < n + apart; ++c) {
      const auto old = double(before.row(row)[c]);
      double expected = accumulate || c >= n ? old : 0, size = std::abs(expected);
      for (std::size_t i = row / m * k; i < (row / m + 1) * k && c < n; ++i) {
        const double term = widened<double>(a.row(i)[row % m]) * widened<double>(b.row(i)[c]);
        expected += term;
        size += std::abs(term);
      }
      CHECK(std::abs(double(found[row * before.cols() + c]) - expected) <=
            double(k + 1) * twin::unit_roundoff<T> * size);
    }
  }
}

// cuBLASLt takes another algorithm for another number of rows or matrices if it is let.
TEMPLATE_TEST_CASE("a row of a product has the same bits in any company", "[host_cuda]", F32, F64,
                   MixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(1);
  Cuda device;
  const auto layout = GENERATE(RightFactor::by_output, RightFactor::by_input);
  const auto [n, k] = GENERATE(std::pair<std::size_t, std::size_t>{48, 576},
                               std::pair<std::size_t, std::size_t>{7, 101});
  constexpr std::size_t rows = 900;
  const bool by_output = layout == RightFactor::by_output;
  const auto a = on_device(device, rounded_copy<P>(cpu, random_matrix<T>(cpu, rows, k, 1)));
  const auto b = on_device(device, rounded_copy<P>(cpu, random_matrix<T>(cpu, n, k, 2)));
  const MatrixView<const P> left = a.rows(rows, k);
  const MatrixView<const P> right = by_output ? b.rows(n, k) : b.rows(k, n);
  const DeviceArray<T> all(device, rows * n);
  product<P, T>(device, left, right, layout, all.rows(rows, n), false);
  const std::vector<T> expected = all.on_host();
  for (const Range part : {Range{0, 1}, {5, 6}, {17, 33}, {3, 131}, {128, 640}, {1, 900}}) {
    const DeviceArray<T> some(device, part.size() * n);
    product<P, T>(device, left.row_range(part.begin, part.size()), right, layout,
                  some.rows(part.size(), n), false);
    CAPTURE(int(layout), n, k, part.begin, part.end);
    CHECK(test::same_bits(some.on_host(),
                          {expected.begin() + part.begin * n, expected.begin() + part.end * n}));
  }
}

TEMPLATE_TEST_CASE("a batched product has the same bits in any batch", "[host_cuda]", F32, F64,
                   MixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(1);
  Cuda device;
  const auto layout = GENERATE(RightFactor::by_output, RightFactor::by_input);
  const auto [m, n, k] = GENERATE(std::tuple<std::size_t, std::size_t, std::size_t>{128, 64, 128},
                                  std::tuple<std::size_t, std::size_t, std::size_t>{7, 6, 101});
  constexpr std::size_t count = 70;
  const auto a = on_device(device, rounded_copy<P>(cpu, random_matrix<T>(cpu, count * m, k, 1)));
  const auto b = on_device(device, rounded_copy<P>(cpu, random_matrix<T>(cpu, count * n, k, 2)));
  const std::size_t b_cols = layout == RightFactor::by_output ? k : n;
  const auto in_batch = [&, m = m, n = n, k = k](std::size_t first, std::size_t size) {
    const DeviceArray<T> c(device, size * m * n);
    std::vector<const P*> as, bs;
    std::vector<T*> cs;
    for (std::size_t i = 0; i < size; ++i) {
      as.push_back(a.data() + (first + i) * m * k);
      bs.push_back(b.data() + (first + i) * n * k);
      cs.push_back(c.data() + i * m * n);
    }
    batched_product<P, T>(device, {as, m, k}, {bs, n * k / b_cols, b_cols}, layout, {cs, m, n},
                          false);
    return c.on_host();
  };
  const std::vector<T> expected = in_batch(0, count);
  for (const Range part : {Range{0, 1}, {69, 70}, {3, 12}, {1, 65}}) {
    CAPTURE(int(layout), m, n, k, part.begin, part.end);
    CHECK(test::same_bits(
        in_batch(part.begin, part.size()),
        {expected.begin() + part.begin * m * n, expected.begin() + part.end * m * n}));
  }
}

// The host goes on while copies wait for their turn: what they pass through must not be used again
// before, by small copies that share its parts nor by one that takes all of them several times.
TEST_CASE("copies arrive whole, however many are on their way", "[host_cuda]") {
  Cuda device;
  constexpr std::size_t small = 1000, count = 25'000;
  std::vector<std::uint32_t> host(small * count);
  std::iota(host.begin(), host.end(), 0u);
  const DeviceArray<std::uint32_t> pieces(device, host.size());
  for (std::size_t i = 0; i < count; ++i) {
    device.copy_to_device(host.data() + i * small, pieces.data() + i * small,
                          small * sizeof(std::uint32_t));
  }
  CHECK(pieces.on_host() == host);
  std::reverse(host.begin(), host.end());
  const DeviceArray<std::uint32_t> whole(device, std::span<const std::uint32_t>(host));
  CHECK(whole.on_host() == host);
}

#ifdef LONGSHADOW_CONTRACTS
TEST_CASE("products on a CUDA device refuse shapes that do not fit", "[contract][host_cuda]") {
  Cuda device;
  const MatrixView<const float> a{nullptr, 3, 4, 4}, b{nullptr, 5, 4, 4};
  const MatrixView<float> c{nullptr, 3, 5, 5};
  const MatrixBatch<const float> two({nullptr, nullptr}, 3, 4), one({nullptr}, 3, 4);
  const MatrixBatch<float> square({nullptr, nullptr}, 3, 3);
  CHECK(test::error_of([&] { product(device, a, b, RightFactor::by_input, c, false); }) ==
        "product: b is [5, 4], expected [4, 5]");
  CHECK(test::error_of([&] {
          batched_product<float>(device, two, one, RightFactor::by_output, square, false);
        }) == "batched_product: b.data.size() is 1, expected 2");
  CHECK(test::error_of([&] {
          batched_product<float>(device, two, two, RightFactor::by_input, square, false);
        }) == "batched_product: b's outputs is 4, expected 3");
  CHECK(test::error_of([&] {
          batched_transposed_product<float>(device, two, two, square, false);
        }) == "batched_transposed_product: c.rows is 3, expected 4");
}
#endif

}  // namespace
}  // namespace longshadow
