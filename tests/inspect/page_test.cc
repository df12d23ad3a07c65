#include "analysis/inspect/page.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "analysis/inspect/base64.h"
#include "tests/support/synthetic_run.h"

using namespace longshadow;

namespace {

/// The text of the script element `id`.
std::string data_of(const std::string& page, const std::string& id) {
  const std::string start = "<script type=\"application/json\" id=\"" + id + "\">";
  const std::size_t begin = page.find(start);
  REQUIRE(begin != std::string::npos);
  const std::size_t end = page.find("</script>", begin);
  return page.substr(begin + start.size(), end - begin - start.size());
}

/// A context of `n` tokens, 30 layers, 128 subjects over 512 positions, eight compressed caches.
RunFile large_run(std::size_t n, std::size_t n_kv_heads) {
  test::SyntheticOptions options;
  options.n_tokens = n + 512;
  options.context = static_cast<std::int64_t>(n);
  options.horizon = 512;
  options.n_subjects = 128;
  options.has_sketch = true;
  options.has_retention = true;
  RunFile run = synthetic_run(options);
  run.model.n_layers = 30;
  run.model.n_kv_heads = static_cast<std::int64_t>(n_kv_heads);
  RunSignals& signals = run.documents[0].signals;
  std::mt19937 random(1);
  std::lognormal_distribution<float> weight(-8, 2);
  const auto fill = [&](std::vector<float>& values, std::size_t rows) {
    values.resize(rows * options.n_tokens);
    for (float& value : values) value = weight(random);
  };
  fill(signals.drift, 30);
  fill(signals.attention_window, 30 * n_kv_heads);
  fill(signals.attention_cumulative, 30 * n_kv_heads);
  run.documents[0].sketch->fi_parts.resize(2 * 30 * n, 1e-5f);
  for (RunRetention& retention : run.documents[0].retention)
    retention.kept.assign(30 * n_kv_heads * n, 1);
  return run;
}

}  // namespace

TEST_CASE("The page holds the run as JSON in which no element ends") {
  RunFile run = test::synthetic_run();
  run.model.name = "</script><script>alert(1)</script>";
  run.documents[0].tokens.text[3] = "<!-- \xff";
  const std::string page = render_page(run);
  const std::string data = data_of(page, "run");
  CHECK(data.find('<') == std::string::npos);
  CHECK(nlohmann::json::parse(data)["model"]["name"] == run.model.name);
  const std::string report = data_of(page, "report-data");
  CHECK(report.find('<') == std::string::npos);
  const auto section = nlohmann::json::parse(report)[0];
  CHECK_THAT(section["preface"].get<std::string>(), Catch::Contains(run.model.name));
  CHECK(section["views"][0]["lines"][0].size() == section["views"][0]["ends"].size());
  const auto document = nlohmann::json::parse(data_of(page, "document-0"));
  CHECK(document["tokens"]["text"].size() == run.documents[0].tokens.text.size());
  CHECK(document["tokens"]["text"][3] == "<!-- \xef\xbf\xbd");
}

TEST_CASE("Rows of the matrix of sentences are subjects that are one whole sentence each") {
  test::SyntheticOptions options;
  options.has_sentences = true;
  RunFile run = test::synthetic_run(options);
  std::vector<RunSubject>& subjects = run.documents[0].influence.subjects;
  subjects[1].group = "word";
  subjects[2].begin += 1;
  subjects[3].end -= 1;
  subjects[4].begin = subjects[3].begin;
  const auto sentences_of = [](const RunFile& file) {
    return nlohmann::json::parse(data_of(render_page(file), "document-0"))["sentences"];
  };
  std::vector<std::int32_t> rows(subjects.size());
  std::iota(rows.begin(), rows.end(), 0);
  rows.erase(rows.begin() + 1, rows.begin() + 5);
  CHECK(sentences_of(run)["subject"]["data"] == base64(std::as_bytes(std::span(rows))));

  SECTION("and a run without any has no matrix") {
    for (RunSubject& subject : subjects) subject.group = "word";
    CHECK(sentences_of(run).is_null());
  }
  SECTION("and neither has one in which none is measured") {
    for (double& kl : run.documents[0].influence.kl) kl = std::numeric_limits<double>::quiet_NaN();
    CHECK(sentences_of(run).is_null());
  }
}

TEST_CASE(
    "A page of 4,096 tokens and 30 layers takes under 5 MB, with the finest detail that does") {
  const auto attention_of = [](const std::string& page) {
    const auto document = nlohmann::json::parse(data_of(page, "document-0"));
    return document["signals"]["layered"]["attention-window"];
  };
  const std::string small = render_page(large_run(512, 8));
  CHECK(attention_of(small)["type"] == "log16");
  CHECK(attention_of(small)["heads"] == 8);

  const std::string page = render_page(large_run(4096, 3));
  CHECK(page.size() < 5'000'000);
  CHECK(attention_of(page)["heads"] == 3);

  const std::string many_heads = render_page(large_run(4096, 8));
  CHECK(many_heads.size() < 5'000'000);
  const auto coarse = attention_of(many_heads);
  CHECK(coarse["type"] == "log8");
  CHECK(coarse["heads"] == 1);
  CHECK(coarse["relative_error"] < 0.03);
}
