// NaN in a run file says that nothing was measured: what a broken model gives must never be stored
// as that, nor be passed over in the noise floor.

#include <catch2/catch.hpp>
#include <limits>
#include <memory>

#include "engine/backend/cpu.h"
#include "probes/experiments/retain.h"
#include "tests/support/error_of.h"
#include "tests/support/probe_case.h"

namespace longshadow {
namespace {

/// A model that can be broken at any time, and a document.
struct Case {
  Cpu cpu{2};
  std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(test::kTinyModels / "llama_plain");
  ProbeModel model = load_probe_model(cpu, *checkpoint, Precision::f32);
  Document document;
  std::ostringstream log;

  Case() {
    std::vector<TokenId> ids;
    for (TokenId i = 0; i < 60; ++i) ids.push_back(i * 37 % 320);
    document = test::document_of(ids);
  }
  void break_model() {
    model.weights.head.norm.weight.view().as<float>().data[3] =
        std::numeric_limits<float>::quiet_NaN();
  }
  std::unique_ptr<Measurement> begin(Method method) {
    ProbeOptions options;
    options.context = 40;
    options.horizon = 8;
    test::select(options, "list:3,20");
    options.evict_at = parse_evict_at("end");
    options.method = method;
    return begin_probe(cpu, model, checkpoint->tokenizer(), document,
                       choose_subjects(document, checkpoint->config(), options), options, nullptr,
                       ProgressStyle::none, log);
  }
  std::unique_ptr<Measurement> begin_retention() {
    RetainOptions options;
    options.context = 40;
    options.horizon = 8;
    options.policies = {"knorm"};
    options.made = std::make_shared<Policies>(make_policies(options.policies, 0, {}));
    options.budgets = parse_budgets("0.5");
    return longshadow::begin_retention(cpu, model, checkpoint->tokenizer(), document, options,
                                       nullptr, ProgressStyle::none, log);
  }
};

void check_refused(Measurement& measurement, const std::string& what) {
  const std::vector<std::size_t> unit{0};
  std::vector<double> values(measurement.n_values());
  measurement.prepare({0, 1});
  CHECK_THAT(test::error_of([&] { measurement.measure(unit, values); }),
             Catch::StartsWith("document, " + what) && Catch::Contains("NaN at position 0"));
}

TEST_CASE("a full pass that is not a number is refused") {
  Case broken;
  broken.break_model();
  CHECK_THAT(test::error_of([&] { broken.begin(Method::differential); }),
             Catch::StartsWith("document, the full pass") && Catch::Contains("NaN at position 0"));
  CHECK_THAT(test::error_of([&] { broken.begin_retention(); }),
             Catch::StartsWith("document, the full pass"));
}

TEST_CASE("a noise floor that is not a number is refused") {
  Case breaks;
  const auto measurement = breaks.begin(Method::direct);
  CHECK(measurement->pass().influence.noise_floor.size() == 8);
  breaks.break_model();
  CHECK_THAT(test::error_of([&] { measurement->pass(); }), Catch::StartsWith("the noise floor"));
}

TEST_CASE("an influence that is not a number is refused") {
  Case breaks;
  const auto direct = breaks.begin(Method::direct);
  const auto differential = breaks.begin(Method::differential);
  const auto retention = breaks.begin_retention();
  breaks.break_model();
  check_refused(*direct, "influence");
  check_refused(*differential, "influence");
  check_refused(*retention, "the future of a compressed cache");
}

}  // namespace
}  // namespace longshadow
