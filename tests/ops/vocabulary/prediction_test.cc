#include "engine/ops/vocabulary/prediction.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "engine/core/range.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/logit_cap.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/larger.h"
#include "tests/support/precision.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;

constexpr std::size_t kHidden = 24;

/// Random hidden states, padded as predict() asks for, and output rows.
template <class T>
struct Inputs {
  std::size_t rows, vocab_size;
  Matrix<T> hidden, output;
  std::vector<std::int32_t> targets;

  Inputs(Cpu& cpu, std::size_t n_rows, std::size_t vocabulary, double scale = 0.5)
      : rows(n_rows),
        vocab_size(vocabulary),
        hidden(random_matrix<T>(cpu, round_up(n_rows, kRowTile), kHidden, 1)),
        output(random_matrix<T>(cpu, vocabulary, kHidden, 2, scale)) {
    for (std::size_t r = 0; r < rows; ++r) {
      targets.push_back(static_cast<std::int32_t>(r * 31 % vocabulary));
    }
  }

  template <class Device>
  std::vector<Prediction> predict_all(Device& device, std::size_t k, double cap = 0) const {
    Cpu cpu(1);
    std::vector<Prediction> predictions(rows);
    const PackedWeights packed = test::packed(device, test::rounded_copy<T>(cpu, output));
    test::run_on(device, [&](auto& at) {
      predict(device, at.in(hidden), at.in(output), packed, cap,
              std::span<const std::int32_t>(targets), k, std::span(predictions));
    });
    return predictions;
  }
};

// Whichever tile, segment or lane it is in, alone or with everything before it. Beside it a row
// whose same logits are -infinity, which are no tokens at all.
TEMPLATE_TEST_CASE("a logit that is not a number leaves no prediction", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const std::size_t vocab_size = GENERATE(as<std::size_t>(), 5, 320, 5000);
  const std::size_t token = GENERATE_COPY(values({std::size_t{0}, vocab_size / 2, vocab_size - 1}));
  const bool all_before = GENERATE(false, true);
  CAPTURE(vocab_size, token, all_before);
  Inputs<T> in(cpu, 2, vocab_size);
  for (std::size_t v = all_before ? 0 : token; v <= token; ++v) {
    in.output.row(v)[3] = std::numeric_limits<T>::infinity();
  }
  in.hidden.row(0)[3] = 0;  // 0 times infinity
  in.hidden.row(1)[3] = -1;
  const std::vector<Prediction> found = in.predict_all(on.device, 3);
  CHECK(std::isnan(found[0].log_normaliser));
  CHECK(std::isnan(found[0].entropy));
  CHECK(std::isnan(found[0].target_surprisal));
  if (all_before && token + 1 == vocab_size) {
    CHECK(std::isnan(found[0].entropy_top_k));
    return;
  }
  CHECK(std::isfinite(found[0].entropy_top_k));  // of those that are numbers
  CHECK(std::isfinite(found[1].log_normaliser));
  CHECK(std::isfinite(found[1].entropy));
}

TEMPLATE_TEST_CASE("predictions of vocabularies of any size", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  // 5000 entries are more tiles than predict() has segments, 256 exactly one, 257 one and a row.
  const std::size_t vocab_size = GENERATE(as<std::size_t>(), 1, 5, 256, 257, 5000);
  const std::size_t rows = GENERATE(as<std::size_t>(), 1, 130);
  const std::size_t k =
      GENERATE_COPY(values({std::size_t{1}, std::min<std::size_t>(20, vocab_size), vocab_size}));
  const double cap = GENERATE(0.0, 3.0);
  CAPTURE(vocab_size, rows, k, cap);
  const Inputs<T> in(cpu, rows, vocab_size);
  const std::vector<Prediction> found = in.predict_all(on.device, k, cap);

  for (std::size_t r = 0; r < rows; r += 43) {
    CAPTURE(r);
    const twin::Row hidden = twin::row(in.hidden.row(r), kHidden);
    std::vector<long double> logits;
    double magnitude = 0;
    for (std::size_t v = 0; v < vocab_size; ++v) {
      const twin::Row direction = twin::row(in.output.row(v), kHidden);
      logits.push_back(capped_logit(twin::dot(hidden, direction), cap));
      magnitude = test::larger(magnitude, twin::magnitude(hidden, direction));
    }
    const auto likeliest = std::max_element(logits.begin(), logits.end()) - logits.begin();
    const auto lowest = *std::min_element(logits.begin(), logits.end());
    const double range = static_cast<double>(logits[likeliest] - lowest);
    // A logit is off by kHidden roundings of its magnitude, its distance from the maximum by one
    // more; exp by 4 u. A cap, no steeper than 1, moves that no further and adds the 8 ulp of a
    // tanh and three roundings of its own. Moving every logit by e moves log_normaliser by at most
    // e, and the entropy by e times the mean of |log p + entropy|, at most 2 range, on either side
    // of a p log p.
    const double u = twin::unit_roundoff<T>;
    const double logit_error = (kHidden + 2) * u * magnitude + 4 * u + 19 * u * cap;
    // Each lane sums its share of a tile in T; everything else is f64.
    const double sum_error = static_cast<double>(kMaxTileOutputs / kLanes<T>) * u;
    const double entropy_error = (logit_error + sum_error) * (2 + 2 * range);

    const long double largest = logits[likeliest];
    long double sum = 0;
    for (const long double logit : logits) sum += std::exp(logit - largest);
    const double log_normaliser = static_cast<double>(largest + std::log(sum));
    const double surprisal = log_normaliser - static_cast<double>(logits[in.targets[r]]);

    CHECK(std::abs(found[r].log_normaliser - log_normaliser) <= logit_error + sum_error);
    CHECK(std::abs(found[r].target_surprisal - surprisal) <= 2 * logit_error + sum_error);
    CHECK(std::abs(found[r].entropy - twin::entropy(logits, vocab_size)) <= entropy_error);
    CHECK(std::abs(found[r].entropy_top_k - twin::entropy(logits, k)) <= entropy_error);
    CHECK(found[r].likeliest == likeliest);
  }
}

TEMPLATE_TEST_CASE("among equal logits the lowest token is the likeliest", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  Inputs<T> in(cpu, 1, 5000);
  // Equal within a tile, in another tile, and in another segment.
  const std::size_t first = GENERATE(as<std::size_t>(), 0, 300, 4990);
  for (const std::size_t token : {first, first + 3, std::size_t{4998}, std::size_t{4999}}) {
    for (std::size_t i = 0; i < kHidden; ++i) {
      in.output.row(token)[i] = 8 * in.hidden.row(0)[i];
    }
  }
  CHECK(in.predict_all(on.device, 2)[0].likeliest == static_cast<std::int32_t>(first));
  CHECK(in.predict_all(on.device, 2)[0].entropy_top_k == Approx(std::log(2)));
  CHECK(in.predict_all(on.device, 1)[0].entropy_top_k == 0);
}

// The rows of zeros behind the vocabulary would be tokens of logit 0, likelier than all of these.
TEMPLATE_TEST_CASE("padding is no part of the distribution", "", float, double) {
  using T = TestType;
  Cpu cpu(1);
  Inputs<T> in(cpu, 1, 3);
  for (std::size_t v = 0; v < 3; ++v) {
    for (std::size_t i = 0; i < kHidden; ++i) in.output.row(v)[i] = -in.hidden.row(0)[i];
  }
  const Prediction found = in.predict_all(cpu, 3)[0];
  CHECK(found.entropy == Approx(std::log(3)));
  CHECK(found.entropy_top_k == Approx(std::log(3)));
  CHECK(found.target_surprisal == Approx(std::log(3)));
  CHECK(found.likeliest == 0);
}

TEMPLATE_TEST_CASE("predictions have one result for any threads and any other rows", "", float,
                   double) {
  using T = TestType;
  const auto summary = [](Cpu& cpu, std::size_t rows) {
    Inputs<T> in(cpu, 300, 5000);
    in.rows = rows;
    in.targets.resize(rows);
    std::vector<double> values;
    for (const Prediction& one : in.predict_all(cpu, 20)) {
      values.insert(values.end(),
                    {one.log_normaliser, one.entropy, one.entropy_top_k, one.target_surprisal});
    }
    return values;
  };
  CHECK(test::same_bits_for_any_threads([&](Cpu& cpu) { return summary(cpu, 300); }));
  Cpu cpu(2);
  std::vector<double> among_others = summary(cpu, 300);
  among_others.resize(4 * 100);
  CHECK(test::same_bits(summary(cpu, 100), among_others));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("predict refuses shapes, targets and k that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const PackedWeights weights = test::zero_weights<float>(on.device, 7, 4);
  std::vector<Prediction> predictions(2);
  const auto call = [&](std::size_t rows, std::int32_t target, std::size_t k) {
    const std::vector<std::int32_t> targets{0, target};
    predict(on.device, test::shaped<const float>(rows, 4), test::shaped<const float>(7, 4), weights,
            0, std::span(targets), k, std::span(predictions));
  };
  CHECK(test::error_of([&] { call(100, 0, 1); }) ==
        "predict: hidden.rows is 100, expected a multiple of 128");
  CHECK(test::error_of([&] { call(kRowTile, 7, 1); }) ==
        "predict: targets[1] is 7, expected at least 0 and below 7");
  CHECK(test::error_of([&] { call(kRowTile, 0, 8); }) == "predict: k is 8, expected at most 7");
  CHECK(test::error_of([&] { entropy_of_top_k(std::span<const float>(), 0); }) ==
        "entropy_of_top_k: k is 0, expected at least 1");
}
#endif

}  // namespace
}  // namespace longshadow
