// The whole main job on a real model and a real document, against values that float64 numpy
// computed apart from this code (its definitions are those of tests/parity/check_reference.py).

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "engine/backend/cpu.h"
#include "engine/backend/tile_product.h"
#include "engine/policy/policy.h"
#include "probes/documents/document.h"
#include "probes/gather/entropy_head.h"
#include "tests/support/larger.h"
#include "tests/support/probe_case.h"
#include "tests/support/skip.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;

const fs::path kModel = fs::path(LONGSHADOW_SOURCE_MODELS) / "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Relative errors, of single values and of subjects' means over the horizon. A median and a
/// quantile are of the values above 1e-9 nats.
struct Errors {
  double median, most_99, largest;
  double subject_median, subject_largest;
};

/// What float64 numpy computed, the document that it read, and what f64 is off by. The second was
/// summed as p (log p - log q), whose rounding, 1e-14 nats, is what its f64 errors are.
struct Reference {
  fs::path values, document;
  Errors f64;
};

const fs::path kRoot = fs::path(LONGSHADOW_FIXTURES).parent_path().parent_path();
const std::vector<Reference> kReferences{
    {kRoot / "build/reference/smollm2_how_a_cache_forgets.json",
     kRoot / "data/documents/how_a_cache_forgets.txt",
     {1.7e-12, 2.0e-11, 3.7e-11, 2.2e-13, 1.8e-12}},
    {LONGSHADOW_SHARED "/reference/smollm2_lomb_scargle.json",
     LONGSHADOW_SHARED "/data/docs/lomb_scargle.txt",
     {4.7e-10, 4.2e-6, 1.1e-5, 4e-11, 4.8e-10}}};

/// The first that is there, or nothing, and the test case skipped.
const Reference* reference() {
  if (!fs::exists(kModel)) {
    test::skip("no " + kModel.string() + "; bash data/fetch_model.sh fetches it");
    return nullptr;
  }
  for (const Reference& one : kReferences) {
    if (fs::exists(one.values) && fs::exists(one.document)) return &one;
  }
  test::skip("no " + kReferences[0].values.string() +
             "; python3 tests/parity/make_reference.py makes it");
  return nullptr;
}

/// The model, the document's tokens and what is known about them.
struct Case {
  std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(kModel);
  nlohmann::json expected;
  Document document;
  ProbeOptions options;

  explicit Case(const Reference& of)
      : expected(nlohmann::json::parse(std::ifstream(of.values))),
        document(read_document(of.document, "document", checkpoint->tokenizer(),
                               SpecialTokens::as_text, BosPolicy::as_tokenizer_says, 2048)) {
    CAPTURE(of.values, "made of another text; make it again");
    REQUIRE(document.source_sha256 == expected["document_sha256"].get<std::string>());
    options.context = expected["context"].get<std::size_t>();
    options.horizon = expected["future"].get<std::size_t>();
    options.entropy_top_k = 20;  // the reference's
  }

  std::string subjects(const char* key = "subjects") const {
    return test::list_of(expected[key].get<std::vector<std::size_t>>());
  }
  std::vector<double> kl(const char* key) const {
    return test::flat(expected[key].get<std::vector<std::vector<double>>>());
  }
};

/// One model in memory, many probes.
template <class T>
class Prober {
 public:
  Prober(const Case& of, Precision precision, Method method, bool with_gradients = false)
      : case_(of),
        model_(load_probe_model(cpu_, *of.checkpoint, precision, with_gradients)),
        options_(of.options) {
    options_.method = method;
    options_.precision = precision;
  }

  RunSketch sketch(std::size_t n_probes) {
    options_.sketch = SketchOptions{.bins = {{0, options_.horizon}}, .n_probes = n_probes};
    return *probe("all", "end").sketch;
  }

  DocumentRun probe(const std::string& subjects, const std::string& evict_at) {
    test::select(options_, subjects);
    options_.evict_at = parse_evict_at(evict_at);
    std::ostringstream log;
    return probe_document(cpu_, model_, case_.checkpoint->tokenizer(), case_.document, options_,
                          ProgressStyle::none, log);
  }

 private:
  Cpu cpu_;
  const Case& case_;
  ProbeModel model_;
  ProbeOptions options_;
};

void check_token_ids(const DocumentRun& run, const nlohmann::json& expected) {
  auto ids = expected["token_ids"].get<std::vector<TokenId>>();
  REQUIRE(run.tokens.id.size() <= ids.size());
  ids.resize(run.tokens.id.size());
  CHECK(run.tokens.id == ids);
}

/// The largest difference of `found` from as many of the expected values as it has.
double difference(const float* found, std::size_t size, const nlohmann::json& expected) {
  double largest = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (expected[i].is_null()) {
      CHECK(std::isnan(found[i]));
      continue;
    }
    largest = test::larger(largest, std::abs(double(found[i]) - expected[i].get<double>()));
  }
  return largest;
}

void check_signals(const DocumentRun& run, const nlohmann::json& expected,
                   const ModelConfig& config, double tolerance) {
  const RunSignals& signals = run.signals;
  const std::size_t n = run.tokens.id.size();
  const auto context = static_cast<std::size_t>(run.context_tokens);
  CHECK(difference(signals.entropy.data(), n, expected["entropy"]) <= tolerance);
  CHECK(difference(signals.entropy_topk.data(), n, expected["entropy_top20"]) <= tolerance);
  CHECK(difference(signals.surprisal.data(), n, expected["surprisal"]) <= tolerance);
  for (std::size_t i = 0; i < expected["drift_layers"].size(); ++i) {
    const auto layer = expected["drift_layers"][i].get<std::size_t>();
    CHECK(difference(&signals.drift[layer * n], n, expected["drift"][i]) <= tolerance);
  }
  for (std::size_t i = 0; i < expected["attention_layers"].size(); ++i) {
    const auto layer = expected["attention_layers"][i].get<std::size_t>();
    for (std::size_t head = 0; head < config.n_kv_heads; ++head) {
      const std::size_t row = (layer * config.n_kv_heads + head) * n;
      CHECK(difference(&signals.attention_window[row], context,
                       expected["attention_window64"][i][head]) <= tolerance);
      CHECK(difference(&signals.attention_cumulative[row], context,
                       expected["attention_cumulative"][i][head]) <= tolerance);
    }
  }
}

std::vector<double> ranks(const std::vector<double>& values) {
  REQUIRE(
      std::none_of(values.begin(), values.end(), [](double value) { return std::isnan(value); }));
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) rank[order[i]] = static_cast<double>(i);
  return rank;
}

/// Spearman's rank correlation of values without ties.
double rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const std::vector<double> x = ranks(a), y = ranks(b);
  double squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i) squares += (x[i] - y[i]) * (x[i] - y[i]);
  const auto n = static_cast<double>(x.size());
  return 1 - 6 * squares / (n * (n * n - 1));
}

std::vector<double> means(const std::vector<double>& kl, std::size_t horizon) {
  std::vector<double> per_subject;
  for (std::size_t i = 0; i < kl.size(); i += horizon) {
    per_subject.push_back(std::accumulate(kl.begin() + i, kl.begin() + i + horizon, 0.0) /
                          static_cast<double>(horizon));
  }
  return per_subject;
}

/// The value below which a share of them lies; no value may be NaN.
double quantile(std::vector<double> values, double share) {
  REQUIRE(
      std::none_of(values.begin(), values.end(), [](double value) { return std::isnan(value); }));
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

/// Of expected values above 1e-9 nats: under that the rounding of a reference which sums
/// p (log p - log q), 1e-14 nats, would be counted as ours.
std::vector<double> relative_errors(const std::vector<double>& found,
                                    const std::vector<double>& expected) {
  std::vector<double> errors;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (expected[i] > 1e-9) errors.push_back(std::abs(found[i] - expected[i]) / expected[i]);
  }
  return errors;
}

/// Holds the run to twice the errors that the README tells.
void check_accuracy(const DocumentRun& run, const std::vector<double>& expected,
                    std::size_t horizon, const Errors& told) {
  const std::vector<double>& found = run.influence.kl;
  REQUIRE(found.size() == expected.size());
  REQUIRE(std::all_of(found.begin(), found.end(), [](double kl) { return kl >= 0; }));
  const std::vector<double> of_values = relative_errors(found, expected);
  CHECK(quantile(of_values, 0.5) <= 2 * told.median);
  CHECK(quantile(of_values, 0.99) <= 2 * told.most_99);
  CHECK(quantile(of_values, 1) <= 2 * told.largest);
  CHECK(rank_correlation(found, expected) >= 1 - 2e-5);  // the README's 0.99999
  const std::vector<double> found_means = means(found, horizon);
  const std::vector<double> expected_means = means(expected, horizon);
  const std::vector<double> of_means = relative_errors(found_means, expected_means);
  CHECK(quantile(of_means, 0.5) <= 2 * told.subject_median);
  CHECK(quantile(of_means, 1) <= 2 * told.subject_largest);
  CHECK(rank_correlation(found_means, expected_means) >= 0.9999);
  // Of a subject's influence, the mean over positions: single positions reach 2e-10 in the direct
  // form, and the differential form, which `probe` uses unless told otherwise, has none at all.
  CHECK(means(run.influence.noise_floor, horizon)[0] < 1e-10);
}

TEST_CASE("SmolLM2 on an article, f64, against the reference", "[long]") {
  const Reference* const one = reference();
  if (one == nullptr) return;
  const Case of(*one);
  for (const Method method : {Method::differential, Method::direct}) {
    CAPTURE(int(method));
    Prober<double> prober(of, Precision::f64, method);
    const auto first = of.expected["span"][0].get<std::size_t>();
    const auto last = of.expected["span"][1].get<std::size_t>() - 1;
    const std::string span = std::to_string(first) + "-" + std::to_string(last);
    const DocumentRun end = prober.probe(of.subjects() + "," + span, "end");
    check_token_ids(end, of.expected);
    std::vector<double> expected = of.kl("kl_end");
    const auto kl_span = of.expected["kl_span"].get<std::vector<double>>();
    expected.insert(expected.end(), kl_span.begin(), kl_span.end());
    check_accuracy(end, expected, of.options.horizon, one->f64);
    // Surprisals of up to 32 nats are stored as f32 (half an ulp: 1e-6) and printed to eight
    // digits.
    check_signals(end, of.expected, of.checkpoint->config(), 2e-6);

    const DocumentRun lag = prober.probe(of.subjects("lag_subjects"), "lag:16");
    check_token_ids(lag, of.expected);
    check_accuracy(lag, of.kl("kl_lag"), of.options.horizon, one->f64);
  }
}

struct Arm {
  Precision precision;
  Method method;
  Errors at_end, at_lag;
};

// The larger of what was measured on the article in data/documents and on the paper in ../shared.
const std::vector<Arm> kArms{{Precision::f32,
                              Method::direct,
                              {4.8e-4, 1.0e-2, 1.9e-2, 9.1e-5, 1.2e-3},
                              {9.2e-5, 1.9e-3, 6.0e-3, 1.4e-5, 1.6e-4}},
                             {Precision::f32,
                              Method::differential,
                              {3.8e-6, 2.8e-5, 9.9e-5, 2.3e-6, 9.8e-6},
                              {4.1e-6, 1.3e-4, 2.2e-4, 1.9e-6, 3.2e-5}},
                             {Precision::bf16,
                              Method::differential,
                              {3.8e-3, 2.9e-2, 7.0e-2, 1.8e-3, 6.4e-3},
                              {4.2e-3, 1.3e-1, 2.4e-1, 1.9e-3, 3.8e-2}}};

TEST_CASE("SmolLM2 on an article, f32 and bf16, against the reference", "[long]") {
  const Reference* const one = reference();
  if (one == nullptr) return;
  const Case of(*one);
  for (const Arm& arm : kArms) {
    CAPTURE(name_of(arm.precision), name_of(arm.method));
    Prober<float> prober(of, arm.precision, arm.method);
    const DocumentRun end = prober.probe(of.subjects(), "end");
    check_accuracy(end, of.kl("kl_end"), of.options.horizon, arm.at_end);
    // Twice what was measured: the full pass of all three is f32's.
    check_signals(end, of.expected, of.checkpoint->config(), 2 * 3.5e-5);
    check_accuracy(prober.probe(of.subjects("lag_subjects"), "lag:16"), of.kl("kl_lag"),
                   of.options.horizon, arm.at_lag);
  }
}

// What policies score by against the full pass's own: off by what f32 logits are off by themselves.
TEST_CASE("screened entropies of SmolLM2 on an article", "[long]") {
  const Reference* const one = reference();
  if (one == nullptr) return;
  if (!has_byte_products()) return test::skip("this processor does not multiply bytes");
  const Case of(*one);
  Cpu cpu;
  const auto weights = load_weights(cpu, *of.checkpoint, element_of<float>());
  // Of many tokens the bytes miss some whose share is small. Bounds are twice what was measured.
  const auto [k, bound] =
      GENERATE(table<std::size_t, double>({{20, 2 * 1.7e-5}, {kEntropyTopK, 2 * 9.4e-5}}));
  CAPTURE(k);
  const std::size_t n = of.options.context + of.options.horizon;
  std::vector<TokenId> ids;
  for (std::size_t i = 0; i < n; ++i) ids.push_back(of.document.tokens[i].id);
  const FullPass full = run_full_pass(cpu, weights, std::span<const TokenId>(ids),
                                      std::span<LayerObserver* const>(), {.entropy_top_k = k});
  const std::vector<float> found = EntropyHead(cpu, weights).entropies(cpu, full, n, k);
  std::vector<double> screened(found.begin(), found.end()), exact;
  double largest_difference = 0;
  for (std::size_t i = 0; i < n; ++i) {
    exact.push_back(full.predictions[i].entropy_top_k);
    largest_difference = test::larger(largest_difference, std::abs(screened[i] - exact[i]));
  }
  CAPTURE(largest_difference);
  CHECK(rank_correlation(screened, exact) >= 0.9999);
  CHECK(largest_difference <= bound);
}

// Every token at once against one at a time. Measured on both texts and in either precision: a rank
// correlation of .979, and what it lacks may double.
TEST_CASE("the sketch of SmolLM2 on an article ranks tokens as the reference does", "[long]") {
  const Reference* const one = reference();
  if (one == nullptr) return;
  const Case of(*one);
  const std::vector<double> expected = means(of.kl("kl_end"), of.options.horizon);
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    CAPTURE(name_of(precision));
    Prober<float> prober(of, precision, Method::differential, true);
    const RunSketch sketch = prober.sketch(16);
    std::vector<double> found;
    for (const auto& token : of.expected["subjects"]) {
      found.push_back(static_cast<double>(sketch.fi[token.get<std::size_t>()]));
    }
    CHECK(rank_correlation(found, expected) >= 0.957);
  }
}

}  // namespace
}  // namespace longshadow
