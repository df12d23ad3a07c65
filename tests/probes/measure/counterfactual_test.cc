#include "probes/measure/counterfactual.h"

#include <catch2/catch.hpp>

#include "engine/checkpoint/checkpoint.h"
#include "probes/measure/activation_tape.h"
#include "probes/measure/differential_engine.h"
#include "probes/measure/direct_engine.h"
#include "tests/support/check_kl.h"
#include "tests/support/devices.h"
#include "tests/support/larger.h"
#include "tests/support/probe_case.h"
#include "tests/support/random_matrix.h"

namespace longshadow {
namespace {

using test::check_kl;
using test::TinyModel;

std::vector<double> doubles(const nlohmann::json& json) { return json.get<std::vector<double>>(); }
std::vector<double> flat(const nlohmann::json& json) {
  return test::flat(json.get<std::vector<std::vector<double>>>());
}

/// What the README says of f64: 5e-10 relative, half of the last of the ten digits that the
/// expected values are printed to. Llama 3's rotary divisors are f32 in a GGUF file, which costs
/// more.
double f64_error(const TinyModel& model) {
  return model.path.filename() == "llama_llama3.gguf" ? 1.4e-6 : 5e-10;
}

template <class T, class Device>
void check_influence(Device& device, const TinyModel& model, Method method) {
  const auto checkpoint = open_checkpoint(model.path);
  const auto ids = model.expected["token_ids"].get<std::vector<TokenId>>();
  // Logits of size 10 and more; both the full and the evicted ones are off.
  const double logit_error =
      2 * (sizeof(T) == 8 ? model.f64_tolerance
                          : test::f32_logit_tolerance(checkpoint->config(), ids.size(), 13));
  ProbeOptions options;
  options.context = model.expected["context"].get<std::size_t>();
  options.horizon = model.expected["future"].get<std::size_t>();
  options.method = method;
  const auto measure = [&](const std::string& subjects, const std::string& evict_at) {
    test::select(options, subjects);
    options.evict_at = parse_evict_at(evict_at);
    return test::probe<T>(device, *checkpoint, ids, options).influence.kl;
  };
  double largest = 0;  // relative error
  const auto check = [&](const std::vector<double>& found, const std::vector<double>& expected) {
    check_kl(found, expected, logit_error);
    for (std::size_t i = 0; i < found.size(); ++i) {
      largest = test::larger(largest, std::abs(found[i] - expected[i]) / expected[i]);
    }
  };
  const auto lag = "lag:" + std::to_string(model.expected["lag"].get<std::size_t>());
  const auto end_subjects = model.expected["subjects"].get<std::vector<std::size_t>>();
  const auto lag_subjects = model.expected["lag_subjects"].get<std::vector<std::size_t>>();
  const auto span = model.expected["span"].get<std::vector<std::size_t>>();
  check(measure(test::list_of(end_subjects), "end"), flat(model.expected["kl_end"]));
  check(measure(test::list_of(lag_subjects), lag), flat(model.expected["kl_lag"]));
  check(measure("list:" + std::to_string(span[0]) + "-" + std::to_string(span[1] - 1), "end"),
        doubles(model.expected["kl_span"]));

  const auto set = test::set_of(model.expected["set"].get<std::vector<std::size_t>>());
  check(measure(set, "end"), doubles(model.expected["kl_set"]));
  for (std::size_t i = 0; i < model.expected["parts"].size(); ++i) {
    const nlohmann::json& part = model.expected["parts"][i];
    options.layers = parse_number_list(std::to_string(part[0][0].get<std::size_t>()));
    options.heads = parse_number_list(std::to_string(part[1][0].get<std::size_t>()));
    CAPTURE(options.layers.text, options.heads.text);
    check(measure(set, "end"), doubles(model.expected["kl_parts"][i]));
  }
  if (sizeof(T) == 8) CHECK(largest <= 2 * f64_error(model));
}

TEMPLATE_TEST_CASE("influence is that of transformers in float64", "", test::CpuF64, test::CpuF32,
                   test::CudaF64, test::CudaF32) {
  typename TestType::Device device;
  for (const TinyModel& model : test::tiny_models()) {
    // The slow one gets a few folders, whose models have every kernel among them.
    if (std::is_same_v<typename TestType::Device, Cuda> &&
        std::ranges::count(test::kFewTinyModelNames, model.path.filename().string()) == 0) {
      continue;
    }
    for (const Method method : {Method::direct, Method::differential}) {
      DYNAMIC_SECTION(model.path.filename().string() << " method " << int(method)) {
        check_influence<typename TestType::T>(device, model, method);
      }
    }
  }
}

/// The fixture's table: what each layer and KV head loses when the context ends.
Removal table_of(const TinyModel& model, const ModelConfig& config) {
  std::vector<std::vector<Range>> by_head;
  for (const nlohmann::json& layer : model.expected["table"]) {
    for (const nlohmann::json& head : layer) {
      std::vector<Range>& ranges = by_head.emplace_back();
      for (const auto token : head.get<std::vector<std::size_t>>()) {
        ranges.push_back({token, token + 1});
      }
    }
  }
  REQUIRE(by_head.size() == config.n_layers * config.n_kv_heads);
  return Removal(std::move(by_head), config.n_kv_heads);
}

TEMPLATE_TEST_CASE("tokens removed by layer and head, as transformers in float64", "", double,
                   float) {
  using T = TestType;
  Cpu cpu(2);
  const Precision precision = sizeof(T) == 8 ? Precision::f64 : Precision::f32;
  for (const TinyModel& model : test::tiny_models()) {
    CAPTURE(model.path);
    const auto checkpoint = open_checkpoint(model.path);
    const ModelConfig& config = checkpoint->config();
    const auto ids = model.expected["token_ids"].get<std::vector<TokenId>>();
    const auto context = model.expected["context"].get<std::size_t>();
    const auto horizon = model.expected["future"].get<std::size_t>();
    const Counterfactual evicted{table_of(model, config), context};

    const ProbeModel loaded = load_probe_model(cpu, *checkpoint, precision);
    ActivationTape tape(cpu, loaded.weights, {context, ids.size()});
    LayerObserver* observer = &tape;
    const FullPass full = run_full_pass(cpu, loaded.weights, std::span<const TokenId>(ids),
                                        std::span<LayerObserver* const>(&observer, 1), {});
    for (const auto* recorded : {&tape, static_cast<ActivationTape*>(nullptr)}) {
      const PreparedEngine prepared = make_engine(cpu, loaded, full, recorded, horizon, 1);
      std::vector<double> kl(horizon);
      prepared.engine->run(std::span(&evicted, 1), kl);
      check_kl(kl, doubles(model.expected["kl_table"]),
               2 * (sizeof(T) == 8 ? model.f64_tolerance
                                   : test::f32_logit_tolerance(config, ids.size(), 13)));
    }
  }
}

/// Every fifth token below `end`.
std::vector<Range> scattered(std::size_t end) {
  std::vector<Range> ranges;
  for (std::size_t token = 0; token < end; token += 5) ranges.push_back({token, token + 1});
  return ranges;
}

// For three layers of two KV heads, which llama_llama3 and qwen3_moe have. Starts at no multiple of
// a tile; a sink, a span, everything, all but one token, a fifth with the sink, and removals that
// differ by layer and head: in one layer alone, at the first, in between or at the last, from one
// head alone, and each another.
const std::vector<Counterfactual> kBatch{
    {Removal({{0, 1}}), 101},
    {Removal({{40, 41}}), 57},
    {Removal({{3, 30}}), 163},
    {Removal({{0, 64}}), 64},
    {Removal({{0, 64}, {65, 150}}), 150},
    {Removal({{5, 6}, {77, 80}}), 130},
    {Removal({{1, 2}}), 2},
    {Removal(scattered(140)), 150},
    {Removal({{3, 30}}, {{true, false, false}, {true, true}}), 150},
    {Removal(scattered(100), {{false, true, false}, {true, false}}), 150},
    {Removal({{0, 120}}, {{false, false, true}, {false, true}}), 131},
    {Removal({{{0, 9}}, {{9, 20}, {22, 23}}, {}, {}, scattered(90), {{0, 100}}}, 2), 101}};

/// A full pass of a tiny model and both engines on it, for the same horizon.
template <class T>
struct Engines {
  static constexpr std::size_t kHorizon = 37;

  Cpu cpu;
  Weights weights;
  std::unique_ptr<ActivationTape> tape;
  FullPass full;

  explicit Engines(const std::string& name = "llama_llama3", std::size_t threads = 2)
      : cpu(threads),
        weights(load_weights(cpu, *open_checkpoint(test::kTinyModels / name), element_of<T>())),
        full(read()) {}

  FullPass read() {
    std::vector<TokenId> tokens;
    for (TokenId i = 0; i < 200; ++i) tokens.push_back(i * 37 % 320);
    tape = std::make_unique<ActivationTape>(cpu, weights, Range{1, tokens.size()});
    LayerObserver* observer = tape.get();
    return run_full_pass(cpu, weights, std::span<const TokenId>(tokens),
                         std::span<LayerObserver* const>(&observer, 1), {});
  }

  std::unique_ptr<CounterfactualEngine> direct(ColumnOrder order = ColumnOrder::forward) {
    return std::make_unique<DirectEngine>(cpu, weights, full, kHorizon, kBatch.size(), order);
  }
  std::unique_ptr<CounterfactualEngine> differential() {
    const DeltaWeights delta{weights.matrices, weights.head.packed_output, full.cache};
    return std::make_unique<DifferentialEngine>(cpu, weights, delta, full, *tape, kHorizon,
                                                kBatch.size());
  }
};

std::vector<double> run(CounterfactualEngine& engine, std::span<const Counterfactual> batch) {
  std::vector<double> kl(batch.size() * 37);
  engine.run(batch, kl);
  return kl;
}

TEMPLATE_TEST_CASE("a counterfactual has the same bits alone, in any batch, for any threads", "",
                   double, float) {
  using T = TestType;
  const std::string name = GENERATE("llama_llama3", "qwen3_moe");
  CAPTURE(name);
  Engines<T> engines(name);
  for (const bool differential : {false, true}) {
    const auto make = [&](Engines<T>& of) {
      return differential ? of.differential() : of.direct();
    };
    const auto engine = make(engines);
    const std::vector<double> together = run(*engine, kBatch);
    for (std::size_t i = 0; i < kBatch.size(); ++i) {
      CAPTURE(differential, i);
      const std::vector<double> alone = run(*engine, std::span(kBatch).subspan(i, 1));
      CHECK(test::same_bits(alone, {together.begin() + i * 37, together.begin() + (i + 1) * 37}));
    }
    Engines<T> on_one_thread(name, 1);
    CHECK(test::same_bits(run(*make(on_one_thread), kBatch), together));
  }
}

// Two ways of computing the same number share nothing but the full pass. f64's own error, relative
// to the change, is some 1e-13; numerics of the direct form leave 1e-24 where nothing changes.
TEST_CASE("the differential form is the direct form") {
  Engines<double> engines(GENERATE("llama_llama3", "qwen3_moe"));
  const std::vector<double> direct = run(*engines.direct(), kBatch);
  const std::vector<double> differential = run(*engines.differential(), kBatch);
  for (std::size_t i = 0; i < direct.size(); ++i) {
    CAPTURE(i, direct[i], differential[i]);
    CHECK(std::abs(direct[i] - differential[i]) <= 1e-9 * direct[i] + 1e-20);
    CHECK(differential[i] >= 0);
  }
}

TEMPLATE_TEST_CASE("removing nothing changes nothing", "", double, float) {
  using T = TestType;
  Engines<T> engines(GENERATE("llama_llama3", "qwen3_moe"));
  const std::vector<Counterfactual> null{{Removal(), 100}};
  for (const double kl : run(*engines.differential(), null)) CHECK(kl == 0);
  // The direct form is off by rounding: KL is about half the square of the logits' error.
  const double logit_error =
      sizeof(T) == 8 ? 1e-12 : 2 * test::f32_logit_tolerance(engines.weights.config, 200, 12);
  for (const ColumnOrder order : {ColumnOrder::forward, ColumnOrder::reversed}) {
    for (const double kl : run(*engines.direct(order), null)) {
      CHECK(std::abs(kl) <= logit_error * logit_error);
    }
  }
  const std::vector<double> floor = run(*engines.direct(ColumnOrder::reversed), null);
  CHECK(*std::max_element(floor.begin(), floor.end()) > 0);
}

// However a removal is described, its bits are the same.
TEMPLATE_TEST_CASE("a table of one set, and a part that is all, are the set everywhere", "", double,
                   float) {
  using T = TestType;
  Engines<T> engines;
  const std::vector<Range> set = scattered(90);
  const std::vector<Counterfactual> batch{
      {Removal(set), 101},
      {Removal(set, {{true, true, true}, {true, true}}), 101},
      {Removal(std::vector<std::vector<Range>>(6, set), 2), 101}};
  for (const auto& engine : {engines.direct(), engines.differential()}) {
    const std::vector<double> kl = run(*engine, batch);
    const std::vector<double> everywhere(kl.begin(), kl.begin() + 37);
    for (std::size_t i = 1; i < batch.size(); ++i) {
      CHECK(test::same_bits({kl.begin() + i * 37, kl.begin() + (i + 1) * 37}, everywhere));
    }
  }
}

// So that a run can be cut into shards and put together again.
TEMPLATE_TEST_CASE("a subject has the same bits whatever else the run measures", "", double,
                   float) {
  Cpu cpu(2);
  const auto checkpoint = open_checkpoint(test::kTinyModels / "llama_llama3");
  std::vector<TokenId> ids;
  for (TokenId i = 0; i < 200; ++i) ids.push_back(i * 37 % 320);
  ProbeOptions options;
  options.context = 150;
  options.horizon = 20;
  options.method = GENERATE(Method::direct, Method::differential);
  const auto measure = [&](const std::string& subjects) {
    test::select(options, subjects);
    return test::probe<TestType>(cpu, *checkpoint, ids, options).influence.kl;
  };
  const std::vector<double> together = measure("list:3,70+set:90,120+list:131-133");
  CHECK(test::same_bits(measure("list:70"), {together.begin() + 20, together.begin() + 40}));
  CHECK(test::same_bits(measure("set:90,120"), {together.begin() + 40, together.begin() + 60}));
  CHECK(test::same_bits(measure("list:131-133"), {together.begin() + 60, together.end()}));
}

// The same tokens by name or by rank: what was chosen does not know how.
TEST_CASE("a top share is the set of its tokens") {
  Cpu cpu(2);
  const auto checkpoint = open_checkpoint(test::kTinyModels / "llama_plain");
  std::vector<TokenId> ids;
  for (TokenId i = 0; i < 150; ++i) ids.push_back(i * 37 % 320);
  ProbeOptions options;
  options.context = 100;
  options.horizon = 20;
  options.evict_at = parse_evict_at("end");
  options.method = GENERATE(Method::direct, Method::differential);
  const auto influence_of = [&](const std::string& subjects) {
    test::select(options, subjects);
    return test::probe<double>(cpu, *checkpoint, ids, options).influence;
  };
  const RunInfluence ranked = influence_of("top:surprisal:10%+top:drift:64%");
  REQUIRE(ranked.subjects.size() == 2);
  CHECK(ranked.subjects[0].is_set());
  CHECK(ranked.subjects[0].tokens().size() == 10);
  CHECK(ranked.subjects[0].group == "top:surprisal:10%");
  const std::vector<std::int32_t> tokens = ranked.subjects[0].tokens();
  const RunInfluence named = influence_of(test::set_of({tokens.begin(), tokens.end()}));
  CHECK(named.subjects[0].removed == tokens);
  CHECK(named.start == std::vector<std::int32_t>{100});
  CHECK(test::same_bits(named.kl, {ranked.kl.begin(), ranked.kl.begin() + 20}));
  // 64% is everything between the sinks and the recent tokens: a span.
  CHECK_FALSE(ranked.subjects[1].is_set());
  CHECK(test::same_bits(influence_of("list:4-67").kl, {ranked.kl.begin() + 20, ranked.kl.end()}));
}

// A row sees its own stream, so the influence at start + h is the same for any longer horizon; and
// tokens that nobody can see any more, the future, cannot matter.
TEST_CASE("what comes after a position does not change its influence") {
  Cpu cpu(2);
  const auto checkpoint = open_checkpoint(test::kTinyModels / "qwen2");
  std::vector<TokenId> ids;
  for (TokenId i = 0; i < 150; ++i) ids.push_back(i * 37 % 320);
  ProbeOptions options;
  options.context = 64;
  test::select(options, "list:5,9-12");
  const auto measure = [&](std::size_t horizon) {
    options.horizon = horizon;
    return test::probe<double>(cpu, *checkpoint, ids, options).influence.kl;
  };
  const std::vector<double> near = measure(10), far = measure(60);
  for (std::size_t subject = 0; subject < 2; ++subject) {
    for (std::size_t h = 0; h < 10; ++h) {
      CHECK(near[subject * 10 + h] == Approx(far[subject * 60 + h]).epsilon(1e-9));
    }
  }
}

}  // namespace
}  // namespace longshadow
