#include "probes/subjects/policy_subjects.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/model/full_pass.h"
#include "probes/experiments/retain.h"
#include "tests/support/devices.h"
#include "tests/support/error_of.h"
#include "tests/support/probe_case.h"
#include "tests/support/skip.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::error_of;
using test::TinyModel;

const std::vector<std::string> kPolicies{
    "snapkv:window=8",    "adakv/knorm", "pyramidkv:window=8", "tova", "h2o", "infokv:window=8",
    "expected-attention", "random"};
const std::vector<std::string> kBudgets{"0.3", "0.1"};

/// "policy:tova@0.3+policy:tova@0.1+...", in the order of retain's units.
std::string subjects_of(const std::vector<std::string>& policies) {
  std::string subjects;
  for (const std::string& policy : policies) {
    for (const std::string& budget : kBudgets) {
      subjects += (subjects.empty() ? "policy:" : "+policy:");
      subjects += policy;
      subjects += '@' + budget;
    }
  }
  return subjects;
}

/// What retain and probe measure of the same policies on the same document.
struct Both {
  DocumentRun retained, probed;
  ModelConfig config;

  /// KL of probe's subject s.
  std::vector<double> kl(std::size_t s) const {
    const std::size_t horizon = probed.influence.noise_floor.size();
    const auto begin = probed.influence.kl.begin() + static_cast<std::ptrdiff_t>(s * horizon);
    return {begin, begin + static_cast<std::ptrdiff_t>(horizon)};
  }

  void check_slots() const {
    REQUIRE(probed.influence.subjects.size() == retained.retention.size());
    for (std::size_t s = 0; s < retained.retention.size(); ++s) {
      CAPTURE(retained.retention[s].name());
      std::vector<std::uint8_t> left = retained.retention[s].kept;
      const std::size_t of_layer = left.size() / config.n_layers;
      for (std::size_t i = 0; i < left.size(); ++i) {
        // A layer with a window keeps what it sees, and nothing is removed from it.
        const bool is_compressed = config.window(i / of_layer) == 0;
        left[i] = is_compressed && left[i] == 0 ? 1 : 0;
      }
      CHECK(probed.influence.subjects[s].evicted == left);
      CHECK(probed.influence.subjects[s].group == "policy:" + retained.retention[s].name());
      CHECK(probed.influence.subjects[s].is_set());
    }
  }
};

template <class T, class Device>
Both measure(Device& device, const Checkpoint& checkpoint, const Document& document,
             std::size_t context, std::size_t horizon, Method method,
             const std::vector<std::string>& policies) {
  RetainOptions retain;
  retain.context = context;
  retain.horizon = horizon;
  retain.policies = policies;
  retain.made = std::make_shared<Policies>(make_policies(policies, 4, {}));
  for (const std::string& budget : kBudgets) retain.budgets.push_back(parse_budget(budget));
  retain.precision = sizeof(T) == 8 ? Precision::f64 : Precision::f32;
  ProbeOptions probe;
  probe.context = context;
  probe.horizon = horizon;
  probe.evict_at = {EvictAt::Kind::end, 0};
  test::select(probe, subjects_of(policies));
  probe.precision = retain.precision;
  probe.method = method;
  const ProbeModel model = load_probe_model(device, checkpoint, probe.precision);
  std::ostringstream log;
  return {retain_document(device, model, checkpoint.tokenizer(), document, retain, nullptr,
                          ProgressStyle::none, log),
          probe_document(device, model, checkpoint.tokenizer(), document, probe,
                         ProgressStyle::none, log),
          checkpoint.config()};
}

/// Both are measured in f64: no more than 1e-9 of a divergence, or of a millionth of a nat, apart.
void check_same_kl(const Both& both) {
  for (std::size_t s = 0; s < both.retained.retention.size(); ++s) {
    const std::vector<double> found = both.kl(s);
    const std::vector<double>& expected = both.retained.retention[s].kl;
    CAPTURE(both.retained.retention[s].name());
    REQUIRE(found.size() == expected.size());
    for (std::size_t h = 0; h < found.size(); ++h) {
      CHECK(std::abs(found[h] - expected[h]) <= 1e-9 * std::max(expected[h], 1e-6));
    }
  }
}

TEMPLATE_TEST_CASE("policy: removes what retain evicts, and costs what retain finds", "",
                   test::CpuF64, test::CudaF64) {
  test::UnderTest<typename TestType::Device> on;
  const std::vector<TinyModel> models = test::tiny_models();
  for (const TinyModel& model : models) {
    const auto checkpoint = open_checkpoint(model.path);
    const Document document =
        test::document_of(model.expected["token_ids"].get<std::vector<TokenId>>());
    for (const Method method : {Method::direct, Method::differential}) {
      CAPTURE(model.path, name_of(method));
      const Both both = measure<double>(
          on.device, *checkpoint, document, model.expected["context"].get<std::size_t>(),
          model.expected["future"].get<std::size_t>(), method, kPolicies);
      both.check_slots();
      check_same_kl(both);
    }
    if (std::is_same_v<typename TestType::Device, Cuda>) return;  // one will do: it is slow there
  }
}

TEST_CASE("policy: SmolLM2's policies cost what retain finds", "[long]") {
  const std::filesystem::path path =
      std::filesystem::path(LONGSHADOW_SOURCE_MODELS) / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    return test::skip("no " + path.lexically_normal().string() + "; bash data/fetch_model.sh");
  }
  Cpu cpu;
  const auto checkpoint = open_checkpoint(path);
  const Document document = read_document(
      (std::filesystem::path(LONGSHADOW_FIXTURES) / "../documents/how_a_cache_forgets.txt")
          .string(),
      "document", checkpoint->tokenizer(), SpecialTokens::as_text, BosPolicy::as_tokenizer_says,
      512);
  const Both both =
      measure<double>(cpu, *checkpoint, document, 192, 24, Method::differential, kPolicies);
  both.check_slots();
  check_same_kl(both);
}

TEST_CASE("policy: leaves the layers and heads that it is told to") {
  Cpu cpu(2);
  const TinyModel model = test::tiny_models()[0];
  const auto checkpoint = open_checkpoint(model.path);
  const auto ids = model.expected["token_ids"].get<std::vector<TokenId>>();
  ProbeOptions options;
  options.context = model.expected["context"].get<std::size_t>();
  options.horizon = model.expected["future"].get<std::size_t>();
  options.evict_at = {EvictAt::Kind::end, 0};
  test::select(options, "policy:knorm@0.3");
  options.layers = parse_number_list("1");
  options.heads = parse_number_list("0");
  const DocumentRun run = test::probe<double>(cpu, *checkpoint, ids, options);
  const std::vector<std::uint8_t>& evicted = run.influence.subjects[0].evicted;
  const std::size_t slots = options.context * checkpoint->config().n_kv_heads;  // of a layer
  for (std::size_t i = 0; i < evicted.size(); ++i) {
    const bool may_leave = i >= slots && i < slots + options.context;
    CHECK((evicted[i] == 0 || may_leave));
  }
  CHECK(std::count(evicted.begin(), evicted.end(), 1) > 0);
}

TEST_CASE("policy: what cannot be removed is refused in a line") {
  const auto refused = [](const std::string& part, EvictAt evict_at = {EvictAt::Kind::end, 0}) {
    return error_of([&] {
      const Selection selection = parse_selection(part);
      make_selected_policies(selection, 100, 4, {});
      choose_subjects(selection, test::document_of({}), {100, 4, 32, evict_at, 0});
    });
  };
  CHECK_THAT(refused("policy:snapkv"), Contains("policy:POLICY@SHARE"));
  CHECK_THAT(refused("policy:@0.2"), Contains("policy:POLICY@SHARE"));
  CHECK_THAT(refused("policy:snapkv@2"), Contains("at most 1") && Contains("\"2\""));
  CHECK_THAT(refused("policy:snapkv@1"), Contains("evicts nothing"));
  CHECK_THAT(refused("policy:snapvk@0.2"), Contains("snapkv"));
  CHECK_THAT(refused("policy:snapkv:window=200@0.2"), Contains("200"));
  CHECK_THAT(refused("policy:oracle@0.2"), Contains("--influence"));
  CHECK_THAT(refused("policy:key-rotation/snapkv@0.2"), Contains("moves the keys"));
  CHECK_THAT(refused("policy:snapkv@0.2", {EvictAt::Kind::lag, 16}), Contains("`evict_at` end"));
}

}  // namespace
}  // namespace longshadow
