#include "analysis/results/claims.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <stdexcept>

#include "data/format/schema.h"
#include "tests/support/synthetic_run.h"

using namespace longshadow;

namespace {

const std::vector<DistanceBin> kBins = {{17, 32}, {64, 81}};

std::vector<Sample> samples_of(const RunFile& run) {
  std::vector<Sample> samples;
  for (const DocumentRun& document : run.documents) {
    samples.push_back(make_sample(document, kBins, {}, {}));
  }
  return samples;
}

ClaimsReport claims_of(const std::vector<Sample>& samples) {
  std::vector<const Sample*> documents;
  for (const Sample& sample : samples) documents.push_back(&sample);
  return test_claims(documents, {false, {0, 1}}, kAttentionCumulative, {});
}

const ClaimReport& claim(const ClaimsReport& report, const std::string& text) {
  for (const ClaimReport& one : report.claims) {
    if (one.claim.find(text) != std::string::npos) return one;
  }
  throw std::runtime_error("no claim " + text);
}

}  // namespace

TEST_CASE("made-up influence follows entropy before and attention, and fades by neither") {
  // Eight documents: all of one sign is 2 of 256 patterns, and Holm's factor is at most 8.
  const ClaimsReport report =
      claims_of(samples_of(test::synthetic_run({.n_documents = 8, .n_subjects = 200})));
  CHECK(report.flips_documents);
  REQUIRE(report.claims.size() == 8);
  for (const char* law : {"far influence grows with entropy-before", "near influence grows with"}) {
    CHECK(claim(report, law).correlation.low > 0);
    CHECK(claim(report, law).p == 2 / 256.0);
    CHECK(claim(report, law).p_holm <= 16 / 256.0);
    CHECK(claim(report, law).n_documents == 8);
  }
  for (const char* other : {"grows with entropy-at", "than by entropy-before", "content words: "}) {
    CHECK(claim(report, other).p_holm > 0.05);
    CHECK(std::abs(claim(report, other).correlation.value) < 0.15);
  }
}

TEST_CASE("a claim about words is of their tokens, and one document's is shuffled") {
  RunFile run = test::synthetic_run();
  DocumentRun& document = run.documents[0];
  for (std::size_t i = 0; i < 592; ++i) {  // nouns are uncertain, and what follows them is not
    const bool is_noun = document.tokens.upos[i + 1] == 7;
    document.signals.entropy[i] += is_noun ? 3.0F : 0.0F;
  }
  const ClaimsReport report = claims_of(samples_of(run));
  CHECK_FALSE(report.flips_documents);
  const ClaimReport& words = claim(report, "higher entropy-before than function");
  CHECK(words.correlation.value > 0.1);
  CHECK(std::isnan(words.correlation.low));
  CHECK(words.p_holm < 0.05);
  CHECK(words.n_units > 250);
}

TEST_CASE("position alone makes no claim hold") {
  // Influence and entropy both grow with position, and otherwise with nothing.
  RunFile run = test::synthetic_run({.n_documents = 8, .n_subjects = 200});
  for (DocumentRun& document : run.documents) {
    RunInfluence& influence = document.influence;
    const std::size_t horizon = influence.noise_floor.size();
    for (std::size_t s = 0; s < influence.subjects.size(); ++s) {
      const auto at = static_cast<std::size_t>(influence.subjects[s].begin);
      const auto scrambled = static_cast<double>((at * 7919) % 101);
      if (at > 0) document.signals.entropy[at - 1] += 0.1F * static_cast<float>(at);
      for (std::size_t h = 0; h < horizon; ++h) {
        influence.kl[s * horizon + h] = 1e-6 * (static_cast<double>(at) + scrambled);
      }
    }
  }
  const ClaimsReport report = claims_of(samples_of(run));
  CHECK(std::abs(claim(report, "far influence grows with entropy-before").correlation.value) < 0.1);
}

TEST_CASE("what leaves together is compared by position after the start") {
  const std::vector<Sample> samples =
      samples_of(test::synthetic_run({.n_documents = 8, .n_subjects = 200, .lag = -1}));
  std::vector<const Sample*> documents;
  for (const Sample& sample : samples) documents.push_back(&sample);
  const ClaimsReport report = test_claims(documents, {true, {0, 0}}, kAttentionWindow, {});
  CHECK(report.where.after_start);
  REQUIRE(report.claims.size() == 8);
  const ClaimReport& far = claim(report, "far influence grows with entropy-before");
  CHECK(far.n_documents == 8);
  CHECK(far.n_units > 8 * 190);  // all but the sinks
  CHECK(far.correlation.low > 0);
  const MeasuredSubject& one = samples[0].subjects[7];
  CHECK(one.soon.n_values == 16);
  CHECK(one.late.n_values == 32);
  CHECK(one.soon.upper_mean > 0);
}
