#include "data/format/sentences.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "data/format/hdf5.h"
#include "data/format/run_writer.h"
#include "data/format/schema.h"
#include "tests/support/synthetic_run.h"
#include "tests/support/temporary_folder.h"

namespace longshadow {
namespace {

using test::synthetic_run;
using test::TemporaryFolder;
using Numbers = std::vector<std::int32_t>;

/// Sentences of 2, 3, 1 and 4 tokens, the first two removed; H = 5, and kl[s, h] = 10^s 2^h.
DocumentRun four_sentences(std::int32_t lag) {
  DocumentRun document;
  document.tokens.sentence = {0, 0, 1, 1, 1, 2, 3, 3, 3, 3};
  document.influence.noise_floor.resize(5);
  document.influence.subjects = {{0, 2, "one", schema::kSentenceGroup},
                                 {2, 5, "two", schema::kSentenceGroup}};
  document.influence.start = {2 + lag, 5 + lag};
  for (const double scale : {1.0, 10.0}) {
    for (int h = 0; h < 5; ++h) document.influence.kl.push_back(scale * std::exp2(h));
  }
  return document;
}

/// Equal, NaN to NaN.
void check_cells(const std::vector<double>& cells, const std::vector<double>& expected) {
  REQUIRE(cells.size() == expected.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    INFO(i);
    CHECK((cells[i] == expected[i] || (std::isnan(cells[i]) && std::isnan(expected[i]))));
  }
}

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

TEST_CASE("sentences count up from 0") {
  CHECK(counts_sentences(Numbers{}));
  CHECK(counts_sentences(Numbers{0, 0, 1, 2, 2}));
  CHECK_FALSE(counts_sentences(Numbers{1, 1}));
  CHECK_FALSE(counts_sentences(Numbers{-1, 0}));
  CHECK_FALSE(counts_sentences(Numbers{0, 2}));
  CHECK_FALSE(counts_sentences(Numbers{0, 1, 0}));
  RunTokens tokens;
  CHECK(sentence_bounds(tokens).empty());
  tokens.sentence = {0, 0, 1, 2, 2};
  CHECK(sentence_bounds(tokens) == Numbers{0, 2, 3, 5});
}

TEST_CASE("a cell is the mean over a sentence's positions, all of which are measured") {
  // From positions 2 and 5 on, to 7 and 10.
  check_cells(kl_by_sentence(four_sentences(0)), {kNone, (1.0 + 2 + 4) / 3, 8, kNone,  //
                                                  kNone, kNone, 10, (20.0 + 40 + 80 + 160) / 4});
  // A position later the next sentence has lost its first position, and the horizon reaches further
  // than the text by one: the writer refuses that, so the second subject is left out.
  DocumentRun later = four_sentences(1);
  later.influence.subjects.pop_back();
  check_cells(kl_by_sentence(later), {kNone, kNone, 4, kNone});
}

TEST_CASE("the noise floor of a cell is the mean over the same positions") {
  DocumentRun document = four_sentences(0);
  document.influence.noise_floor = {1, 2, 3, 4, 5};
  const std::vector<std::int32_t> bounds = sentence_bounds(document.tokens);
  const SentenceInfluence first = influence_on_sentences(document.influence, 0, bounds);
  const SentenceInfluence second = influence_on_sentences(document.influence, 1, bounds);
  check_cells(first.floor_nats, {(1.0 + 2 + 3) / 3, 4});
  check_cells(second.floor_nats, {1, (2.0 + 3 + 4 + 5) / 4});
}

TEST_CASE("a row that is not measured has no cell") {
  DocumentRun document = four_sentences(0);
  document.influence.kl.assign(10, kNone);
  check_cells(kl_by_sentence(document), std::vector<double>(8, kNone));
}

TEST_CASE("there is a matrix where a subject is a sentence, with a row for each subject") {
  DocumentRun document = four_sentences(0);
  document.influence.subjects[1].group = "list";
  CHECK(kl_by_sentence(document).size() == 8);
  document.influence.subjects[0].group = "list";
  CHECK(kl_by_sentence(document).empty());
  document = four_sentences(0);
  document.tokens.sentence.clear();
  CHECK(kl_by_sentence(document).empty());
}

TEST_CASE("a matrix that no file's size justifies is not made") {
  DocumentRun document;
  const std::size_t n = std::size_t{1} << 13;
  document.influence.noise_floor.resize(1);
  for (std::size_t i = 0; i < n; ++i) {
    document.tokens.sentence.push_back(static_cast<std::int32_t>(i));
    document.influence.subjects.push_back({0, 1, "", schema::kSentenceGroup});
  }
  document.influence.start.assign(n, 1);
  document.influence.kl.assign(n, 0.5);
  CHECK(kl_by_sentence(document).empty());
  document.influence.subjects.resize(n / 4);
  CHECK(kl_by_sentence(document).size() == n / 4 * n);
}

TEST_CASE("a run file has the matrix, and no other run has") {
  const TemporaryFolder folder;
  const RunFile run = synthetic_run({.has_sentences = true});
  write_run(folder.path() / "run.h5", run);
  const hdf5::ReadOnlyFile file(folder.path() / "run.h5");
  const hdf5::Group group = file.root().group("documents").group("document_1").group("influence");
  const std::size_t n_subjects = run.documents[0].influence.subjects.size();
  const std::size_t n_sentences = sentence_bounds(run.documents[0].tokens).size() - 1;
  check_cells(group.read<double>("by_sentence", {n_subjects, n_sentences}),
              kl_by_sentence(run.documents[0]));
  CHECK(group.read<std::int32_t>("sentence", {n_sentences}).back() ==
        run.documents[0].tokens.sentence.back());

  write_run(folder.path() / "tokens.h5", synthetic_run());
  const hdf5::ReadOnlyFile tokens(folder.path() / "tokens.h5");
  const hdf5::Group document = tokens.root().group("documents").group("document_1");
  CHECK_FALSE(document.group("influence").has("by_sentence"));
  CHECK_FALSE(document.group("tokens").has("sentence"));
}

}  // namespace
}  // namespace longshadow
