#include "engine/policies/learned/head_features.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "engine/ops/attention_statistics/window_statistics.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

constexpr std::size_t kHeads = 4, kKvHeads = 2, kDim = 16, kTokens = 700, kWindow = 64;

struct Layer {
  Matrix<float> queries, keys, values, gram;
  Matrix<double> attention;

  explicit Layer(Cpu& cpu)
      : queries(test::random_matrix<float>(cpu, kHeads * kWindow, kDim, 1)),
        keys(test::random_matrix<float>(cpu, kKvHeads * kTokens, kDim, 2)),
        values(test::random_matrix<float>(cpu, kKvHeads * kTokens, kDim, 3)),
        gram(cpu.memory(), kKvHeads * kDim, kDim),
        attention(test::random_matrix<double>(cpu, kKvHeads, kTokens, 4)) {
    for (std::size_t i = 0; i < kKvHeads * kTokens; ++i) {
      attention.data()[i] = std::abs(attention.data()[i]);
      keys.data()[i * kDim] += 2;  // so that the mean key is of some length
    }
    // A' A is what a Gram matrix is: positive, and of no direction's own.
    const Matrix<float> a = test::random_matrix<float>(cpu, kKvHeads * kDim, kDim, 5);
    for (std::size_t head = 0; head < kKvHeads; ++head) {
      for (std::size_t i = 0; i < kDim; ++i) {
        for (std::size_t j = 0; j < kDim; ++j) {
          for (std::size_t k = 0; k < kDim; ++k) {
            gram.row(head * kDim + i)[j] += a.row(head * kDim + k)[i] * a.row(head * kDim + k)[j];
          }
        }
      }
    }
  }

  LayerView view() const {
    LayerView view;
    view.place = {0, 1};
    view.n = kTokens;
    view.keys = as_heads(keys.view(), kKvHeads);
    view.values = as_heads(values.view(), kKvHeads);
    view.window_queries = as_heads(queries.view(), kHeads);
    view.output_gram = as_heads(gram.view(), kKvHeads);
    view.attention = attention.view();
    return view;
  }
};

std::vector<HeadFeature> all_features() {
  std::vector<HeadFeature> all;
  for (std::size_t f = 0; f < kHeadFeatures; ++f) all.push_back(static_cast<HeadFeature>(f));
  return all;
}

TEST_CASE("features of a head's tokens are what their formulas say") {
  Cpu cpu(2);
  const Layer layer(cpu);
  const LayerView view = layer.view();
  const auto found = head_features(view, all_features());
  const auto windows =
      window_statistics(view.score, view.window_queries, view.keys, view.values, kTokens, 16);
  REQUIRE(found.size() == kKvHeads);
  for (std::size_t head = 0; head < kKvHeads; ++head) {
    const twin::Rows keys = twin::rows(view.keys.head(head));
    const twin::Rows values = twin::rows(view.values.head(head));
    const twin::Rows gram = twin::rows(view.output_gram.head(head));
    twin::Row mean(kDim);
    for (const twin::Row& key : keys) {
      for (std::size_t i = 0; i < kDim; ++i) mean[i] += key[i] / kTokens;
    }
    const auto at = [&](HeadFeature feature, std::size_t j) {
      return found[head].row(static_cast<std::size_t>(feature))[j];
    };
    for (std::size_t j = 0; j < kTokens; ++j) {
      CAPTURE(head, j);
      // In f64 throughout but for the products with the Gram matrix: some ulps.
      const auto is = [](double expected) { return Approx(expected).epsilon(1e-12).margin(1e-12); };
      const WindowStatistics& window = windows[head];
      CHECK(at(HeadFeature::window_mean, j) == is(std::log(window.mean[j] + 1e-8)));
      CHECK(at(HeadFeature::window_largest, j) == is(std::log(window.largest[j] + 1e-8)));
      CHECK(at(HeadFeature::window_latest, j) == is(std::log(window.latest[j] + 1e-8)));
      CHECK(at(HeadFeature::removal, j) == is(std::log(window.removal[j] + 1e-12)));
      const twin::Row &k = keys[j], &v = values[j];
      CHECK(at(HeadFeature::key_norm, j) == is(std::log(std::sqrt(twin::dot(k, k)) + 1e-6)));
      CHECK(at(HeadFeature::value_norm, j) == is(std::log(std::sqrt(twin::dot(v, v)) + 1e-6)));
      CHECK(at(HeadFeature::key_cosine, j) ==
            is(twin::dot(k, mean) / std::sqrt(twin::dot(k, k) * twin::dot(mean, mean))));
      const double distance = std::log(double(kTokens - j));
      CHECK(at(HeadFeature::distance, j) == is(distance));
      CHECK(at(HeadFeature::distance_square, j) == is(distance * distance));
      CHECK(at(HeadFeature::cumulative, j) ==
            is(std::log(layer.attention.row(head)[j] / double(kTokens - j) + 1e-8)));
      double square = 0, size = 0;
      for (std::size_t i = 0; i < kDim; ++i) {
        square += v[i] * twin::dot(gram[i], v);
        size += std::abs(v[i]) * twin::magnitude(gram[i], v);
      }
      // A product is a sum of kDim terms in f32; half of the square's relative error is the root's.
      const double error = kDim * twin::unit_roundoff<float> * size / square / 2;
      CHECK(std::abs(at(HeadFeature::output_norm, j) - std::log(std::sqrt(square) + 1e-6)) <=
            error + 1e-12);
    }
  }
}

TEST_CASE("a feature is known by its name, and asks for what it looks at") {
  for (const HeadFeature feature : all_features()) {
    CAPTURE(name_of(feature));
    CHECK(head_feature(name_of(feature)) == feature);
  }
  CHECK(!head_feature("window"));
  const auto traits = [](HeadFeature feature) { return traits_for(std::span(&feature, 1)); };
  CHECK(traits(HeadFeature::removal).window_queries == kWindow);
  CHECK(traits(HeadFeature::key_norm).window_queries == 0);
  CHECK(traits(HeadFeature::output_norm).output_gram == OutputGram::of_kv_heads);
  CHECK(traits(HeadFeature::cumulative).attention_queries == kAllQueries);
  CHECK(traits(HeadFeature::distance).attention_queries == 0);
}

TEST_CASE("a feature by itself has the values that it has among all, for any number of threads") {
  // No Cpu is left from here on: the one of fewest threads limits all.
  const Layer layer = [] {
    Cpu cpu(1);
    return Layer(cpu);
  }();
  const auto all = head_features(layer.view(), all_features());
  for (const HeadFeature feature : all_features()) {
    CHECK(test::same_bits_for_any_threads([&](Cpu& threads) {
      std::vector<Matrix<double>> one;
      threads.parallel_for(
          1, [&](std::size_t) { one = head_features(layer.view(), std::span(&feature, 1)); });
      REQUIRE(test::same_bits(test::elements(one[1]),
                              test::elements(all[1], static_cast<std::size_t>(feature), 1)));
      return test::elements(one[0]);
    }));
  }
}

}  // namespace
}  // namespace longshadow
