#include "engine/ops/fisher_probes.h"

#include <catch2/catch.hpp>

#include "engine/core/range.h"
#include "tests/support/precision.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;

constexpr std::size_t kFullRow = 3;

/// A full pass of kFullRow + n_rows rows over a vocabulary.
template <class T>
struct Inputs {
  std::size_t vocab_size, n_rows;
  Matrix<T> output, hidden;
  std::vector<double> log_normalisers;
  std::vector<std::int32_t> likeliest;

  Inputs(Cpu& cpu, std::size_t vocabulary, std::size_t width, std::size_t rows)
      : vocab_size(vocabulary),
        n_rows(rows),
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
      for (std::size_t v = 0; v < vocab_size; ++v) sum += std::exp(logit(r, v));
      log_normalisers.push_back(std::log(sum));
    }
    likeliest.resize(log_normalisers.size());
  }

  double logit(std::size_t row, std::size_t token) const {
    return twin::dot(twin::row(hidden.row(row), hidden.cols()),
                     twin::row(output.row(token), hidden.cols()));
  }
  double p(std::size_t r, std::size_t token) const {
    return std::exp(logit(kFullRow + r, token) - log_normalisers[kFullRow + r]);
  }

  template <class P>
  Matrix<T> run(Cpu& cpu, ProbeKind kind, std::size_t draws, std::size_t first_draw = 0) const {
    const PackedWeights<T> packed(cpu, output.view());
    std::vector<PackedWeights<P>> transposed;
    for (std::size_t tile = 0; tile < packed.n_tiles(); ++tile) {
      Matrix<T> turned(cpu.memory(), output.cols(), packed.padded_width(tile));
      for (std::size_t c = 0; c < packed.tile_width(tile); ++c) {
        for (std::size_t i = 0; i < output.cols(); ++i) {
          turned.row(i)[c] = output.row(packed.tile_begin(tile) + c)[i];
        }
      }
      transposed.emplace_back(cpu, MatrixView<const P>(test::rounded_copy<P>(cpu, turned).view()));
    }
    std::vector<PairedRows> streams;
    for (std::size_t b = 0; b < draws; ++b) streams.push_back({b * n_rows, n_rows, kFullRow});
    Matrix<T> to(cpu.memory(), draws * n_rows, hidden.cols());
    const FullPredictions<T> full{hidden.view(), log_normalisers, likeliest};
    fisher_probes(cpu, ProbedOutput<T, P>{output.view(), packed, transposed}, full,
                  ProbeDraws{kind, 7, first_draw}, std::span<const PairedRows>(streams), to.view());
    return to;
  }
};

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

}  // namespace
}  // namespace longshadow
