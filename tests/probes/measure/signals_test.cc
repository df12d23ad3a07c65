#include "probes/gather/signals.h"

#include <catch2/catch.hpp>

#include "engine/backend/cpu.h"
#include "tests/support/larger.h"
#include "tests/support/probe_case.h"

namespace longshadow {
namespace {

using test::TinyModel;

/// A row of numbers, null as NaN.
std::vector<double> numbers(const nlohmann::json& json) {
  std::vector<double> values;
  for (const nlohmann::json& item : json) {
    values.push_back(item.is_null() ? std::numeric_limits<double>::quiet_NaN()
                                    : item.get<double>());
  }
  return values;
}

/// Rows of `expected` values each, of which `found` has `stride`; what is beyond them must be 0.
void check_rows(const std::vector<float>& found, std::size_t stride,
                const std::vector<std::vector<double>>& expected, double tolerance) {
  REQUIRE(found.size() == expected.size() * stride);
  double largest = 0;
  for (std::size_t row = 0; row < expected.size(); ++row) {
    for (std::size_t i = 0; i < stride; ++i) {
      const double here = i < expected[row].size() ? expected[row][i] : 0.0;
      largest = test::larger(largest, std::abs(double(found[row * stride + i]) - here));
    }
  }
  CHECK(largest <= tolerance);
}

template <class T>
void check_signals(const TinyModel& model) {
  Cpu cpu(2);
  const auto checkpoint = open_checkpoint(model.path);
  const auto ids = model.expected["token_ids"].get<std::vector<TokenId>>();
  ProbeOptions options;
  options.context = model.expected["context"].get<std::size_t>();
  options.horizon = ids.size() - options.context - 1;
  options.evict_at = parse_evict_at("lag:1");
  test::select(options, "list:0");
  options.entropy_top_k = 20;  // the fixture's
  const DocumentRun run = test::probe<T>(cpu, *checkpoint, ids, options);
  const RunSignals& signals = run.signals;
  const std::size_t n = ids.size();
  REQUIRE(run.tokens.id == ids);

  // Nats and attention move by at most a few times what the logits and scores are off by; they are
  // stored as f32.
  const double tolerance =
      1e-6 + 40 * (sizeof(T) == 8 ? model.f64_tolerance
                                  : test::f32_logit_tolerance(checkpoint->config(), n, 1));
  const auto rows = [&](const char* key) {
    return std::vector<std::vector<double>>{numbers(model.expected[key])};
  };
  check_rows(signals.entropy, n, rows("entropy"), tolerance);
  check_rows(signals.entropy_topk, n, rows("entropy_top20"), tolerance);
  CHECK(signals.entropy_k == 20);
  CHECK(std::isnan(signals.surprisal[0]));
  std::vector<double> surprisal = numbers(model.expected["surprisal"]);
  surprisal.erase(surprisal.begin());
  check_rows({signals.surprisal.begin() + 1, signals.surprisal.end()}, n - 1, {surprisal},
             tolerance);

  std::vector<std::vector<double>> drift, window, cumulative;
  const std::size_t heads = checkpoint->config().n_kv_heads;
  for (std::size_t layer = 0; layer < checkpoint->config().n_layers; ++layer) {
    drift.push_back(numbers(model.expected["drift"][layer]));
    for (std::size_t head = 0; head < heads; ++head) {
      window.push_back(numbers(model.expected["attention_window64"][layer][head]));
      cumulative.push_back(numbers(model.expected["attention_cumulative"][layer][head]));
    }
  }
  check_rows(signals.drift, n, drift, tolerance);
  check_rows(signals.attention_window, n, window, tolerance);
  check_rows(signals.attention_cumulative, n, cumulative, tolerance);
}

TEMPLATE_TEST_CASE("signals are those of transformers in float64", "", double, float) {
  for (const TinyModel& model : test::tiny_models()) {
    DYNAMIC_SECTION(model.path.filename().string()) { check_signals<TestType>(model); }
  }
}

// Softmax rows sum to 1: over the window's queries the window signal sums to 1 for every head, and
// cumulative times (T - j) to T. The context is shorter than, as long as, or longer than the
// window.
TEST_CASE("attention signals account for every query") {
  Cpu cpu(2);
  const auto checkpoint = open_checkpoint(test::kTinyModels / "llama_plain");
  const std::size_t context = GENERATE(as<std::size_t>(), 10, 64, 200);
  CAPTURE(context);
  std::vector<TokenId> ids;
  for (TokenId i = 0; i < 250; ++i) ids.push_back(i * 37 % 320);
  ProbeOptions options;
  options.context = context;
  options.horizon = 20;
  options.evict_at = parse_evict_at("end");
  test::select(options, "list:0");
  const DocumentRun run = test::probe<double>(cpu, *checkpoint, ids, options);
  const std::size_t n = context + 20;
  const std::size_t rows = run.signals.attention_window.size() / n;
  CHECK(rows == 4);
  for (std::size_t row = 0; row < rows; ++row) {
    double window = 0, cumulative = 0;
    for (std::size_t j = 0; j < n; ++j) {
      window += double(run.signals.attention_window[row * n + j]);
      cumulative +=
          double(run.signals.attention_cumulative[row * n + j]) * (double(context) - double(j));
    }
    CHECK(window == Approx(1).epsilon(1e-6));
    CHECK(cumulative == Approx(double(context)).epsilon(1e-6));
  }
}

}  // namespace
}  // namespace longshadow
