#include "analysis/results/retention.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "analysis/report/report.h"
#include "tests/support/synthetic_run.h"

using namespace longshadow;
using test::synthetic_run;

namespace {

constexpr std::size_t kContext = 8, kHorizon = 8, kRows = 6;  // 3 layers, 2 KV heads

/// The same slots in every layer and KV head.
std::vector<std::uint8_t> everywhere(const std::vector<std::uint8_t>& tokens) {
  std::vector<std::uint8_t> kept;
  for (std::size_t row = 0; row < kRows; ++row) {
    kept.insert(kept.end(), tokens.begin(), tokens.end());
  }
  return kept;
}

RunRetention retention_of(const std::string& policy, const std::vector<std::uint8_t>& tokens) {
  RunRetention one;
  one.policy = policy;
  one.budget = "0.5";
  one.kept = everywhere(tokens);
  one.kl = {1, 3, 50, 50, 50, 50, 5, 9};
  one.top1 = {1, 1, 1, 0, 0, 1, 0, 0};
  one.surprisal.assign(kHorizon, 3);
  one.surprisal.back() = std::nanf("");
  one.bytes_kept = 30;
  one.bytes_full = 100;
  one.kv_bits = 32;
  return one;
}

/// One document of eight tokens whose signals and tags are plain to see.
RunFile small_run() {
  RunFile run = synthetic_run({.n_tokens = kContext + kHorizon,
                               .context = kContext,
                               .horizon = kHorizon,
                               .n_subjects = 1,
                               .lag = -1});
  DocumentRun& document = run.documents[0];
  document.influence = {};
  document.tokens.upos = {7, 7, 7, 7, 15, 15, 15, 17, 7, 7, 7, 7, 7, 7, 7, 7};  // NOUN, VERB, NONE
  for (std::size_t i = 0; i < kContext + kHorizon; ++i) {
    document.signals.entropy[i] = static_cast<float>(10 + i);  // before: none, 10, 11, ...
    document.signals.surprisal[i] = 2;
    for (std::size_t layer = 0; layer < 3; ++layer) {
      document.signals.drift[layer * (kContext + kHorizon) + i] = static_cast<float>(20 - i);
    }
  }
  document.retention = {retention_of("a", {1, 1, 1, 1, 0, 0, 0, 0}),
                        retention_of("b", {0, 0, 1, 1, 1, 1, 0, 0})};
  return run;
}

RetentionReport analyzed(const RunFile& run) {
  return analyze_retention(run, BootstrapOptions{200, 1}).value();
}

}  // namespace

TEST_CASE("What a policy costs is summed up over quarters of the future") {
  const RetentionReport report = analyzed(small_run());
  REQUIRE(report.arms.size() == 2);
  const RetentionArm& arm = report.arms[0];
  CHECK(arm.policy == "a");
  CHECK(arm.n_documents == 1);
  CHECK(arm.near.mean.value == 2);
  CHECK(arm.near.median.value == 2);
  CHECK(arm.far.mean.value == 7);
  CHECK(std::isnan(arm.far.mean.low));  // one document says nothing of the next
  CHECK(arm.top1.value == 0.5);
  CHECK(arm.bytes_share == 0.3);
  CHECK(arm.perplexity_ratio.value == Approx(std::exp(1.0)).epsilon(1e-12));
}

TEST_CASE("The kept share of each kind of token") {
  const KeptShares kept = analyzed(small_run()).arms[0].kept;
  CHECK(kept.by_tag[7] == 1);
  CHECK(kept.by_tag[15] == 0);
  CHECK(kept.by_tag[17] == 0);
  CHECK(std::isnan(kept.by_tag[0]));
  // Seven tokens have an entropy before: ranks 0 to 6 of tokens 1 to 7 are quarters 0 0 1 1 2 2 3.
  CHECK(kept.by_entropy == std::array<double, 4>{1, 0.5, 0, 0});
  CHECK(kept.by_drift == std::array<double, 4>{0, 0, 1, 1});  // falls with the position
  CHECK(kept.by_position[0] == 1);
  CHECK(kept.by_position[8] == 0);
  CHECK(std::isnan(kept.by_position[9]));  // a tenth that no token begins in
}

TEST_CASE("Layers and heads that differ are averaged") {
  RunFile run = small_run();
  run.documents[0].retention[0].kept[0] = 0;  // token 0 of one of six rows
  CHECK(analyzed(run).arms[0].kept.by_position[0] == Approx(5.0 / 6).epsilon(1e-12));
}

TEST_CASE("Overlap is what both keep over what either keeps") {
  const RetentionReport report = analyzed(small_run());
  REQUIRE(report.overlaps.size() == 1);
  CHECK(report.overlaps[0].policies == std::vector<std::string>{"a", "b"});
  const std::vector<double>& jaccard = report.overlaps[0].jaccard;
  CHECK(jaccard[0] == 1);
  CHECK(jaccard[1] == Approx(1.0 / 3).epsilon(1e-12));
  CHECK(jaccard[2] == jaccard[1]);
}

TEST_CASE("Budgets and bits are arms of their own, and documents are drawn as wholes") {
  RunFile run = small_run();
  for (int copy = 1; copy < 6; ++copy) {
    DocumentRun other = run.documents[0];
    other.name += std::to_string(copy);
    other.retention[0].kl[0] += copy;  // near means 2, 2.5, ... 4.5
    run.documents.push_back(other);
  }
  run.documents[0].retention.push_back(run.documents[0].retention[1]);
  run.documents[0].retention.back().budget = "0.25";
  run.documents[0].retention.push_back(run.documents[0].retention[1]);
  run.documents[0].retention.back().kv_bits = 4;
  const RetentionReport report = analyzed(run);
  REQUIRE(report.arms.size() == 4);
  CHECK(report.arms[0].n_documents == 6);
  CHECK(report.arms[0].near.mean.value == Approx(3.25).epsilon(1e-12));
  CHECK(report.arms[0].near.mean.low > 2);
  CHECK(report.arms[0].near.mean.high < 4.5);
  CHECK(report.arms[1].near.mean.low == report.arms[1].near.mean.high);  // all six are alike
  CHECK(report.arms[2].budget == "0.25");
  CHECK(report.arms[3].kv_bits == 4);
  REQUIRE(report.overlaps.size() == 2);
  CHECK(report.overlaps[0].policies.size() == 2);  // 4 bits keep the same slots
}

TEST_CASE("A run without a retention has none, and untagged tokens have no shares") {
  CHECK_FALSE(analyze_retention(synthetic_run(), BootstrapOptions{}));
  RunFile run = small_run();
  run.documents[0].tokens.upos.clear();
  run.documents[0].tokens.word.clear();
  CHECK(std::isnan(analyzed(run).arms[0].kept.by_tag[7]));
}

TEST_CASE("The report prints retention, and its JSON carries it") {
  const RunFile run = synthetic_run({.n_documents = 5, .has_retention = true});
  const Analysis report = analyze(run, AnalyzeOptions{});
  std::ostringstream text;
  print_text(text, make_report(report));
  for (const char* word : {"adakv/snapkv", "oracle", "near, mean", "perplexity ratio",
                           "by part of speech", "overlap at 0.4", "5 documents"}) {
    CHECK_THAT(text.str(), Catch::Contains(word));
  }
  const auto json = nlohmann::json::parse(to_json(make_report(report)));
  const auto& retention = json["retention"];
  REQUIRE(retention["arms"].size() == 8);
  CHECK(retention["arms"][0]["near"]["mean_nats"]["value"].get<double>() ==
        report.retention->arms[0].near.mean.value);
  CHECK(retention["arms"][0]["kept"]["by_upos"].size() == 18);
  REQUIRE(retention["overlaps"].size() == 2 * 4 * 4);
  CHECK(retention["overlaps"][1]["other"] == report.retention->overlaps[0].policies[1]);
  CHECK(retention["overlaps"][1]["jaccard"] == report.retention->overlaps[0].jaccard[1]);
  const std::string csv = to_csv(make_report(report));
  CHECK_THAT(csv, Catch::Contains(",retention,\"oracle 0.4 32\",,,near/mean_nats,nats,") &&
                      Catch::Contains(",overlaps,\"0.4 random oracle\",,,jaccard,,"));
  CHECK(nlohmann::json::parse(to_json(make_report(analyze(synthetic_run(), {}))))["retention"]
            .is_null());

  // Less is kept at 0.2 than at 0.4, costs more, and random more than the oracle.
  const auto near = [&](std::size_t arm) { return report.retention->arms[arm].near.mean.value; };
  REQUIRE(report.retention->arms[3].policy == "oracle");
  REQUIRE(report.retention->arms[5].policy == "random");
  CHECK(near(2) > near(3));
  CHECK(near(5) > near(3));
}
