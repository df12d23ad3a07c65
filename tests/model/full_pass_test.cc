#include "engine/model/full_pass.h"

#include <catch2/catch.hpp>
#include <string>

#include "engine/checkpoint/checkpoint.h"
#include "tests/support/random_matrix.h"
#include "tests/support/tiny_models.h"

namespace longshadow {
namespace {

using test::TinyModel;

std::vector<std::int32_t> made_up_tokens(std::size_t count) {
  std::vector<std::int32_t> tokens;
  for (std::size_t i = 0; i < count; ++i) tokens.push_back(static_cast<std::int32_t>(i * 37 % 320));
  return tokens;
}

FullPass read(Cpu& cpu, const Weights& weights, const std::vector<std::int32_t>& tokens,
              LayerObserver* observer = nullptr, const FullPassOptions& options = {}) {
  return run_full_pass(cpu, weights, std::span<const std::int32_t>(tokens),
                       std::span<LayerObserver* const>(&observer, observer == nullptr ? 0 : 1),
                       options);
}

template <class T>
Weights load(Cpu& cpu, const std::string& name) {
  return load_weights(cpu, *open_checkpoint(test::kTinyModels / name), element_of<T>());
}

// Each position predicts the token after it: prediction i's surprisal is the expected one of i + 1.
TEST_CASE("the full pass predicts what float64 predicts") {
  for (const TinyModel& model : test::tiny_models()) {
    DYNAMIC_SECTION(model.path.filename().string()) {
      Cpu cpu(2);
      const auto checkpoint = open_checkpoint(model.path);
      const Weights weights = load_weights(cpu, *checkpoint, element_of<double>());
      const auto tokens = model.expected["token_ids"].get<std::vector<std::int32_t>>();
      const FullPass full = read(cpu, weights, tokens);
      REQUIRE(full.predictions.size() == tokens.size());
      CHECK(full.tokens == tokens);
      // Logits that are off by e move an entropy by at most e times the mean of |log p + entropy|,
      // which is below twice the largest surprisal here, 40 nats.
      const double tolerance = 40 * model.f64_tolerance;
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        const Prediction& found = full.predictions[i];
        CHECK(std::abs(found.entropy - model.expected["entropy"][i].get<double>()) <= tolerance);
        CHECK(std::abs(found.entropy_top_k - model.expected["entropy_top20"][i].get<double>()) <=
              tolerance);
        CHECK(found.log_normaliser == full.log_normalisers[i]);
        if (i == 0) continue;
        const double surprisal = model.expected["surprisal"][i].get<double>();
        CHECK(std::abs(full.predictions[i - 1].target_surprisal - surprisal) <=
              2 * model.f64_tolerance);
      }
    }
  }
}

TEMPLATE_TEST_CASE("the full pass has the same bits for any threads", "", float, double) {
  const std::vector<std::int32_t> tokens = made_up_tokens(600);
  CHECK(test::same_bits_for_any_threads([&](Cpu& cpu) {
    return test::elements(read(cpu, load<TestType>(cpu, "llama_llama3"), tokens).hidden);
  }));
}

// What comes later in the text changes nothing, though it comes in the same tiles.
TEST_CASE("no position sees a later one") {
  Cpu cpu(2);
  const Weights weights = load<double>(cpu, "llama_plain");
  std::vector<std::int32_t> tokens = made_up_tokens(600);
  const FullPass one = read(cpu, weights, tokens);
  tokens[530] = 7;
  const FullPass other = read(cpu, weights, tokens);
  CHECK(test::same_bits(test::elements(one.hidden, 0, 530), test::elements(other.hidden, 0, 530)));
  CHECK_FALSE(
      test::same_bits(test::elements(one.hidden, 530, 1), test::elements(other.hidden, 530, 1)));
}

/// Writes down what it is shown.
class Diary final : public LayerObserver {
 public:
  std::vector<std::string> entries;

  void before_layer(const Chunk& chunk, std::size_t layer, ConstTensorView x) override {
    note("before", chunk, layer, x.rows);
  }
  void after_attention(const Chunk& chunk, std::size_t layer, const LayerActivations&,
                       ConstHeadsView, ConstTensorView x) override {
    note("attention", chunk, layer, x.rows);
  }
  void after_feed_forward(const Chunk& chunk, std::size_t layer, const LayerActivations&) override {
    note("feed-forward", chunk, layer, 0);
  }
  void after_layers(const Chunk& chunk, ConstTensorView x) override {
    note("end", chunk, 9, x.rows);
  }

 private:
  void note(const std::string& what, const Chunk& chunk, std::size_t layer, std::size_t rows) {
    entries.push_back(what + " " + std::to_string(layer) + " [" +
                      std::to_string(chunk.first_position) + " + " +
                      std::to_string(chunk.used_rows) + "] " + std::to_string(rows));
  }
};

TEST_CASE("observers see every layer of every chunk in order") {
  Cpu cpu(2);
  Diary diary;
  std::vector<std::size_t> progress;
  FullPassOptions options;
  options.progress = [&](std::size_t done) { progress.push_back(done); };
  read(cpu, load<float>(cpu, "llama_plain"), made_up_tokens(600), &diary, options);
  CHECK(diary.entries ==
        std::vector<std::string>{
            "before 0 [0 + 512] 512", "attention 0 [0 + 512] 512", "feed-forward 0 [0 + 512] 0",
            "before 1 [0 + 512] 512", "attention 1 [0 + 512] 512", "feed-forward 1 [0 + 512] 0",
            "end 9 [0 + 512] 512", "before 0 [512 + 88] 128", "attention 0 [512 + 88] 128",
            "feed-forward 0 [512 + 88] 0", "before 1 [512 + 88] 128", "attention 1 [512 + 88] 128",
            "feed-forward 1 [512 + 88] 0", "end 9 [512 + 88] 128"});
  CHECK(progress == std::vector<std::size_t>{512, 600});
}

// Chunks that end before it, and row tiles of the chunk that holds it, have none.
TEST_CASE("predictions from a position on are those of all") {
  Cpu cpu(2);
  const Weights weights = load<double>(cpu, "llama_plain");
  const std::vector<std::int32_t> tokens = made_up_tokens(1200);
  const FullPass all = read(cpu, weights, tokens);
  const std::size_t from = GENERATE(as<std::size_t>(), 0, 511, 512, 900, 1199);
  CAPTURE(from);
  FullPassOptions options;
  options.predict_from = from;
  const FullPass some = read(cpu, weights, tokens, nullptr, options);
  for (std::size_t i = from; i < tokens.size(); ++i) {
    CHECK(some.predictions[i].entropy == all.predictions[i].entropy);
  }
  for (std::size_t i = 0; i + kRowTile <= from; ++i) CHECK(some.predictions[i].entropy == 0);
  CHECK(test::same_bits(test::elements(some.hidden), test::elements(all.hidden)));
}

TEST_CASE("a document of one token") {
  Cpu cpu(1);
  const FullPass full = read(cpu, load<double>(cpu, "llama_plain"), {5});
  REQUIRE(full.predictions.size() == 1);
  CHECK(full.predictions[0].entropy > 0);
}

}  // namespace
}  // namespace longshadow
