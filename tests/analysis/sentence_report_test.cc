#include "analysis/results/sentence_report.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "analysis/report/report.h"
#include "data/format/schema.h"
#include "tests/support/synthetic_run.h"

using namespace longshadow;
using Catch::Matchers::Contains;
using test::synthetic_run;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Sentences of 1, 2, 2, 1 and 4 tokens, of which the first three are removed and five positions
/// measured; the first token is a sink.
DocumentRun five_sentences() {
  DocumentRun document =
      synthetic_run({.n_tokens = 10, .context = 5, .horizon = 5, .n_subjects = 1, .lag = 0})
          .documents[0];
  document.tokens.sentence = {0, 1, 1, 2, 2, 3, 4, 4, 4, 4};
  RunInfluence& influence = document.influence;
  influence.subjects = {{0, 1, "a", schema::kSentenceGroup},
                        {1, 3, "b", schema::kSentenceGroup},
                        {3, 5, "c", schema::kSentenceGroup}};
  influence.start = {1, 3, 5};
  influence.noise_floor = {0.5, 0.5, 0.5, 0.5, 0.5};
  influence.kl = {8, 6,   4, 2, 1,   // on 1 (twice), 2 (twice), 3
                  4, 3,   2, 9, 9,   // on 2 (twice), 3, half of 4
                  6, 0.5, 1, 0, 0};  // on 3, 4 (four times)
  return document;
}

TEST_CASE("later sentences are counted and averaged as by hand") {
  const auto reports = report_sentences({five_sentences()}, 1, {});
  REQUIRE(reports.size() == 1);
  const SentenceReport& report = reports[0];
  CHECK(report.name == "document_1");
  CHECK(report.n_sentences == 3);
  REQUIRE(report.bins.size() == 3);  // 1, 2, and of 3 to 4 what was measured
  CHECK((report.bins[2].begin == 3 && report.bins[2].end == 4));

  const GroupReport& all = report.groups.at(0);
  CHECK(all.name == "all");
  CHECK(all.cells[0].n_subjects == 2);
  CHECK(all.cells[0].mean.estimate.value == Approx((3.5 + 6) / 2));
  CHECK(all.cells[0].n_below_floor == 0);
  CHECK(all.cells[1].mean.estimate.value == Approx((2 + 0.5) / 2));  // 1.5 / 4 is under the floor
  CHECK(all.cells[1].n_below_floor == 1);
  CHECK(all.cells[1].mean.is_bound);
  CHECK(all.cells[2].n_subjects == 0);
  const GroupReport& sinks = report.groups.at(1);
  CHECK(sinks.name == "sinks");
  CHECK(sinks.cells[0].mean.estimate.value == 7);
  CHECK(sinks.cells[1].mean.estimate.value == 3);
  CHECK(sinks.cells[2].mean.estimate.value == 1);

  REQUIRE(report.top.size() == 2);
  CHECK(report.top[0].number == 1);
  CHECK(report.top[0].total_nats == 27);
  CHECK(report.top[0].most == 2);
  CHECK(report.top[0].most_nats == 3.5);
  CHECK(report.top[0].later[0].upper_mean == 3.5);
  CHECK(report.top[0].later[1].upper_mean == 2);
  CHECK(report.top[0].later[2].n_values == 0);
  CHECK(report.top[1].text == "c");
  CHECK(report.top[1].most == 3);
}

TEST_CASE("only sentences that are measured are reported") {
  DocumentRun document = five_sentences();
  for (std::size_t h = 0; h < 5; ++h) document.influence.kl[h] = kNaN;
  document.influence.subjects[2].group = "list";
  const auto reports = report_sentences({document}, 1, {});
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].n_sentences == 1);
  CHECK(reports[0].groups[1].n_subjects == 0);
  document.influence.subjects[1].group = "list";
  CHECK(report_sentences({document}, 1, {}).empty());
  document = five_sentences();
  document.tokens.sentence.clear();
  CHECK(report_sentences({document}, 1, {}).empty());
}

TEST_CASE("sentences of several documents are pooled, over documents from five on") {
  for (const std::size_t n : {2, 5}) {
    const RunFile run = synthetic_run({.n_documents = n, .lag = 0, .has_sentences = true});
    const auto reports = report_sentences(run.documents, 4, {});
    REQUIRE(reports.size() == n + 1);
    const SentenceReport& pooled = reports.back();
    CHECK(pooled.name == "all " + std::to_string(n) + " documents");
    CHECK(pooled.top.empty());
    std::size_t n_sentences = 0;
    for (std::size_t d = 0; d < n; ++d) n_sentences += reports[d].groups[0].n_subjects;
    CHECK(pooled.groups[0].n_subjects == n_sentences);
    CHECK(pooled.groups[1].n_subjects == n);
    // The made-up law falls with distance.
    const auto& cells = pooled.groups[0].cells;
    CHECK(cells[0].mean.estimate.value > cells[1].mean.estimate.value);
    CHECK(cells[0].mean.estimate.low < cells[0].mean.estimate.value);
    CHECK(reports[0].top.size() == kTopSentences);
  }
}

TEST_CASE("tables, JSON and CSV say the same of sentences") {
  const Analysis report = analyze(synthetic_run({.lag = 0, .has_sentences = true}), {});
  REQUIRE(report.sentences.size() == 1);
  const InfluentialSentence& first = report.sentences[0].top.at(0);
  std::ostringstream out;
  print_text(out, make_report(report));
  CHECK_THAT(out.str(), Contains("sentences later") && Contains("the highest totals") &&
                            Contains("1, sinks") && !Contains("nan"));
  const auto json = nlohmann::json::parse(to_json(make_report(report)))["sentences"][0];
  CHECK(json["top"][0]["sentence"] == first.number);
  CHECK(json["top"][0]["total_nats"] == first.total_nats);
  CHECK(json["top"][0]["next"]["mean_nats"] == first.later[0].upper_mean);
  CHECK(json["groups"][0]["bins"][0]["later"] == nlohmann::json::parse("[1, 2]"));
  CHECK(json["groups"][0]["bins"][0]["mean_nats"]["value"] ==
        report.sentences[0].groups[0].cells[0].mean.estimate.value);
  const std::string csv = to_csv(make_report(report));
  CHECK_THAT(csv, Contains("\"document_1\",sentences,\"all\",1,2,") &&
                      Contains(",top_sentences,\"" + std::to_string(first.number) + "\",,,") &&
                      Contains(",next/mean_nats,nats,") && Contains(",total_nats,"));

  CHECK(nlohmann::json::parse(to_json(make_report(analyze(synthetic_run(), {}))))["sentences"]
            .empty());
}

}  // namespace
