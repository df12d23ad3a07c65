#include "probes/compression/second_pass.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "engine/policies/policies.h"
#include "engine/policy/vectors.h"
#include "probes/compression/compressor.h"
#include "probes/experiments/retain.h"
#include "tests/support/devices.h"
#include "tests/support/error_of.h"
#include "tests/support/gated_model.h"
#include "tests/support/probe_case.h"
#include "tests/support/tiny_models.h"

namespace longshadow {
namespace {

using Catch::Matchers::Contains;

constexpr std::size_t kContext = 40, kText = 52, kSinks = 2;

/// Has the model read each part of the context again behind an instruction of three tokens, and
/// keeps what the queries of that look at.
class Rereader final : public Policy {
 public:
  Rereader(Replayed replayed, OutputGram gram, std::vector<Range> parts)
      : Policy(PolicyTraits{.n_sink = 1, .output_gram = gram, .replayed = replayed}),
        parts_(std::move(parts)) {}

  std::vector<Replay> second_pass(std::span<const std::int32_t> context) const override {
    ++times_asked_;
    std::vector<Replay> replays;
    for (const Range& part : parts_) {
      Replay& replay = replays.emplace_back(Replay{{7, 300, 12}, part, kSinks});
      const auto begin = context.begin() + static_cast<std::ptrdiff_t>(part.begin);
      replay.tokens.insert(replay.tokens.end(), begin,
                           begin + static_cast<std::ptrdiff_t>(part.size()));
    }
    return replays;
  }

  std::size_t times_asked() const { return times_asked_; }

  TokenScores scores(const LayerView& view) const override {
    const std::size_t d = view.values.head_dim, group = view.replayed.rows / view.keys.n_heads;
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < view.replayed.rows; ++head) {
      const std::span<double> of_head = scores.head(head / group);
      for (std::size_t j = 0; j < view.n; ++j) {
        double square = 1;
        if (traits().output_gram == OutputGram::of_query_heads) {
          const float* v = view.values.head(head / group).row(j);
          square = 0;
          for (std::size_t a = 0; a < d; ++a) {
            const float* row = view.output_gram.head(head).row(a);
            for (std::size_t b = 0; b < d; ++b) square += static_cast<double>(v[a]) * row[b] * v[b];
          }
        }
        of_head[j] = test::larger(of_head[j], view.replayed.row(head)[j] * std::sqrt(square));
      }
    }
    return scores;
  }

 private:
  std::vector<Range> parts_;
  mutable std::size_t times_asked_ = 0;
};

/// A score and how far it may be off.
struct Expected {
  double score = 0, bound = 0;
};

/// The scores once more, [L][K][kContext], as their formula reads and in double: of a text that is
/// the context and one replay.
void raise_expected(const test::GatedModel& model, const ModelConfig& config, const Replay& replay,
                    const PolicyTraits& traits, double unit_roundoff,
                    std::vector<std::vector<std::vector<Expected>>>& expected) {
  const std::vector<test::LayerHeads> layers = model.heads();
  const std::size_t d = config.head_dim;
  const auto head_of = [&](const twin::Row& heads, std::size_t head) {
    return twin::row(heads.data() + head * d, d);
  };
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    const test::LayerHeads& heads = layers[layer];
    for (std::size_t head = 0; head < config.n_heads; ++head) {
      const std::size_t kv = head / config.group_size();
      const twin::Rows output = model.output_weights(layer, head);
      for (std::size_t r = kContext; r < heads.inputs.size(); ++r) {
        std::vector<std::size_t> seen;
        for (std::size_t j = 0; j <= r; ++j) {
          const bool in_part = j >= replay.slots.begin && j < replay.slots.end;
          if (j < replay.n_sink || in_part || j >= kContext) seen.push_back(j);
        }
        twin::Rows keys;
        for (const std::size_t j : seen) keys.push_back(head_of(heads.keys[j], kv));
        const auto row = twin::attend(head_of(heads.queries[r], head), keys, keys);
        // Errors of a score are errors of its exponential relative to itself, once for the entry
        // and once for the normaliser; the input's norm is off by as much at most.
        const double of_score = test::f32_logit_tolerance(config, heads.inputs.size(),
                                                          std::max(1.0, row.score_magnitude)) *
                                unit_roundoff / 0x1p-24;
        for (std::size_t i = 0; i < seen.size(); ++i) {
          const std::size_t j = seen[i];
          if (j < replay.slots.begin || j >= replay.slots.end) continue;
          double factor = 1, relative = 3 * of_score;
          if (traits.replayed == Replayed::attention_over_norm) {
            factor /= std::sqrt(twin::dot(heads.inputs[r], heads.inputs[r]));
          }
          if (traits.output_gram == OutputGram::of_query_heads) {
            const twin::Row value = head_of(heads.values[j], kv);
            double square = 0, magnitude = 0;
            for (const twin::Row& weights : output) {
              square += std::pow(twin::dot(weights, value), 2);
              magnitude += std::pow(twin::magnitude(weights, value), 2);
            }
            factor *= std::sqrt(square);
            // The gram is a sum of D products in f32, the value rounded to it on either side, and
            // the root halves the error.
            relative += (static_cast<double>(config.hidden_size) + 2) / 2 *
                        twin::unit_roundoff<float> * magnitude / square;
          }
          Expected& one = expected[layer][kv][j];
          one.score = test::larger(one.score, row.weights[i] * factor);
          one.bound = test::larger(one.bound, row.weights[i] * factor * relative);
        }
      }
    }
  }
}

struct Case {
  const char* model;
  Replayed replayed;
  OutputGram gram;
  std::vector<Range> parts;
};

template <class Device, class T>
void check_scores(Device& device, const Case& with) {
  const auto checkpoint = open_checkpoint(test::kTinyModels / with.model);
  const ModelConfig& config = checkpoint->config();
  const Weights weights = load_weights(device, *checkpoint, element_of<T>());
  std::vector<TokenId> text;
  for (std::size_t i = 0; i < kText; ++i) text.push_back(static_cast<TokenId>((i * 37 + 11) % 320));
  const std::span<const TokenId> context = std::span(text).first(kContext);

  const Rereader policy(with.replayed, with.gram, with.parts);
  Compressor compressor(device, weights, {&policy}, {kContext, kText});
  const FullPass full = compressor.prefill(text, kText);
  const std::array<std::size_t, 1> only{0};
  const auto found = compressor.scores(full, only, {}).front();
  compressor.scores(full, only, {});
  CHECK(policy.times_asked() == 1);  // the second pass is not run again

  std::vector<std::vector<std::vector<Expected>>> expected(
      config.n_layers, std::vector(config.n_kv_heads, std::vector<Expected>(kContext)));
  for (const Replay& replay : policy.second_pass(context)) {
    std::vector<TokenId> tokens(context.begin(), context.end());
    tokens.insert(tokens.end(), replay.tokens.begin(), replay.tokens.end());
    const test::GatedModel model(*checkpoint, tokens, tokens.size());
    raise_expected(model, config, replay, policy.traits(), twin::unit_roundoff<T>, expected);
  }
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    for (std::size_t head = 0; head < config.n_kv_heads; ++head) {
      for (std::size_t j = 1; j < kContext; ++j) {  // the first is protected
        const Expected& one = expected[layer][head][j];
        CAPTURE(with.model, layer, head, j, one.score);
        CHECK(one.score > 0);
        CHECK(std::abs(found[layer].head(head)[j] - one.score) <= one.bound);
      }
    }
  }
}

const std::vector<Range> kWhole{{0, kContext}}, kParts{{0, 24}, {24, kContext}};

TEMPLATE_TEST_CASE("a second pass tells what its queries attend to", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  std::vector<Case> cases{{"llama_llama3", Replayed::attention, OutputGram::none, kParts},
                          {"llama_yarn", Replayed::attention, OutputGram::none, kWhole},
                          {"qwen2", Replayed::attention_over_norm, OutputGram::none, kParts}};
  if (sizeof(T) == 8) {  // in f32 a value's own error is another one than the gram's
    cases.push_back(
        {"llama_plain", Replayed::attention_over_norm, OutputGram::of_query_heads, kParts});
  }
  for (const Case& one : cases) check_scores<typename TestType::Device, T>(on.device, one);
}

TEST_CASE("a wrapper has the second pass of what it wraps, and one budget over all layers") {
  Cpu cpu(2);
  const auto checkpoint = open_checkpoint(test::kTinyModels / "llama_plain");
  const ModelConfig& config = checkpoint->config();
  const Weights weights = load_weights(cpu, *checkpoint, element_of<float>());
  const PolicyModel model = policy_model(*checkpoint);
  PolicyOptions options("adakv", "over=model,alpha=0", model);
  const auto policy = make_adakv(
      options, std::make_unique<Rereader>(Replayed::attention, OutputGram::none, kWhole));
  std::vector<TokenId> text;
  for (std::size_t i = 0; i < kContext; ++i) text.push_back(static_cast<TokenId>(i * 7 % 320));
  Compressor compressor(cpu, weights, {policy.get()}, {kContext, kContext});
  const FullPass full = compressor.prefill(text, kContext);
  const PolicyAtShare half{0, 0.5};
  const Compression compression = compressor.compress(full, std::span(&half, 1), {}).front();
  std::size_t kept = 0;
  bool differ = false;
  for (const KeptSlots& layer : compression.layers) {
    kept += layer.total();
    differ |= layer.total() != config.n_kv_heads * kContext / 2;
  }
  CHECK(kept == config.n_layers * config.n_kv_heads * kContext / 2);
  CHECK(differ);
}

TEST_CASE("a policy's text is read by the model's tokenizer") {
  const auto checkpoint = open_checkpoint(test::kTinyModels / "llama_plain");
  const std::string text = "Repeat the previous context exactly.";
  const PolicyModel model = policy_model(*checkpoint), none;
  const std::vector<std::int32_t> tokens = PolicyOptions("kvzip", "", model).tokens(text);
  CHECK(checkpoint->tokenizer().decode(tokens) == text);
  CHECK_THAT(test::error_of([&] { PolicyOptions("kvzip", "", none).tokens(text); }),
             Contains("policy kvzip") && Contains("no model is given"));
}

TEST_CASE("a second pass that no model can run is refused") {
  Cpu cpu(1);
  const auto checkpoint = open_checkpoint(test::kTinyModels / "llama_plain");
  const Weights weights = load_weights(cpu, *checkpoint, element_of<float>());
  const std::vector<TokenId> text(kContext, 3);
  const FullPass full = prefill(cpu, weights, text, kContext, kContext, nullptr);
  const auto refusal = [&](const Replay& replay) {
    return test::error_of([&] {
      run_second_pass(cpu, weights, full, kContext, std::span(&replay, 1), Replayed::attention);
    });
  };
  CHECK_THAT(refusal({{}, {0, 5}}), Contains("found 0 tokens and the slots from 0 up to 5"));
  CHECK_THAT(refusal({{1}, {5, 5}}), Contains("slots from 5 up to 5"));
  CHECK_THAT(refusal({{1}, {0, kContext + 1}}), Contains("the context's 40"));
  CHECK_THAT(refusal({{1, 320}, {0, 5}}), Contains("the model's 320, found 320"));
  CHECK_THAT(refusal({{-1}, {0, 5}}), Contains("found -1"));
  CHECK_THAT(refusal({std::vector<std::int32_t>(217, 1), {0, 5}}),
             Contains("reads 217 tokens behind the context's 40") && Contains("256"));

  RetainOptions options;
  options.context = 130;  // and 133 in the second pass
  options.horizon = 8;
  options.budgets = parse_budgets("0.5");
  options.policies = {"rereader"};
  auto made = std::make_shared<Policies>();
  made->push_back(std::make_unique<Rereader>(Replayed::attention, OutputGram::none,
                                             std::vector<Range>{{0, options.context}}));
  options.made = made;
  const Document document = test::document_of(std::vector<TokenId>(138, 3));
  CHECK_THAT(
      test::error_of([&] { check_retention(document, checkpoint->config(), options, nullptr); }),
      Contains("`policies` rereader") && Contains("reads 133 tokens"));
}

}  // namespace
}  // namespace longshadow
