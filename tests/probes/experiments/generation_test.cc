#include "probes/experiments/generation.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <vector>

#include "engine/checkpoint/checkpoint.h"
#include "tests/support/devices.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_models.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::error_of;
using Ids = std::vector<TokenId>;

nlohmann::json greedy_fixtures() {
  return nlohmann::json::parse(std::ifstream(LONGSHADOW_FIXTURES "/generation/greedy.json"));
}

/// The prompt of a fixture repeated to `n` tokens.
Ids long_prompt(std::size_t n) {
  const Ids part = greedy_fixtures().at("llama_plain").at("prompt").get<Ids>();
  Ids prompt;
  while (prompt.size() < n) prompt.push_back(part[prompt.size() * prompt.size() % part.size()]);
  return prompt;
}

template <class T>
Weights load(Device& device, const std::filesystem::path& model) {
  return load_weights(device, *open_checkpoint(test::kTinyModels / model), element_of<T>());
}

Generation write(Device& device, const Weights& weights, const Ids& prompt,
                 const GenerationOptions& options) {
  Ids seen;
  Generation result = generate(device, weights, EntropyHead(device, weights), std::span(prompt),
                               options, [&](TokenId id) { seen.push_back(id); });
  CHECK(seen == result.tokens);
  return result;
}

GenerationOptions plain(std::size_t max_tokens) {
  GenerationOptions options;
  options.max_tokens = max_tokens;
  return options;
}

TEMPLATE_TEST_CASE("greedy text is transformers'", "", float, double) {
  const nlohmann::json fixtures = greedy_fixtures();
  for (const auto& [name, fixture] : fixtures.items()) {
    for (const std::string& file : {name, name + ".gguf"}) {
      if (!std::filesystem::exists(test::kTinyModels / file)) continue;  // a folder alone
      INFO(file);
      Cpu cpu(2);
      const auto weights = load<TestType>(cpu, file);
      const Ids expected = fixture.at("tokens");
      CHECK(write(cpu, weights, fixture.at("prompt"), plain(expected.size())).tokens == expected);
    }
  }
}

TEMPLATE_TEST_CASE("greedy text under a repetition penalty is transformers'", "", float, double) {
  const nlohmann::json fixtures = greedy_fixtures();
  std::size_t n_changed = 0;
  for (const auto& [name, fixture] : fixtures.items()) {
    INFO(name);
    Cpu cpu(2);
    const auto weights = load<TestType>(cpu, name);
    const Ids expected = fixture.at("penalized");
    GenerationOptions options = plain(expected.size());
    options.repetition_penalty = fixture.at("penalty");
    CHECK(write(cpu, weights, fixture.at("prompt"), options).tokens == expected);
    const Ids plain_text = fixture.at("tokens");
    n_changed += expected != plain_text;
  }
  CHECK(n_changed >= 3);
}

TEST_CASE("a token that is never drawn leaves its place to the next likeliest") {
  const auto fixture = greedy_fixtures().at("llama_plain");
  Cpu cpu(2);
  const auto weights = load<float>(cpu, "llama_plain");
  const Ids greedy = fixture.at("tokens");
  GenerationOptions options = plain(greedy.size());
  options.never_drawn = {greedy[0], greedy[1]};
  for (const double temperature : {0.0, 5.0}) {
    options.sampling.temperature = temperature;
    const Ids written = write(cpu, weights, fixture.at("prompt"), options).tokens;
    CHECK(written.size() == greedy.size());
    for (const TokenId id : options.never_drawn) {
      CHECK(std::find(written.begin(), written.end(), id) == written.end());
    }
  }
}

TEST_CASE("an end token ends the text and is not part of it") {
  const auto fixture = greedy_fixtures().at("llama_plain");
  Cpu cpu(2);
  const auto weights = load<float>(cpu, "llama_plain");
  const Ids expected = fixture.at("tokens");
  GenerationOptions options = plain(expected.size());
  options.end_tokens = {-1, expected[5]};
  const auto first = std::find(expected.begin(), expected.end(), expected[5]);
  CHECK(write(cpu, weights, fixture.at("prompt"), options).tokens == Ids(expected.begin(), first));
}

TEST_CASE("keeping everything is no compression, whichever way it is said") {
  Cpu cpu(2);
  const auto weights = load<float>(cpu, "llama_llama3");
  const Ids prompt = long_prompt(100);
  const Generation whole = write(cpu, weights, prompt, plain(40));
  CHECK(whole.bytes_kept == whole.bytes_full);
  for (const std::string policy : {"full", "snapkv:window=8", "infokv:window=8", "knorm"}) {
    INFO(policy);
    GenerationOptions options = plain(40);
    options.policy = policy;
    options.interval = {16, 200};  // never more than the target
    const Generation same = write(cpu, weights, prompt, options);
    CHECK(same.tokens == whole.tokens);
    CHECK(same.bytes_end == whole.bytes_end);
  }
}

TEST_CASE("a budget keeps its share, and cuts hold the length between target and interval") {
  Cpu cpu(2);
  const auto weights = load<float>(cpu, "llama_llama3");
  const ModelConfig& config = weights.config;
  const std::size_t slot =
      2 * config.n_layers * config.n_kv_heads * config.head_dim * sizeof(float);
  const Ids prompt = long_prompt(100);
  for (const std::string policy :
       {"random", "streaming-llm", "snapkv:window=8", "dropkv:window=8", "tova", "knorm", "keydiff",
        "lagkv:lag=8", "infokv:window=8", "infokv:window=8,entropy=at", "adakv/snapkv:window=8",
        "key-rotation/snapkv:window=8", "chunkkv:length=4/knorm"}) {
    INFO(policy);
    GenerationOptions options = plain(50);  // 49 steps: cuts behind 16, 32 and 48
    options.policy = policy;
    options.budget = 0.5;
    options.interval = {16, 40};
    const Generation result = write(cpu, weights, prompt, options);
    CHECK(result.tokens.size() == 50);
    const bool in_chunks = policy.starts_with("chunkkv");
    CHECK(result.bytes_kept == (in_chunks ? 48 : 50) * slot);
    CHECK(result.bytes_end == 41 * slot);
    CHECK(write(cpu, weights, prompt, options).tokens == result.tokens);
  }
}

TEST_CASE("rpc keeps the prompt, its window and a quarter of what was written before") {
  Cpu cpu(2);
  const auto weights = load<float>(cpu, "llama_llama3");
  const ModelConfig& config = weights.config;
  const std::size_t slot =
      2 * config.n_layers * config.n_kv_heads * config.head_dim * sizeof(float);
  GenerationOptions options = plain(40);  // 39 steps: cuts behind 12, 20, 28 and 36
  options.interval = {8};
  options.policy = "rpc:window=4";
  const Generation result = write(cpu, weights, long_prompt(100), options);
  CHECK(result.cuts.count == 4);
  CHECK(result.cuts.tokens == 136);
  CHECK(result.cuts.slots_before == 100 + 4 + 3 * 2 + 8);
  CHECK(result.cuts.slots_after == 100 + 4 + 4 * 2);
  CHECK(result.bytes_kept == 100 * slot);
  CHECK(result.bytes_end == (100 + 4 + 4 * 2 + 3) * slot);
  options.interval = {.every = 8, .target_share = 0.95};  // of 136 tokens, behind which come 3
  CHECK(write(cpu, weights, long_prompt(100), options).bytes_end == (129 + 3) * slot);
}

TEST_CASE("sampling follows the seed, and a tiny nucleus is greedy") {
  Cpu cpu(2);
  const auto weights = load<float>(cpu, "llama_plain");
  const Ids prompt = long_prompt(30);
  GenerationOptions options = plain(30);
  const Ids greedy = write(cpu, weights, prompt, options).tokens;
  options.sampling = {1.0, 1e-6};
  CHECK(write(cpu, weights, prompt, options).tokens == greedy);
  options.sampling = {1.5, 1.0};
  const Ids drawn = write(cpu, weights, prompt, options).tokens;
  CHECK(write(cpu, weights, prompt, options).tokens == drawn);
  options.seed = 1;
  CHECK(write(cpu, weights, prompt, options).tokens != drawn);
}

TEST_CASE("a quantized cache takes a fraction of the bytes") {
  Cpu cpu(2);
  const auto weights = load<float>(cpu, "llama_llama3");
  GenerationOptions options = plain(20);
  options.quantization = Quantization{8, 32};
  const Generation in_8 = write(cpu, weights, long_prompt(160), options);
  options.quantization = Quantization{4, 32};
  const Generation in_4 = write(cpu, weights, long_prompt(160), options);
  // Of 32 bits: 8 or 4 for the element, and of 64 for a scale and a minimum each key's share, 1/32,
  // and each value's, 1/16, as this model's heads have 16 channels.
  const auto share = [](const Generation& of) {
    return static_cast<double>(of.bytes_kept) / static_cast<double>(of.bytes_full);
  };
  CHECK(share(in_8) == Approx((8 + (2 + 4) / 2.0) / 32));
  CHECK(share(in_4) == Approx((4 + (2 + 4) / 2.0) / 32));
}

// In f32, where the tokens' logits differ by rounding alone; what is quantized in f64, where x and
// so its level is the same but for one of some million elements.
template <class T>
void write_on_both(const GenerationOptions& options) {
  const test::InThreadOrder order(test::kThreadOrders.back());
  for (const std::string& name : test::kFewTinyModelNames) {
    Cpu cpu(2);
    Cuda cuda;
    const Generation here = write(cpu, load<T>(cpu, name), long_prompt(100), options);
    const Generation there = write(cuda, load<T>(cuda, name), long_prompt(100), options);
    CAPTURE(name, options.policy);
    CHECK(there.tokens == here.tokens);
    CHECK(there.bytes_kept == here.bytes_kept);
    CHECK(there.bytes_end == here.bytes_end);
  }
}

TEST_CASE("a CUDA device writes what the processor does", "[host_cuda]") {
  GenerationOptions options = plain(12);
  write_on_both<float>(options);
  options.sampling = {1.5, 0.9};
  options.budget = 0.5;
  options.interval = {8, 44};
  for (const char* policy : {"infokv:window=8", "key-rotation/snapkv:window=8"}) {
    options.policy = policy;
    write_on_both<float>(options);
  }
  GenerationOptions reasoning = plain(24);  // cuts behind 12 and 20
  reasoning.policy = "rpc:window=4";
  reasoning.interval = {8};
  write_on_both<float>(reasoning);
  options.quantization = Quantization{4, 32};
  write_on_both<double>(options);
}

TEST_CASE("what does not fit is refused") {
  Cpu cpu(1);
  const auto weights = load<float>(cpu, "llama_plain");
  const Ids prompt = long_prompt(100);
  const auto refusal = [&](auto&& change, const Ids& of) {
    GenerationOptions options = plain(10);
    change(options);
    return error_of([&] { write(cpu, weights, of, options); });
  };
  using Options = GenerationOptions;
  CHECK_THAT(refusal([](Options&) {}, {}), Contains("no token"));
  CHECK_THAT(refusal([](Options& o) { o.max_tokens = 200; }, prompt), Contains("`max_tokens` 200"));
  CHECK_THAT(refusal([](Options& o) { o.budget = 0; }, prompt), Contains("above 0"));
  CHECK_THAT(refusal([](Options& o) { o.repetition_penalty = 0; }, prompt),
             Contains("`repetition_penalty`"));
  CHECK_THAT(refusal([](Options& o) { o.budget = 1.5; }, prompt), Contains("at most 1"));
  CHECK_THAT(refusal([](Options& o) { o.policy = "snapvk"; }, prompt), Contains("mean snapkv"));
  const auto with = [](const std::string& policy, double budget, DecodingInterval interval) {
    return [=](Options& options) {
      options.policy = policy;
      options.budget = budget;
      if (interval.every != 0) options.interval = interval;
    };
  };
  CHECK_THAT(refusal(with("oracle", 0.5, {0, 0}), prompt), Contains("measured influence"));
  CHECK_THAT(refusal(with("snapkv:window=100", 0.5, {0, 0}), prompt), Contains("more than 100"));
  CHECK_THAT(refusal(with("snapkv", 1, {32, 80}), prompt), Contains("64 queries"));
  CHECK_THAT(refusal(with("h2o", 1, {32, 80}), prompt), Contains("all queries"));
  CHECK_THAT(refusal(with("expected-attention", 1, {32, 80}), prompt), Contains("whole prompt"));
  CHECK_THAT(refusal(with("snapkv", 1, {64, 64}), prompt), Contains("more than 64"));
  CHECK_THAT(refusal(with("snapkv", 1, {64}), prompt), Contains("no rule of its own"));
  CHECK_THAT(refusal(with("snapkv", 1, {64, 80, 0.5}), prompt), Contains("give one of them"));
  const auto of_share = [&](const char* policy, double share) {
    return refusal(with(policy, 1, {.every = 64, .target_share = share}), prompt);
  };
  for (const double share : {0.0, 1.0, 1.5, -0.25, std::nan("")}) {
    CHECK_THAT(of_share("snapkv", share), Contains("above 0 and below 1"));
  }
  CHECK_THAT(of_share("snapkv", 0.25), Contains("at 164 tokens, leaves 41"));
  CHECK_THAT(of_share("snapkv", 0.5), Contains("`max_tokens` 10") && Contains("at least 66"));
  // What stays of prompt and window is more than half of the text at the first cut.
  CHECK_THAT(of_share("rpc", 0.5), Contains("the first 100 and the last 32"));
  CHECK_THAT(refusal(with("rpc:ratio=1", 1, {64}), prompt), Contains("has nothing to cut"));
  CHECK_THAT(refusal(with("rpc:ratio=65", 1, {64}), prompt), Contains("more than 132"));
  CHECK_THAT(refusal(with("rpc", 0.5, {64}), prompt), Contains("keeps every token of a prompt"));
}

}  // namespace
}  // namespace longshadow
