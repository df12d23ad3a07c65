#include "engine/ops/divergence/fisher_probes.h"

#include <catch2/catch.hpp>
#include <optional>

#include "engine/core/range.h"
#include "engine/ops/common/logit_cap.h"
#include "engine/ops/divergence/random_bits.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/larger.h"
#include "tests/support/precision.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;

constexpr std::size_t kFullRow = 3;
constexpr std::uint64_t kSeed = 7;

/// A full pass of kFullRow + n_rows rows over a vocabulary.
template <class T>
struct Inputs {
  std::size_t vocab_size, n_rows;
  double cap;
  Matrix<T> output, hidden;
  std::vector<double> log_normalisers;
  std::vector<std::int32_t> likeliest;

  Inputs(Cpu& cpu, std::size_t vocabulary, std::size_t width, std::size_t rows,
         double logit_cap = 0)
      : vocab_size(vocabulary),
        n_rows(rows),
        cap(logit_cap),
        output(random_matrix<T>(cpu, vocabulary, width, 1, 0.5)),
        hidden(random_matrix<T>(cpu, kFullRow + rows + kRowTile, width, 2)) {
    normalise();
  }

  /// Output directions that are unit vectors: the gradient at the hidden state is v itself.
  void make_output_identity() {
    std::fill_n(output.data(), output.rows() * output.cols(), T{0});
    for (std::size_t v = 0; v < vocab_size; ++v) output.row(v)[v] = T{1};
    normalise();
  }

  void normalise() {
    log_normalisers.clear();
    for (std::size_t r = 0; r < kFullRow + n_rows; ++r) {
      double sum = 0;
      for (std::size_t v = 0; v < vocab_size; ++v) sum += std::exp(capped_logit(logit(r, v), cap));
      log_normalisers.push_back(std::log(sum));
    }
    likeliest.resize(log_normalisers.size());
  }

  /// Before it is capped.
  double logit(std::size_t row, std::size_t token) const {
    return twin::dot(twin::row(hidden.row(row), hidden.cols()),
                     twin::row(output.row(token), hidden.cols()));
  }
  double p(std::size_t r, std::size_t token) const {
    return std::exp(capped_logit(logit(kFullRow + r, token), cap) - log_normalisers[kFullRow + r]);
  }
  double slope(std::size_t r, std::size_t token) const {
    return capped_logit_slope(logit(kFullRow + r, token), cap);
  }

  template <class P, class Device>
  Matrix<T> run(Device& device, ProbeKind kind, std::size_t draws,
                std::size_t first_draw = 0) const {
    std::vector<PairedRows> streams;
    for (std::size_t b = 0; b < draws; ++b) streams.push_back({b * n_rows, n_rows, kFullRow});
    Matrix<T> to(host_memory(), draws * n_rows, hidden.cols());
    test::run_on(device, [&](auto& at) {
      const MatrixView<const T> rows = at.in(output);
      const PackedWeights packed = pack_view(device, rows);
      const Transposed<P> transposed_output = transposed<P>(device, packed);
      const FullPredictionsView full{at.in(hidden), log_normalisers, likeliest};
      fisher_probes(device, ProbedOutputView{rows, packed, transposed_output.tiles, cap}, full,
                    ProbeDraws{kind, kSeed, first_draw}, std::span<const PairedRows>(streams),
                    at.out(to));
    });
    return to;
  }

 private:
  template <class P>
  struct Transposed {
    std::vector<PackedWeights> tiles;
    std::optional<PackedWeights> memory{};  ///< of a CUDA device's
  };

  template <class P>
  Transposed<P> transposed(Cpu& cpu, const PackedWeights& packed) const {
    Transposed<P> output_tiles;
    for (std::size_t tile = 0; tile < packed.n_tiles(); ++tile) {
      Matrix<T> turned(cpu.memory(), output.cols(), packed.padded_width(tile));
      for (std::size_t c = 0; c < packed.tile_width(tile); ++c) {
        for (std::size_t i = 0; i < output.cols(); ++i) {
          turned.row(i)[c] = output.row(packed.tile_begin(tile) + c)[i];
        }
      }
      const Matrix<P> rounded = test::rounded_copy<P>(cpu, turned);
      output_tiles.tiles.emplace_back(cpu, rounded.view());
    }
    return output_tiles;
  }

  template <class P>
  Transposed<P> transposed(Cuda& device, const PackedWeights&) const {
    Cpu cpu(1);
    Transposed<P> whole{{}, pack(device, on_device(device, test::rounded_copy<P>(cpu, output)))};
    whole.tiles.push_back(whole.memory->transposed());
    return whole;
  }
};

/// A row's direction in double.
struct Direction {
  twin::Row gradient;   ///< outputᵀ v
  twin::Row magnitude;  ///< the sum of what that is a sum of
};

/// Row r of draw `draw` by the formula, its random numbers as ProbeDraws names them.
template <class T>
Direction by_formula(const Inputs<T>& in, ProbeKind kind, std::size_t draw, std::size_t r) {
  const RandomBits random(kSeed, draw, kFullRow + r);
  std::vector<double> p, drawn(in.vocab_size);
  for (std::size_t token = 0; token < in.vocab_size; ++token) p.push_back(in.p(r, token));
  double along = 0;  // how much of p the drawn part takes away
  if (kind == ProbeKind::signs) {
    for (std::size_t token = 0; token < in.vocab_size; ++token) {
      const bool negative = (random.word(token / 64) >> (token % 64) & 1) != 0;
      drawn[token] = std::sqrt(p[token]) * (negative ? -1 : 1);
      along += drawn[token];
    }
  } else {
    along = random.word(1) % 2 == 0 ? 1 : -1;
    double left = random.unit(0);
    std::size_t token = 0;
    while (token + 1 < in.vocab_size && left >= p[token]) left -= p[token++];
    drawn[token] = along;
  }
  double size_along = 0;
  for (const double part : drawn) size_along += std::abs(part);
  Direction direction{twin::Row(in.hidden.cols()), twin::Row(in.hidden.cols())};
  for (std::size_t token = 0; token < in.vocab_size; ++token) {
    for (std::size_t i = 0; i < in.hidden.cols(); ++i) {
      const double output = in.slope(r, token) * double(in.output.row(token)[i]);
      direction.gradient[i] += (drawn[token] - along * p[token]) * output;
      direction.magnitude[i] += (std::abs(drawn[token]) + size_along * p[token]) * std::abs(output);
    }
  }
  return direction;
}

TEMPLATE_TEST_CASE("fisher_probes is the formula", "", test::CpuF32, test::CpuF64,
                   test::CpuMixedBF16, test::CudaF32, test::CudaF64, test::CudaMixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  const ProbeKind kind = GENERATE(ProbeKind::sampled, ProbeKind::signs);
  // Tiles of the vocabulary that end within a word of signs; more than a CUDA tile of it.
  const std::size_t vocabulary = GENERATE(as<std::size_t>(), 20, 700, 4200);
  constexpr std::size_t kWidth = 6, kRows = 3, kDraws = 2, kFirst = 5;
  const double cap = GENERATE(0.0, 3.0);
  const Inputs<T> in(cpu, vocabulary, kWidth, kRows, cap);
  const Matrix<T> found = in.template run<P>(on.device, kind, kDraws, kFirst);
  double logit_size = 0, flattest = 1;  // the largest 1 / slope
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t token = 0; token < vocabulary; ++token) {
      logit_size =
          test::larger(logit_size, twin::magnitude(twin::row(in.hidden.row(kFullRow + r), kWidth),
                                                   twin::row(in.output.row(token), kWidth)));
      flattest = test::larger(flattest, 1 / in.slope(r, token));
    }
  }
  // A logit is off by D + 1 roundings of its size, less the normaliser by two more, and exp makes
  // that relative; sums over the vocabulary take as many roundings as it has tokens, and bf16
  // rounds both factors of their products. A cap, no steeper than 1, adds the 8 ulp of a tanh and
  // three roundings to a logit; its slope 1 - tanh² is off by 34 u, and by 2 slope / cap times what
  // the logit is.
  const double of_cap =
      cap == 0 ? 0 : 2 * 19 * cap + 36 * flattest + 2 * (kWidth + 3) * logit_size / cap;
  const double relative = (2 * (kWidth + 3) * logit_size + 2 * double(vocabulary) + 12 + of_cap) *
                              twin::unit_roundoff<T> +
                          2.1 * test::kFactorRoundoff<P>;
  for (std::size_t b = 0; b < kDraws; ++b) {
    for (std::size_t r = 0; r < kRows; ++r) {
      const Direction expected = by_formula(in, kind, kFirst + b, r);
      for (std::size_t i = 0; i < kWidth; ++i) {
        CAPTURE(vocabulary, int(kind), b, r, i);
        CHECK(std::abs(double(found.row(b * kRows + r)[i]) - expected.gradient[i]) <=
              relative * expected.magnitude[i]);
      }
    }
  }
}

TEMPLATE_TEST_CASE("a sampled direction is a token drawn from p, less p", "", float, double) {
  using T = TestType;
  Cpu cpu(2);
  const std::size_t vocabulary = 20, draws = 4000;
  Inputs<T> in(cpu, vocabulary, vocabulary, 2);
  in.make_output_identity();
  const Matrix<T> found = in.template run<T>(cpu, ProbeKind::sampled, draws);
  for (std::size_t r = 0; r < 2; ++r) {
    std::vector<double> counts(vocabulary);
    double positive = 0;
    for (std::size_t b = 0; b < draws; ++b) {
      const T* v = found.row(b * 2 + r);
      // The drawn token alone has a sign of its own.
      double sign = 0;
      for (std::size_t i = 0; i < vocabulary; ++i) sign += double(v[i]) > 0 ? 1 : -1;
      sign = sign < 0 ? 1 : -1;
      positive += sign > 0;
      for (std::size_t i = 0; i < vocabulary; ++i) {
        const bool drawn = sign * double(v[i]) > 0;
        counts[i] += drawn;
        const double expected = sign * (drawn - in.p(r, i));
        const bool within = std::abs(double(v[i]) - expected) <= 64 * twin::unit_roundoff<T>;
        if (!within) CHECK(double(v[i]) == expected);
      }
    }
    // Five standard deviations of a count.
    const auto check_share = [&](double count, double p) {
      CHECK(std::abs(count - p * draws) <= 5 * std::sqrt(p * (1 - p) * draws));
    };
    check_share(positive, 0.5);
    for (std::size_t i = 0; i < vocabulary; ++i) check_share(counts[i], in.p(r, i));
  }
}

TEMPLATE_TEST_CASE("directions have mean 0 and the Fisher covariance", "", float, double) {
  using T = TestType;
  Cpu cpu(2);
  const ProbeKind kind = GENERATE(ProbeKind::sampled, ProbeKind::signs);
  // More than one tile of the vocabulary; more rows than one; few hidden dimensions.
  const std::size_t vocabulary = 300, width = 4, rows = 2, draws = 6000;
  const Inputs<T> in(cpu, vocabulary, width, rows);
  const Matrix<T> found = in.template run<T>(cpu, kind, draws);
  for (std::size_t r = 0; r < rows; ++r) {
    twin::Row mean(width);
    twin::Rows covariance(width, twin::Row(width));
    for (std::size_t v = 0; v < vocabulary; ++v) {
      for (std::size_t i = 0; i < width; ++i) {
        mean[i] += in.p(r, v) * double(in.output.row(v)[i]);
      }
    }
    for (std::size_t v = 0; v < vocabulary; ++v) {
      for (std::size_t i = 0; i < width; ++i) {
        for (std::size_t k = 0; k < width; ++k) {
          covariance[i][k] += in.p(r, v) * (double(in.output.row(v)[i]) - mean[i]) *
                              (double(in.output.row(v)[k]) - mean[k]);
        }
      }
    }
    // A sample mean of `draws` values, within five of its own standard errors.
    const auto check_mean = [&](auto&& value, double expected) {
      double total = 0, squares = 0;
      for (std::size_t b = 0; b < draws; ++b) {
        const double x = value(found.row(b * rows + r)) - expected;
        total += x;
        squares += x * x;
      }
      CHECK(std::abs(total) <= 5 * std::sqrt(squares));
    };
    for (std::size_t i = 0; i < width; ++i) {
      check_mean([&](const T* g) { return double(g[i]); }, 0);
      for (std::size_t k = 0; k <= i; ++k) {
        check_mean([&](const T* g) { return double(g[i]) * double(g[k]); }, covariance[i][k]);
      }
    }
  }
  // Rows are drawn apart, and so are draws.
  const auto correlation = [&](std::size_t offset) {
    double both = 0, squares = 0;
    for (std::size_t i = 0; i + offset < draws * rows; i += rows) {
      both += double(found.row(i)[0]) * double(found.row(i + offset)[0]);
      squares += double(found.row(i)[0]) * double(found.row(i)[0]);
    }
    return both / squares;
  };
  CHECK(std::abs(correlation(1)) < 0.15);
  CHECK(std::abs(correlation(rows)) < 0.1);
}

TEST_CASE("bf16 products leave a direction what it is") {
  Cpu cpu(2);
  const ProbeKind kind = GENERATE(ProbeKind::sampled, ProbeKind::signs);
  const Inputs<float> in(cpu, 700, 24, 140);
  const Matrix<float> exact = in.run<float>(cpu, kind, 3);
  const Matrix<float> rounded = in.run<BF16>(cpu, kind, 3);
  double error = 0, size = 0;
  for (std::size_t i = 0; i < exact.rows() * exact.cols(); ++i) {
    error += std::pow(double(exact.data()[i]) - double(rounded.data()[i]), 2);
    size += std::pow(double(exact.data()[i]), 2);
  }
  CHECK(error > 0);
  // Both factors are off by at most 2^-8, and what they add up to by less.
  CHECK(std::sqrt(error / size) < 0x1p-7);
}

TEMPLATE_TEST_CASE("a draw has the same bits in any company, for any threads", "", float, double) {
  using T = TestType;
  for (const ProbeKind kind : {ProbeKind::sampled, ProbeKind::signs}) {
    const auto draws = [&](Cpu& cpu, std::size_t first, std::size_t count) {
      const Inputs<T> in(cpu, 700, 24, 140);
      return test::elements(in.template run<T>(cpu, kind, count, first));
    };
    CHECK(test::same_bits_for_any_threads([&](Cpu& cpu) { return draws(cpu, 0, 11); }));
    Cpu cpu(2);
    const std::vector<T> together = draws(cpu, 0, 11);
    const std::size_t size = 140 * 24;
    CHECK(test::same_bits(draws(cpu, 9, 2),
                          {together.begin() + 9 * size, together.begin() + 11 * size}));
  }
}

// So many draws that not all rows go at once.
TEST_CASE("a draw of a CUDA device has the same bits in any company", "[host_cuda]") {
  Cuda device;
  Cpu cpu(1);
  const ProbeKind kind = GENERATE(ProbeKind::sampled, ProbeKind::signs);
  constexpr std::size_t kRows = 7, kDraws = 2500;
  const Inputs<float> in(cpu, 5, 4, kRows);
  const Matrix<float> together = in.run<float>(device, kind, kDraws);
  CHECK(test::same_bits(test::elements(in.run<float>(device, kind, 2, kDraws - 2)),
                        test::elements(together, (kDraws - 2) * kRows, 2 * kRows)));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("fisher_probes refuses streams that do not fit", "[contract]", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const PackedWeights weights = test::zero_weights<float>(on.device, 7, 4);
  std::vector<PackedWeights> transposed;
  transposed.push_back(test::zero_weights<float>(on.device, 4, 16));
  const std::vector<double> log_normalisers(9);
  const auto call = [&](const std::vector<PairedRows>& streams) {
    const ProbedOutputView output{test::shaped<const float>(7, 4), weights, transposed};
    const FullPredictionsView full{test::shaped<const float>(9 + kRowTile, 4), log_normalisers, {}};
    fisher_probes(on.device, output, full, ProbeDraws{ProbeKind::signs, 1, 0}, std::span(streams),
                  test::shaped<float>(10, 4));
  };
  CHECK(test::error_of([&] { call({}); }) ==
        "fisher_probes: streams.size() is 0, expected at least 1");
  CHECK(test::error_of([&] {
          call({{0, 5, 0}, {5, 5, 1}});
        }) == "fisher_probes: a stream's full_row is 1, expected 0");
  CHECK(test::error_of([&] {
          call({{0, 5, 5}});
        }) == "fisher_probes: the end of a pair's full rows is 10, expected at most 9");
}
#endif

}  // namespace
}  // namespace longshadow
