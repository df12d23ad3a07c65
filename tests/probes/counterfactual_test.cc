#include "probes/counterfactual.h"

#include <catch2/catch.hpp>

#include "probes/activation_tape.h"
#include "probes/differential_engine.h"
#include "probes/direct_engine.h"
#include "tests/support/probe_case.h"
#include "tests/support/random_matrix.h"

namespace longshadow {
namespace {

using test::TinyModel;

std::vector<double> doubles(const nlohmann::json& json) { return json.get<std::vector<double>>(); }
std::vector<double> flat(const nlohmann::json& json) {
  return test::flat(json.get<std::vector<std::vector<double>>>());
}

/// With logits that are off by e, KL = KL(p, q) is off by e sum |q - p| <= e sqrt(2 KL) (Pinsker)
/// from the change of the logits, e² at second order, and 4 e KL from p.
void check_kl(const std::vector<double>& found, const std::vector<double>& expected,
              double logit_error) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double kl = expected[i];
    const double bound = logit_error * (std::sqrt(2 * kl) + 4 * kl + logit_error);
    CAPTURE(i, kl, found[i]);
    CHECK(std::abs(found[i] - kl) <= bound);
  }
}

template <class T>
void check_influence(const TinyModel& model, Method method) {
  Cpu cpu(2);
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
    options.subjects = subjects;
    options.evict_at = parse_evict_at(evict_at);
    return test::probe<T>(cpu, *checkpoint, ids, options).influence.kl;
  };
  const auto lag = "lag:" + std::to_string(model.expected["lag"].get<std::size_t>());
  const auto end_subjects = model.expected["subjects"].get<std::vector<std::size_t>>();
  const auto lag_subjects = model.expected["lag_subjects"].get<std::vector<std::size_t>>();
  const auto span = model.expected["span"].get<std::vector<std::size_t>>();
  check_kl(measure(test::list_of(end_subjects), "end"), flat(model.expected["kl_end"]),
           logit_error);
  check_kl(measure(test::list_of(lag_subjects), lag), flat(model.expected["kl_lag"]), logit_error);
  check_kl(measure("list:" + std::to_string(span[0]) + "-" + std::to_string(span[1] - 1), "end"),
           doubles(model.expected["kl_span"]), logit_error);
}

TEMPLATE_TEST_CASE("influence is that of transformers in float64", "", double, float) {
  for (const TinyModel& model : test::tiny_models()) {
    for (const Method method : {Method::direct, Method::differential}) {
      DYNAMIC_SECTION(model.path.filename().string() << " method " << int(method)) {
        check_influence<TestType>(model, method);
      }
    }
  }
}

/// A full pass of a tiny model and both engines on it, for the same horizon.
template <class T>
struct Engines {
  static constexpr std::size_t kHorizon = 37;

  Cpu cpu;
  Weights<T> weights;
  std::unique_ptr<ActivationTape<Cpu, T>> tape;
  FullPass<T> full;

  explicit Engines(std::size_t threads = 2)
      : cpu(threads),
        weights(load_weights<T>(cpu, *open_checkpoint(test::kTinyModels / "llama_llama3"))),
        full(read()) {}

  FullPass<T> read() {
    std::vector<TokenId> tokens;
    for (TokenId i = 0; i < 200; ++i) tokens.push_back(i * 37 % 320);
    tape = std::make_unique<ActivationTape<Cpu, T>>(cpu, weights.config, 1, tokens.size());
    FullPassObserver<T>* observer = tape.get();
    return run_full_pass(cpu, weights, std::span<const TokenId>(tokens),
                         std::span<FullPassObserver<T>* const>(&observer, 1), {});
  }

  std::unique_ptr<CounterfactualEngine> direct(ColumnOrder order = ColumnOrder::forward) {
    return std::make_unique<DirectEngine<Cpu, T>>(cpu, weights, full, kHorizon, 8, order);
  }
  std::unique_ptr<CounterfactualEngine> differential() {
    DeltaWeights<T, T> delta{weights.layers, weights.packed_output, {}};
    for (std::size_t layer = 0; layer < weights.config.n_layers; ++layer) {
      delta.cache.push_back(std::as_const(full.cache).layer(layer));
    }
    return std::make_unique<DifferentialEngine<Cpu, T, T>>(cpu, weights, std::move(delta), full,
                                                           *tape, kHorizon, 8);
  }
};

std::vector<double> run(CounterfactualEngine& engine, std::span<const Counterfactual> batch) {
  std::vector<double> kl(batch.size() * 37);
  engine.run(batch, kl);
  return kl;
}

// Starts at no multiple of a tile; a sink, a span, everything, all but one token, two ranges.
const std::vector<Counterfactual> kBatch{{Removal({{0, 1}}), 101},
                                         {Removal({{40, 41}}), 57},
                                         {Removal({{3, 30}}), 163},
                                         {Removal({{0, 64}}), 64},
                                         {Removal({{0, 64}, {65, 150}}), 150},
                                         {Removal({{5, 6}, {77, 80}}), 130},
                                         {Removal({{1, 2}}), 2}};

TEMPLATE_TEST_CASE("a counterfactual has the same bits alone, in any batch, for any threads", "",
                   double, float) {
  using T = TestType;
  Engines<T> engines;
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
    Engines<T> on_one_thread(1);
    CHECK(test::same_bits(run(*make(on_one_thread), kBatch), together));
  }
}

// Two ways of computing the same number share nothing but the full pass. f64's own error, relative
// to the change, is some 1e-13; numerics of the direct form leave 1e-24 where nothing changes.
TEST_CASE("the differential form is the direct form") {
  Engines<double> engines;
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
  Engines<T> engines;
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

// A row sees its own stream, so the influence at start + h is the same for any longer horizon; and
// tokens that nobody can see any more, the future, cannot matter.
TEST_CASE("what comes after a position does not change its influence") {
  Cpu cpu(2);
  const auto checkpoint = open_checkpoint(test::kTinyModels / "qwen2");
  std::vector<TokenId> ids;
  for (TokenId i = 0; i < 150; ++i) ids.push_back(i * 37 % 320);
  ProbeOptions options;
  options.context = 64;
  options.subjects = "list:5,9-12";
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
