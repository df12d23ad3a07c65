#include "analysis/results/calibration.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "analysis/report/report.h"
#include "tests/support/synthetic_run.h"

using namespace longshadow;
using Catch::Matchers::Contains;

namespace {

constexpr std::int64_t kSinks = 4;

/// A document whose control sample's exact influence is `factor` times its sketch.
DocumentRun document_with(double factor) {
  DocumentRun document = test::synthetic_run({.n_subjects = 100, .lag = -1}).documents[0];
  RunSketch sketch;
  sketch.bins = {{0, 8}, {8, 64}};
  sketch.probes = 16;
  sketch.probe_kind = "signs";
  sketch.detail = "token";
  const auto context = static_cast<std::size_t>(document.context_tokens);
  sketch.fi.assign(2 * context, 1e-7f);
  sketch.standard_error.assign(2 * context, 3e-8f);
  RunInfluence& influence = document.influence;
  for (std::size_t s = 0; s < influence.subjects.size(); ++s) {
    influence.subjects[s].group = "control";
    for (std::size_t b = 0; b < 2; ++b) {
      double sum = 0;
      for (int h = sketch.bins[b][0]; h < sketch.bins[b][1]; ++h) sum += influence.kl[s * 64 + h];
      const double mean = sum / (sketch.bins[b][1] - sketch.bins[b][0]);
      sketch.fi[b * context + influence.subjects[s].begin] = static_cast<float>(mean / factor);
    }
  }
  document.sketch = sketch;
  return document;
}

}  // namespace

TEST_CASE("a sketch that is half of everything has ratio 0.5 and ranks perfectly") {
  const DocumentRun document = document_with(2.0);
  const SketchReport report = calibrate(document, kSinks, {});
  CHECK(report.n_tokens == 512);
  CHECK(report.n_measured == document.influence.subjects.size());
  REQUIRE(report.bins.size() == 2);
  for (const CalibrationBin& bin : report.bins) {
    CHECK(bin.n_control == document.influence.subjects.size());
    CHECK(bin.ratio.value == Approx(0.5));
    CHECK(bin.rank_correlation.value == Approx(1.0));
    CHECK(bin.n_top == 16);
    CHECK(bin.n_top_found == 16);
    CHECK(bin.worst.size() == 5);
    CHECK(bin.worst[0].reason == "chance");
  }
  // Of a token that no counterfactual removed, too: most have the same estimate and error.
  CHECK(report.bins[0].relative_standard_error == Approx(0.3));
}

TEST_CASE("the worst tokens come first, with what may explain them") {
  DocumentRun document = document_with(1.0);
  const auto set = [&](std::size_t s, float factor) {
    document.sketch->fi[document.influence.subjects[s].begin] *= factor;
    return document.influence.subjects[s].begin;
  };
  const std::size_t last = document.influence.subjects.size() - 1;
  REQUIRE(document.influence.subjects[0].begin == 0);
  REQUIRE(document.influence.subjects[last].begin >= 512 - 64);
  const std::int32_t sink = set(0, 1e-4f);
  const std::int32_t recent = set(last, 1e3f);
  const std::int32_t heavy = set(40, 0.01f);
  const std::int32_t odd = set(50, 20.0f);
  const std::int32_t lucky = set(60, 2.0f);
  document.influence.subjects[40].group = "top";
  document.signals.attention_window[593 + heavy] = 0.4f;  // in the second row
  const CalibrationBin bin = calibrate(document, kSinks, {}).bins[0];
  REQUIRE(bin.worst.size() == 5);
  const std::vector<std::int32_t> tokens{sink, recent, heavy, odd, lucky};
  const std::vector<std::string> reasons{"sink", "recent", "attention", "", "chance"};
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(bin.worst[i].token == tokens[i]);
    CHECK(bin.worst[i].reason == reasons[i]);
  }
  CHECK(bin.worst[2].attention == Approx(0.4));
  CHECK(bin.worst[2].group == "top");
  CHECK(bin.n_control == document.influence.subjects.size() - 1);
}

TEST_CASE("what the sketch does not speak of is left out") {
  DocumentRun document = document_with(1.0);
  const std::size_t n = document.influence.subjects.size();
  document.influence.subjects[3].end += 1;  // a span
  document.influence.start[4] -= 1;         // gone earlier
  for (std::size_t h = 0; h < 64; ++h) document.influence.kl[5 * 64 + h] = std::nan("");
  document.sketch->fi[document.influence.subjects[6].begin] = 0;
  const SketchReport report = calibrate(document, kSinks, {});
  CHECK(report.bins[0].n_control == n - 4);
  CHECK(report.bins[1].n_control == n - 3);  // the zero was in the first bin
}

TEST_CASE("a run of sketches alone, and a screened one, are reported") {
  RunFile run = test::synthetic_run();
  run.documents[0] = document_with(1.0);
  std::ostringstream both;
  print_text(both, make_report(analyze(run, {})));
  CHECK_THAT(both.str(), Contains("Influence against distance") && Contains("16 of 16") &&
                             Contains("furthest off") && Contains("control"));
  const auto json = nlohmann::json::parse(to_json(make_report(analyze(run, {}))));
  CHECK(json["sketches"][0]["bins"][1]["offset"] == nlohmann::json::parse("[8, 64]"));
  CHECK(json["sketches"][0]["bins"][1]["n_top_found"] == 16);
  CHECK_THAT(to_csv(make_report(analyze(run, {}))),
             Contains(",sketches,\"\",8,64,n_top_found,,16,") && Contains(",misjudged_tokens,"));

  run.documents[0].influence = {};
  const Analysis report = analyze(run, {});
  CHECK(report.documents.empty());
  CHECK(report.sketches[0].n_measured == 0);
  std::ostringstream alone;
  print_text(alone, make_report(report));
  CHECK_THAT(alone.str(), Contains("sketch of 512 tokens, 0 of them") &&
                              !Contains("Influence against distance"));
  CHECK(nlohmann::json::parse(
            to_json(make_report(report)))["sketches"][0]["bins"][0]["ratio"]["value"]
            .is_null());
}
