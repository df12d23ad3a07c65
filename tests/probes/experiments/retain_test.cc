#include "probes/experiments/retain.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>

#include "engine/model/full_pass.h"
#include "engine/policies/registry.h"
#include "probes/measure/probe_model.h"
#include "tests/support/check_kl.h"
#include "tests/support/devices.h"
#include "tests/support/error_of.h"
#include "tests/support/larger.h"
#include "tests/support/probe_case.h"
#include "tests/support/temporary_folder.h"

namespace longshadow {
namespace {

using Catch::Matchers::Contains;
using test::TinyModel;

/// How far T's logits of size 13 may be off after n tokens.
template <class T>
double logit_tolerance(const ModelConfig& config, std::size_t n) {
  const double to_f64 = sizeof(T) == 8 ? 0x1p-53 / 0x1p-24 : 1;
  return test::f32_logit_tolerance(config, n, 13) * to_f64;
}

/// Options, and what their policies are made with.
struct Options : RetainOptions {
  std::size_t n_sinks = 0;
  PolicyModel policy_model{};
};

Options options_of(const TinyModel& model) {
  Options options;
  options.context = model.expected["context"].get<std::size_t>();
  options.horizon = model.expected["future"].get<std::size_t>();
  options.policies = {"snapkv:window=8"};
  options.budgets = parse_budgets("0.3");
  return options;
}

/// What retain_document() measures in T, with no word on the way.
template <class T, class Device>
DocumentRun retain(Device& device, const TinyModel& model, Options options,
                   const RunFile* influence = nullptr) {
  options.precision = sizeof(T) == 8 ? Precision::f64 : Precision::f32;
  options.made = std::make_shared<Policies>(
      make_policies(options.policies, options.n_sinks, options.policy_model));
  const auto checkpoint = open_checkpoint(model.path);
  const auto ids = model.expected["token_ids"].get<std::vector<TokenId>>();
  const ProbeModel loaded = load_probe_model(device, *checkpoint, options.precision);
  std::ostringstream log;
  return retain_document(device, loaded, checkpoint->tokenizer(), test::document_of(ids), options,
                         influence, ProgressStyle::none, log);
}

/// The slots that a policy evicts, as a counterfactual.
Removal evicted(const RunRetention& retention, const RunModel& shape, std::size_t context) {
  std::vector<std::vector<Range>> by_head;
  for (std::size_t begin = 0; begin < retention.kept.size(); begin += context) {
    std::vector<Range>& gone = by_head.emplace_back();
    for (std::size_t i = 0; i < context; ++i) {
      if (retention.kept[begin + i] == 0) gone.push_back({i, i + 1});
    }
  }
  return Removal(std::move(by_head), static_cast<std::size_t>(shape.n_kv_heads));
}

TEMPLATE_TEST_CASE("A compressed cache predicts as the full one without the evicted slots", "",
                   double, float) {
  using T = TestType;
  Cpu cpu(2);
  for (const TinyModel& model : test::tiny_models()) {
    const auto checkpoint = open_checkpoint(model.path);
    const ModelConfig& config = checkpoint->config();
    Options options = options_of(model);
    options.policies = {
        "snapkv:window=8",    "adakv/knorm", "pyramidkv:window=8", "tova", "h2o", "infokv:window=8",
        "expected-attention", "random"};
    options.budgets = parse_budgets("0.3,0.1");
    const DocumentRun run = retain<T>(cpu, model, options);
    REQUIRE(run.retention.size() == 16);

    const Precision precision = sizeof(T) == 8 ? Precision::f64 : Precision::f32;
    const auto ids = model.expected["token_ids"].get<std::vector<TokenId>>();
    const ProbeModel loaded = load_probe_model(cpu, *checkpoint, precision);
    const FullPass full = run_full_pass(cpu, loaded.weights, std::span<const TokenId>(ids),
                                        std::span<LayerObserver* const>(), {});
    const PreparedEngine direct = make_engine(cpu, loaded, full, nullptr, options.horizon, 1);
    RunModel shape;
    shape.n_kv_heads = static_cast<std::int64_t>(config.n_kv_heads);
    for (const RunRetention& retention : run.retention) {
      CAPTURE(model.path, retention.name());
      const Counterfactual same{evicted(retention, shape, options.context), options.context};
      std::vector<double> expected(options.horizon);
      direct.engine->run(std::span(&same, 1), expected);
      CHECK(*std::max_element(expected.begin(), expected.end()) > 1e-6);  // something was lost
      test::check_kl(retention.kl, expected, 2 * logit_tolerance<T>(config, ids.size()));
    }
  }
}

TEMPLATE_TEST_CASE("The full cache loses nothing, and its surprisal is the text's", "", double,
                   float) {
  using T = TestType;
  Cpu cpu(2);
  const TinyModel model = test::tiny_models()[1];
  Options options = options_of(model);
  options.policies = {"full", "snapkv:window=8"};
  options.budgets = parse_budgets("1");
  const auto checkpoint = open_checkpoint(model.path);
  const double error =
      2 * logit_tolerance<T>(checkpoint->config(), options.context + options.horizon);
  const DocumentRun run = retain<T>(cpu, model, options);
  for (const RunRetention& retention : run.retention) {
    test::check_kl(retention.kl, std::vector<double>(options.horizon), error);
    CHECK(retention.top1 == std::vector<std::uint8_t>(options.horizon, 1));
    CHECK(retention.bytes_kept == retention.bytes_full);
    REQUIRE(std::isnan(retention.surprisal.back()));
    for (std::size_t h = 0; h + 1 < options.horizon; ++h) {
      // f32 as stored: surprisals of some nats round by 2^-24 of themselves.
      CHECK(retention.surprisal[h] ==
            Approx(run.signals.surprisal[options.context + h + 1]).epsilon(1e-6).margin(error));
    }
  }
}

TEST_CASE("Bytes are those of the slots that stay") {
  Cpu cpu(2);
  const TinyModel model = test::tiny_models()[0];
  Options options = options_of(model);
  options.policies = {"adakv/knorm", "pyramidkv:window=8"};
  options.budgets = parse_budgets("0.5");
  for (const RunRetention& retention : retain<float>(cpu, model, options).retention) {
    const auto kept = std::count(retention.kept.begin(), retention.kept.end(), 1);
    CHECK(retention.bytes_kept * static_cast<std::int64_t>(retention.kept.size()) ==
          retention.bytes_full * kept);
    CHECK(retention.bytes_kept < retention.bytes_full);
    CHECK(retention.kv_bits == 32);
  }
}

// Rotary attention sees differences of positions alone: a suffix that moves with its followers
// stays what it was.
TEST_CASE("Key rotation of a suffix changes nothing but the rounding") {
  Cpu cpu(2);
  for (const TinyModel& model : test::tiny_models()) {
    Options options = options_of(model);
    options.policies = {"streaming-llm:n_sink=0", "key-rotation/streaming-llm:n_sink=0",
                        "streaming-llm", "key-rotation/streaming-llm"};
    const DocumentRun run = retain<double>(cpu, model, options);
    const auto checkpoint = open_checkpoint(model.path);
    const double error =
        2 * logit_tolerance<double>(checkpoint->config(), options.context + options.horizon);
    CHECK(run.retention[1].kept == run.retention[0].kept);
    test::check_kl(run.retention[1].kl, run.retention[0].kl, error);
    CHECK(run.retention[3].kept == run.retention[2].kept);
    CHECK(run.retention[3].kl != run.retention[2].kl);  // sinks come nearer
  }
}

TEST_CASE("What a policy costs does not depend on what else the run compares") {
  const TinyModel model = test::tiny_models()[0];
  Options options = options_of(model);
  options.policies = {"snapkv:window=8", "random", "key-rotation/knorm"};
  Cpu two(2);
  const DocumentRun together = retain<float>(two, model, options);
  for (std::size_t p = 0; p < options.policies.size(); ++p) {
    Options one = options;
    one.policies = {options.policies[p]};
    Cpu cpu(1);
    const DocumentRun alone = retain<float>(cpu, model, one);
    CHECK(alone.retention[0].kl == together.retention[p].kl);
    CHECK(alone.retention[0].kept == together.retention[p].kept);
  }
}

TEST_CASE("Sinks stay in every arm that is asked to keep them") {
  Cpu cpu(2);
  const TinyModel model = test::tiny_models()[0];
  Options options = options_of(model);
  options.policies = {"random", "knorm", "tova", "adakv/snapkv:window=8", "chunkkv:length=1/h2o"};
  options.n_sinks = 5;
  for (const RunRetention& retention : retain<float>(cpu, model, options).retention) {
    CAPTURE(retention.policy);
    for (std::size_t begin = 0; begin < retention.kept.size(); begin += options.context) {
      for (std::size_t i = 0; i < 5; ++i) REQUIRE(retention.kept[begin + i] == 1);
    }
  }
}

TEST_CASE("A seed draws the same slots, and another seed others") {
  Cpu cpu(2);
  const TinyModel model = test::tiny_models()[0];
  Options options = options_of(model);
  options.policies = {"random", "random:seed=1"};
  const auto kept = [&](std::uint64_t seed, std::size_t arm) {
    options.seed = seed;
    return retain<float>(cpu, model, options).retention[arm].kept;
  };
  CHECK(kept(3, 0) == kept(3, 0));
  CHECK(kept(3, 0) != kept(4, 0));
  CHECK(kept(3, 0) != kept(3, 1));
}

TEST_CASE("An oracle keeps the tokens of the largest measured influence") {
  Cpu cpu(2);
  const TinyModel model = test::tiny_models()[0];
  const auto checkpoint = open_checkpoint(model.path);
  const auto ids = model.expected["token_ids"].get<std::vector<TokenId>>();
  Options options = options_of(model);
  ProbeOptions probe;
  probe.context = options.context;
  probe.horizon = options.horizon;
  test::select(probe, "all");
  probe.evict_at = parse_evict_at("end");
  RunFile influence;
  influence.documents.push_back(test::probe<float>(cpu, *checkpoint, ids, probe));

  options.policies = {"oracle", "oracle:over=near", "oracle:over=far"};
  options.budgets = parse_budgets("0.25");
  const DocumentRun run = retain<float>(cpu, model, options, &influence);
  const std::vector<double>& kl = influence.documents[0].influence.kl;
  const std::size_t quarter = options.horizon / 4;
  const std::array<Range, 3> over{
      {{0, options.horizon}, {0, quarter}, {options.horizon - quarter, options.horizon}}};
  for (std::size_t arm = 0; arm < over.size(); ++arm) {
    const auto influence_of_token = [&](std::size_t token) {
      double sum = 0;
      for (std::size_t h = over[arm].begin; h < over[arm].end; ++h) {
        sum += kl[token * options.horizon + h];
      }
      return sum;
    };
    double least_kept = 1e300, most_evicted = 0;
    for (std::size_t i = 0; i < options.context; ++i) {
      double& bound = run.retention[arm].kept[i] != 0 ? least_kept : most_evicted;
      bound = run.retention[arm].kept[i] != 0 ? test::smaller(bound, influence_of_token(i))
                                              : test::larger(bound, influence_of_token(i));
    }
    CHECK(least_kept >= most_evicted * (1 - 1e-12));  // sums in another order
  }

  influence.documents[0].influence.subjects.pop_back();
  CHECK_THROWS_WITH(retain<float>(cpu, model, options, &influence),
                    Contains("token 63") && Contains("--method sketch"));
  influence.documents[0].context_tokens -= 1;
  CHECK_THROWS_WITH(retain<float>(cpu, model, options, &influence), Contains("found none"));
  CHECK_THROWS_WITH(retain<float>(cpu, model, options), Contains("`influence`"));
}

/// Every policy that compresses a prompt once, with options that a short context allows.
std::vector<std::string> every_policy() {
  std::vector<std::string> policies;
  for (const std::string_view name : policy_names()) {
    if (name == "rpc") continue;
    const bool has_window = name == "snapkv" || name == "pyramidkv" || name == "infokv" ||
                            name == "dropkv" || name == "cake";
    const bool wraps =
        name == "adakv" || name == "budgets" || name == "chunkkv" || name == "key-rotation";
    const char* options = has_window        ? ":window=8"
                          : wraps           ? "/infokv:window=8"
                          : name == "lagkv" ? ":lag=8"
                                            : "";
    policies.push_back(std::string(name) + options);
  }
  return policies;
}

/// Writes what `budgets` and `learned` read, made up for the model, to where they find it.
PolicyModel made_up_files(const test::TemporaryFolder& folder, const ModelConfig& config) {
  const std::string digest(64, 'a');
  nlohmann::json budgets{{"format", "longshadow head budgets"}, {"format_version", 1}};
  nlohmann::json ranking{{"format", "longshadow ranking"},
                         {"format_version", 1},
                         {"features", {"window_mean", "removal", "output_norm", "cumulative"}}};
  const std::size_t n_heads = config.n_layers * config.n_kv_heads;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    nlohmann::json shares, weights;
    for (std::size_t head = 0; head < config.n_kv_heads; ++head) {
      const std::size_t place = layer * config.n_kv_heads + head;
      shares.push_back(place == 0 ? 0.75 : place + 1 == n_heads ? 0.25 : 0.5);
      weights.push_back({1.0, 0.25 * static_cast<double>(layer), 0.5, 0.5, 0.0});
    }
    budgets["shares"][0].push_back(shares);
    ranking["weights"].push_back(weights);
  }
  budgets["budgets"] = {0.5};
  std::filesystem::create_directories(folder.path() / digest.substr(0, 16));
  const auto write = [&](const char* name, nlohmann::json file) {
    file["model"]["weights_sha256"] = digest;
    file["layers"] = config.n_layers;
    file["kv_heads"] = config.n_kv_heads;
    folder.write(digest.substr(0, 16) + "/" + name, file.dump());
  };
  write("budgets-infokv:window=8.json", budgets);
  write("ranking.json", ranking);
  return {config.n_layers, config.n_kv_heads, [digest] { return digest; }, folder.path()};
}

/// The model on a text that has no token twice: in the first layer its keys would have one norm at
/// either place, and rounding would choose which of the two a policy keeps.
TinyModel without_repetition(const std::string& name) {
  TinyModel model{test::kTinyModels / name,
                  nlohmann::json::parse(std::ifstream(test::kTinyModels / (name + ".json"))), 0};
  constexpr TokenId kVocabulary = 320, kStride = 37;  // without a common divisor
  TokenId next = 11;
  for (auto& id : model.expected["token_ids"]) id = next = (next + kStride) % kVocabulary;
  return model;
}

template <class T>
void retain_on_both(const Options& wanted, double tolerance) {
  const test::InThreadOrder order(test::kThreadOrders.back());
  for (const std::string& name : test::kFewTinyModelNames) {
    const TinyModel model = without_repetition(name);
    Options options = options_of(model);
    options.policies = wanted.policies;
    options.quantization = wanted.quantization;
    Cpu cpu(2);
    Cuda cuda;
    const auto checkpoint = open_checkpoint(model.path);
    if (!checkpoint->config().windows.empty()) {
      // What was learnt for every layer is refused where policies see some alone.
      std::erase_if(options.policies, [](const std::string& policy) {
        return policy.starts_with("learned") || policy.starts_with("budgets");
      });
    }
    const test::TemporaryFolder folder;
    options.policy_model = made_up_files(folder, checkpoint->config());
    RunFile influence;
    ProbeOptions probe;
    probe.context = options.context;
    probe.horizon = options.horizon;
    test::select(probe, "all");
    probe.evict_at = parse_evict_at("end");
    const auto ids = model.expected["token_ids"].get<std::vector<TokenId>>();
    influence.documents.push_back(test::probe<T>(cpu, *checkpoint, ids, probe));
    const DocumentRun here = retain<T>(cpu, model, options, &influence);
    const DocumentRun there = retain<T>(cuda, model, options, &influence);
    REQUIRE(there.retention.size() == here.retention.size());
    for (std::size_t arm = 0; arm < here.retention.size(); ++arm) {
      const RunRetention& expected = here.retention[arm];
      const RunRetention& found = there.retention[arm];
      CAPTURE(name, expected.name());
      CHECK(found.kept == expected.kept);
      CHECK(found.bytes_kept == expected.bytes_kept);
      CHECK(found.top1 == expected.top1);
      const double sum = std::accumulate(expected.kl.begin(), expected.kl.end(), 0.0);
      const double of_found = std::accumulate(found.kl.begin(), found.kl.end(), 0.0);
      const double logit_error =
          2 * logit_tolerance<T>(checkpoint->config(), options.context + options.horizon);
      test::check_kl(found.kl, expected.kl, logit_error);
      // Where nothing is lost, the KL is what rounding makes: the square of the logits' error.
      const double floor = static_cast<double>(options.horizon) * logit_error * logit_error;
      CHECK(std::abs(of_found - sum) <= tolerance * sum + floor);
    }
  }
}

// In f32, KLs of nats come from logits that differ by 1e-6 (4e-7 of a sum at most was seen). What
// is quantized is so in f64, where an element has another level but once in some million.
TEST_CASE("A CUDA device keeps what the processor does, at the same cost", "[host_cuda]") {
  Options options;
  options.policies = every_policy();
  retain_on_both<float>(options, 1e-5);
  options.policies = {"full", "key-rotation/snapkv:window=8"};
  options.quantization = Quantization{4, 32};
  retain_on_both<double>(options, 1e-8);
}

TEST_CASE("Options that no run can have are refused") {
  Cpu cpu(1);
  const TinyModel model = test::tiny_models()[0];
  const auto refusal = [&](const std::function<void(Options&)>& spoil) {
    Options options = options_of(model);
    spoil(options);
    return test::error_of([&] { retain<float>(cpu, model, options); });
  };
  CHECK_THAT(refusal([](auto& o) { o.policies = {"snapkv"}; }), Contains("more than 64 tokens"));
  CHECK_THAT(refusal([](auto& o) { o.n_sinks = 60; }), Contains("more than 68 tokens"));
  CHECK_THAT(refusal([](auto& o) { o.policies = {"snapvk"}; }), Contains("did you mean snapkv"));
  CHECK_THAT(refusal([](auto& o) { o.budgets = parse_budgets("0.3,0.3"); }), Contains("twice"));
  CHECK_THAT(refusal([](auto& o) { o.horizon = 0; }), Contains("at least 1 token"));
  CHECK_THAT(refusal([](auto& o) { o.context = 100; }), Contains("the document has"));
  CHECK_THAT(refusal([](auto& o) { o.memory_bytes = 1 << 16; }), Contains("`memory`"));
}

TEST_CASE("Memory allowed decides how many caches run at once, and nothing else") {
  const TinyModel model = test::tiny_models()[0];
  const auto checkpoint = open_checkpoint(model.path);
  Options options = options_of(model);
  options.policies = {"snapkv:window=8", "random", "knorm"};
  const MemoryPlan plan = plan_retain_memory(
      checkpoint->config(), {Precision::f32, Method::direct, options.context + options.horizon, 0},
      {options.context, options.horizon, 0.3});
  Cpu cpu(2);
  const DocumentRun at_once = retain<float>(cpu, model, options);
  options.memory_bytes = plan.fixed_bytes() + options.horizon * plan.bytes_per_batch_row;
  const DocumentRun in_turn = retain<float>(cpu, model, options);
  for (std::size_t arm = 0; arm < 3; ++arm) {
    CHECK(at_once.retention[arm].kl == in_turn.retention[arm].kl);
  }
}

TEST_CASE("A list of policies keeps their options together") {
  using Names = std::vector<std::string>;
  CHECK(split_policies("snapkv") == Names{"snapkv"});
  CHECK(split_policies("infokv:alpha=0.8,entropy=at,h2o,adakv:alpha=0/snapkv:window=8,kernel=3") ==
        Names{"infokv:alpha=0.8,entropy=at", "h2o", "adakv:alpha=0/snapkv:window=8,kernel=3"});
  CHECK(split_policies("a,b:c=1") == Names{"a", "b:c=1"});
  CHECK(split_policies("a,") == Names{"a", ""});
}

}  // namespace
}  // namespace longshadow
