#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "tests/support/devices.h"
#include "tests/support/larger.h"
#include "tests/support/probe_case.h"

namespace longshadow {
namespace {

ProbeOptions options_of(const test::TinyModel& model, Precision precision, Method method) {
  ProbeOptions options;
  options.context = model.expected["context"].get<std::size_t>();
  options.horizon = model.expected["future"].get<std::size_t>();
  test::select(options, "list:0,1,5,9-12,20");
  options.evict_at = parse_evict_at("lag:3");
  options.precision = precision;
  options.method = method;
  return options;
}

template <class T, class Device>
DocumentRun measure(Device& device, const test::TinyModel& model, const ProbeOptions& options) {
  const auto checkpoint = open_checkpoint(model.path);
  const auto ids = model.expected["token_ids"].get<std::vector<TokenId>>();
  const ProbeModel loaded = load_probe_model(device, *checkpoint, options.precision);
  std::ostringstream log;
  return probe_document(device, loaded, checkpoint->tokenizer(), test::document_of(ids), options,
                        ProgressStyle::none, log);
}

/// The largest difference of two subjects' mean influences, relative to the expected one.
double largest_difference(const std::vector<double>& found, const std::vector<double>& expected,
                          std::size_t horizon) {
  double largest = 0;
  for (std::size_t first = 0; first < expected.size(); first += horizon) {
    const auto mean = [&](const std::vector<double>& kl) {
      return std::accumulate(kl.begin() + first, kl.begin() + first + horizon, 0.0);
    };
    largest = test::larger(largest, std::abs(mean(found) - mean(expected)) / mean(expected));
  }
  return largest;
}

struct Kind {
  Precision precision;
  Method method;
  /// Of a subject's influence. f32's and f64's are what issue-sized texts show of the differential
  /// form's error (3.9e-6 in f32 at most); of two bf16 runs, each may be off by 7.5e-3.
  double tolerance;
};

template <class T>
void compare(const Kind& kind) {
  const test::InThreadOrder order(GENERATE(from_range(test::kThreadOrders)));
  for (const std::string& name : test::kFewTinyModelNames) {
    const nlohmann::json expected =
        nlohmann::json::parse(std::ifstream(test::kTinyModels / (name + ".json")));
    const test::TinyModel model{test::kTinyModels / name, expected, 0};
    const ProbeOptions options = options_of(model, kind.precision, kind.method);
    Cpu cpu(2);
    Cuda cuda;
    const DocumentRun here = measure<T>(cpu, model, options);
    const DocumentRun there = measure<T>(cuda, model, options);
    CAPTURE(name, int(kind.precision), int(kind.method));
    CHECK(largest_difference(there.influence.kl, here.influence.kl, options.horizon) <=
          kind.tolerance);
    const auto check_close = [](const std::vector<float>& a, const std::vector<float>& b) {
      REQUIRE(a.size() == b.size());
      for (std::size_t i = 0; i < a.size(); ++i) {
        CHECK(std::abs(a[i] - b[i]) <= 2e-5 * std::max(1.f, std::abs(b[i])));
      }
    };
    check_close(there.signals.entropy, here.signals.entropy);
    check_close(there.signals.entropy_topk, here.signals.entropy_topk);
    const auto after_first = [](const std::vector<float>& surprisal) {
      CHECK(std::isnan(surprisal[0]));  // nothing predicts the first token
      return std::vector<float>(surprisal.begin() + 1, surprisal.end());
    };
    check_close(after_first(there.signals.surprisal), after_first(here.signals.surprisal));
    check_close(there.signals.drift, here.signals.drift);
    check_close(there.signals.attention_window, here.signals.attention_window);
    check_close(there.signals.attention_cumulative, here.signals.attention_cumulative);
  }
}

TEST_CASE("a CUDA device measures what the processor does", "[host_cuda]") {
  compare<double>({Precision::f64, Method::direct, 1e-10});
  compare<double>({Precision::f64, Method::differential, 1e-12});
  compare<float>({Precision::f32, Method::differential, 1e-5});
  compare<float>({Precision::bf16, Method::differential, 2 * 7.5e-3});
}

}  // namespace
}  // namespace longshadow
