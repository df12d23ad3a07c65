#include "analysis/statistics/samples.h"

#include <catch2/catch.hpp>
#include <set>
#include <stdexcept>
#include <string>

#include "analysis/results/entropy_by_tag.h"
#include "analysis/statistics/word_class.h"
#include "data/format/schema.h"
#include "tests/support/larger.h"
#include "tests/support/synthetic_run.h"

using namespace longshadow;

namespace {

const std::vector<DistanceBin> kBins = {{0, 32}, {32, 100}};

Sample sample_of(const DocumentRun& document) { return make_sample(document, kBins, {}, {}); }

const Group& named(const std::vector<Group>& groups, const std::string& name) {
  for (const Group& group : groups) {
    if (group.name == name) return group;
  }
  throw std::runtime_error("no group " + name);
}

std::uint8_t tag(const std::string& name) {
  for (std::uint8_t t = 0; t < schema::kUniversalTags.size(); ++t) {
    if (schema::kUniversalTags[t] == name) return t;
  }
  throw std::runtime_error("no tag " + name);
}

}  // namespace

TEST_CASE("what was drawn stands for the document, what a signal chose does not") {
  DocumentRun document = test::synthetic_run({.n_subjects = 40}).documents[0];
  auto& subjects = document.influence.subjects;
  for (std::size_t s = 20; s < subjects.size(); ++s) subjects[s].group = "each:drift:20";
  for (std::size_t s = 0; s < 20; ++s) subjects[s].group = "each:random:20";
  const Sample mixed = sample_of(document);
  for (const std::size_t s : mixed.population) CHECK((s < 20 && !mixed.subjects[s].is_sink));
  CHECK(named(mixed.groups, "all").members == mixed.population);
  CHECK(named(mixed.groups, "chosen: each:drift:20").members.size() == subjects.size() - 20);
  for (const std::size_t s : named(mixed.groups, "top drift").members) CHECK(s < 20);

  for (RunSubject& subject : subjects) subject.group = "list";
  const Sample chosen = sample_of(document);
  CHECK(chosen.population.size() + named(chosen.groups, "sinks").members.size() == subjects.size());
}

TEST_CASE("quarters share the population out, lowest first") {
  const Sample sample = sample_of(test::synthetic_run({.n_subjects = 47}).documents[0]);
  REQUIRE(sample.quarters.size() == kQuarters * kSignals.size());
  std::set<std::size_t> seen;
  double highest = -1;
  for (std::size_t q = 0; q < kQuarters; ++q) {
    const Group& quarter = named(sample.quarters, "drift " + std::to_string(q + 1) + "/4");
    const std::size_t n = sample.population.size();
    CHECK((quarter.members.size() == n / 4 || quarter.members.size() == n / 4 + 1));
    double lowest = 1e9;
    double next = -1;
    for (const std::size_t s : quarter.members) {
      seen.insert(s);
      lowest = test::smaller(lowest, sample.subjects[s].signals[3]);
      next = test::larger(next, sample.subjects[s].signals[3]);
    }
    CHECK(lowest >= highest);
    highest = next;
  }
  CHECK(seen.size() == sample.population.size());
}

TEST_CASE("words by part of speech; a subject of several has none") {
  CHECK(word_class(tag("NOUN")) == WordClass::content);
  CHECK(word_class(tag("PROPN")) == WordClass::content);
  CHECK(word_class(tag("VERB")) == WordClass::content);
  CHECK(word_class(tag("AUX")) == WordClass::function);
  CHECK(word_class(tag("DET")) == WordClass::function);
  for (const char* neither : {"ADV", "INTJ", "NUM", "PUNCT", "SYM", "X", "NONE"}) {
    CHECK(word_class(tag(neither)) == WordClass::neither);
  }
  DocumentRun document = test::synthetic_run({.n_subjects = 30}).documents[0];
  document.influence.subjects[5].end += 1;  // tags follow each other, so these are two
  const Sample sample = sample_of(document);
  CHECK(sample.subjects[5].upos == schema::kNoTag);
  std::size_t n_tagged = 0;
  for (std::uint8_t t = 0; t < schema::kNoTag; ++t) {
    for (const std::size_t s : named(sample.parts_of_speech, schema::kUniversalTags[t]).members) {
      const auto at = static_cast<std::size_t>(sample.subjects[s].position);
      CHECK(document.tokens.upos[at] == t);
      n_tagged += 1;
    }
  }
  CHECK(n_tagged > 20);
}

TEST_CASE("pooled documents keep apart whose subject is whose") {
  const RunFile run = test::synthetic_run({.n_documents = 6});
  std::vector<Sample> samples;
  for (const DocumentRun& document : run.documents) samples.push_back(sample_of(document));
  const Sample pooled = pool(samples);
  CHECK(pooled.n_documents == 6);
  CHECK(pooled.document.size() == pooled.subjects.size());
  CHECK(pooled.document.front() == 0);
  CHECK(pooled.document.back() == 5);
  const std::size_t offset = pooled.subjects.size() - samples[5].subjects.size();
  CHECK(pooled.subjects[offset].position == samples[5].subjects[0].position);
  CHECK(named(pooled.groups, "top drift").members.size() ==
        6 * named(samples[0].groups, "top drift").members.size());
  CHECK(clusters_of(pooled, pooled.document).size() == pooled.document.size());
  CHECK(clusters_of(samples[0], samples[0].document).empty());
}

TEST_CASE("entropy by part of speech is that of plain loops") {
  const DocumentRun document = test::synthetic_run().documents[0];
  const EntropyReport report = report_entropy(sample_of(document), {.replicates = 50});
  std::size_t n_rows = 0;
  for (const EntropyRow& row : report.rows) {
    if (row.name == kContentWords || row.name == kFunctionWords) continue;
    n_rows += 1;
    double before = 0;
    double at = 0;
    std::size_t n = 0;
    for (std::size_t i = 4; i < 512; ++i) {
      if (schema::kUniversalTags[document.tokens.upos[i]] != row.name) continue;
      before += document.signals.entropy[i - 1];
      at += document.signals.entropy[i];
      n += 1;
    }
    CHECK(row.n_tokens == n);
    CHECK(row.mean[0].value == Approx(before / static_cast<double>(n)));
    CHECK(row.mean[1].value == Approx(at / static_cast<double>(n)));
    CHECK(row.mean[1].low < row.mean[1].value);
  }
  CHECK(n_rows == 17);
  for (std::size_t reading = 0; reading < 2; ++reading) {
    CHECK(report.difference[reading].value ==
          Approx(report.rows[0].mean[reading].value - report.rows[1].mean[reading].value));
  }
  DocumentRun untagged = document;
  untagged.tokens.upos.clear();
  CHECK(report_entropy(sample_of(untagged), {}).rows.empty());
}
