#include "engine/ops/vocabulary/top_k_entropy.h"

#include <catch2/catch.hpp>

#include "engine/backend/tile_product.h"
#include "engine/core/range.h"
#include "engine/ops/common/logit_cap.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/larger.h"
#include "tests/support/random_matrix.h"
#include "tests/support/skip.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;

constexpr std::size_t kHidden = 24;

/// Random hidden states, padded as the op asks for, and output rows.
template <class T>
struct Inputs {
  Matrix<T> hidden, output;

  Inputs(Cpu& cpu, std::size_t rows, std::size_t vocab_size)
      : hidden(random_matrix<T>(cpu, round_up(rows, kRowTile), kHidden, 1)),
        output(random_matrix<T>(cpu, vocab_size, kHidden, 2, 0.5)) {}

  template <class Device>
  std::vector<float> exact(Device& device, std::size_t rows, std::size_t k, double cap = 0) const {
    Matrix<T> copy(host_memory(), output.rows(), kHidden);
    std::copy_n(output.data(), output.rows() * kHidden, copy.data());
    const PackedWeights weights = test::packed(device, std::move(copy));
    std::vector<float> entropies(rows);
    test::run_on(device, [&](auto& at) {
      entropies_of_top_k(device, at.in(hidden), weights, cap, k, std::span(entropies));
    });
    return entropies;
  }
  std::vector<float> screened(Cpu& cpu, std::size_t rows, std::size_t k, double cap = 0) const {
    std::vector<float> entropies(rows);
    screened_entropies_of_top_k(cpu, hidden.view(), output.view(),
                                ScreeningOutput(cpu, output.view()), cap, k, std::span(entropies));
    return entropies;
  }

  /// Checks row r's entropy against the twin's, where logits are sums with this unit roundoff.
  void check(std::size_t r, std::size_t k, double found, double roundoff, double cap = 0) const {
    const twin::Row row = twin::row(hidden.row(r), kHidden);
    std::vector<long double> logits;
    double magnitude = 0;
    for (std::size_t v = 0; v < output.rows(); ++v) {
      const twin::Row direction = twin::row(output.row(v), kHidden);
      logits.push_back(capped_logit(twin::dot(row, direction), cap));
      magnitude = test::larger(magnitude, twin::magnitude(row, direction));
    }
    const auto [lowest, highest] = std::minmax_element(logits.begin(), logits.end());
    // Moving every logit by e moves the entropy by at most e times the mean of |log p + entropy|,
    // at most 2 (highest - lowest); it is stored as f32. A cap, no steeper than 1, adds the 8 ulp
    // of a tanh and three roundings.
    const double expected = twin::entropy(logits, k);
    const double range = static_cast<double>(*highest - *lowest);
    const double logit_error = (kHidden + 2) * roundoff * magnitude + 19 * roundoff * cap;
    CAPTURE(r);
    CHECK(std::abs(found - expected) <=
          logit_error * (2 + 2 * range) + twin::unit_roundoff<float> * expected);
  }
};

bool bytes_are_multiplied() {
  if (!has_byte_products()) test::skip("this processor does not multiply bytes");
  return has_byte_products();
}

// 5000 tokens are ten tiles, 256 exactly one, 257 one and a row.
const std::size_t kVocabularies[] = {1, 5, 256, 257, 5000};

TEMPLATE_TEST_CASE("entropies of the k likeliest tokens", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const std::size_t vocab_size =
      GENERATE(from_range(std::begin(kVocabularies), std::end(kVocabularies)));
  const std::size_t rows = GENERATE(as<std::size_t>(), 1, 130);
  const std::size_t k =
      GENERATE_COPY(values({std::size_t{1}, std::min<std::size_t>(20, vocab_size), vocab_size}));
  const double cap = GENERATE(0.0, 3.0);
  CAPTURE(vocab_size, rows, k, cap);
  const Inputs<T> in(cpu, rows, vocab_size);
  const std::vector<float> found = in.exact(on.device, rows, k, cap);
  for (std::size_t r = 0; r < rows; r += 43)
    in.check(r, k, double(found[r]), twin::unit_roundoff<T>, cap);
}

// Rows are taken by the thousand on a CUDA device, and by tiles on the processor.
TEMPLATE_TEST_CASE("entropies of many rows are those of each", "", test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const Inputs<float> in(cpu, 4100, 8);
  const std::vector<float> found = in.exact(on.device, 4100, 3);
  for (const std::size_t r : {0, 4095, 4096, 4099}) {
    in.check(r, 3, double(found[r]), twin::unit_roundoff<float>);
  }
}

// Bytes move a logit of 24 random terms by some hundredths of the logits' spread, and the 60th of
// 5000 lies .4 of it below the 20th: the candidates hold the k likeliest, whose entropy is exact.
TEST_CASE("screened entropies are those of the exact logits") {
  if (!bytes_are_multiplied()) return;
  Cpu cpu(2);
  const std::size_t vocab_size =
      GENERATE(from_range(std::begin(kVocabularies), std::end(kVocabularies)));
  const std::size_t rows = GENERATE(as<std::size_t>(), 1, 130);
  const std::size_t k = GENERATE_COPY(values({std::min<std::size_t>(20, vocab_size), vocab_size}));
  const double cap = GENERATE(0.0, 3.0);
  CAPTURE(vocab_size, rows, k, cap);
  const Inputs<float> in(cpu, rows, vocab_size);
  const std::vector<float> found = in.screened(cpu, rows, k, cap);
  for (std::size_t r = 0; r < rows; r += 43)
    in.check(r, k, double(found[r]), twin::unit_roundoff<double>, cap);
}

// The rows of zeros behind the vocabulary would be tokens of logit 0, likelier than all of these.
TEST_CASE("padding is no candidate") {
  Cpu cpu(1);
  Inputs<float> in(cpu, 1, 3);
  for (std::size_t v = 0; v < 3; ++v) {
    for (std::size_t i = 0; i < kHidden; ++i) {
      in.output.row(v)[i] = -static_cast<float>(v + 1) * in.hidden.row(0)[i];
    }
  }
  in.check(0, 2, double(in.exact(cpu, 1, 2)[0]), twin::unit_roundoff<float>);
  if (bytes_are_multiplied())
    in.check(0, 2, double(in.screened(cpu, 1, 2)[0]), twin::unit_roundoff<double>);
}

TEST_CASE("a row of zeros is undecided") {
  Cpu cpu(1);
  Inputs<float> in(cpu, 1, 300);
  std::fill_n(in.hidden.data(), kHidden, 0.0F);
  CHECK(double(in.exact(cpu, 1, 20)[0]) == Approx(std::log(20)));
  if (bytes_are_multiplied()) CHECK(double(in.screened(cpu, 1, 20)[0]) == Approx(std::log(20)));
}

TEMPLATE_TEST_CASE("a logit that is not a number is passed over", "", test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  Inputs<float> in(cpu, 2, 300);
  in.hidden.row(0)[3] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> found = in.exact(on.device, 2, 20);
  CHECK(std::isnan(found[0]));  // it has no other
  in.check(1, 20, double(found[1]), twin::unit_roundoff<float>);

  Inputs<float> one(cpu, 1, 300), without(cpu, 1, 300);
  for (const std::size_t token : {2, 77, 299}) {
    one.output.row(token)[0] = std::numeric_limits<float>::quiet_NaN();
    for (std::size_t i = 0; i < kHidden; ++i) {
      without.output.row(token)[i] = -100 * without.hidden.row(0)[i];  // the least likely
    }
  }
  CHECK(one.exact(on.device, 1, 20) == without.exact(on.device, 1, 20));
}

TEST_CASE("screened, a row that is not a number has an entropy that is none") {
  if (!bytes_are_multiplied()) return;
  Cpu cpu(1);
  Inputs<float> in(cpu, 2, 300);
  in.hidden.row(0)[3] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(in.screened(cpu, 2, 20)[0]));
  in.check(1, 20, double(in.screened(cpu, 2, 20)[1]), twin::unit_roundoff<double>);
}

TEST_CASE("entropies of the k likeliest have one result for any threads and any other rows") {
  const auto run = [](Cpu& cpu, std::size_t rows) {
    const Inputs<float> in(cpu, 300, 5000);
    std::vector<float> both = in.exact(cpu, rows, 20);
    if (!bytes_are_multiplied()) return both;
    const std::vector<float> screened = in.screened(cpu, rows, 20);
    for (std::size_t r = 0; r < rows; ++r) both[r] += screened[r];
    return both;
  };
  CHECK(test::same_bits_for_any_threads([&](Cpu& cpu) { return run(cpu, 300); }));
  Cpu cpu(2);
  std::vector<float> among_others = run(cpu, 300);
  among_others.resize(100);
  CHECK(test::same_bits(run(cpu, 100), among_others));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("entropies_of_top_k refuses shapes and k that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const PackedWeights weights = test::zero_weights<float>(on.device, 7, 4);
  std::vector<float> entropies(129);
  CHECK(test::error_of([&] {
          entropies_of_top_k(on.device, test::shaped<const float>(128, 4), weights, 0, 1,
                             std::span(entropies));
        }) == "entropies_of_top_k: entropies.size() is 129, expected at most 128");
  CHECK(test::error_of([&] {
          entropies_of_top_k(on.device, test::shaped<const float>(256, 4), weights, 0, 8,
                             std::span(entropies));
        }) == "entropies_of_top_k: k is 8, expected at most 7");
  Cpu cpu(1);
  const Matrix<float> output(cpu.memory(), 7, 4);
  const ScreeningOutput screening(cpu, output.view());
  CHECK(test::error_of([&] {
          screened_entropies_of_top_k(cpu, test::shaped<const float>(256, 4),
                                      test::shaped<const float>(6, 4), screening, 0, 1,
                                      std::span(entropies));
        }) == "screened_entropies_of_top_k: output is [6, 4], expected [7, 4]");
}
#endif

}  // namespace
}  // namespace longshadow
