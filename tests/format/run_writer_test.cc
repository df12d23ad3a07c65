#include "data/format/run_writer.h"

#include <malloc.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "data/format/error.h"
#include "data/format/hdf5.h"
#include "data/format/schema.h"
#include "tests/support/synthetic_run.h"
#include "tests/support/temporary_folder.h"

using namespace longshadow;
using Catch::Matchers::Contains;
using test::synthetic_run;
using test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

std::string written_bytes(const RunFile& run) {
  const TemporaryFolder folder;
  write_run(folder.path() / "run.h5", run);
  std::ifstream file(folder.path() / "run.h5", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The removed tokens of the first document's last subject, which is a set.
std::vector<std::int32_t>& last_set(RunFile& run) {
  return run.documents[0].influence.subjects.back().removed;
}

}  // namespace

TEST_CASE("the same run gives the same bytes, whatever the memory held before") {
  mallopt(M_PERTURB, 0x55);
  const std::string first = written_bytes(synthetic_run());
  mallopt(M_PERTURB, 0xaa);
  const std::string second = written_bytes(synthetic_run());
  mallopt(M_PERTURB, 0);
  CHECK(first.size() > 100000);
  CHECK((first == second));  // in brackets: a failure should not print both
}

TEST_CASE("values and units are where FORMAT.md says") {
  const TemporaryFolder folder;
  const RunFile run = synthetic_run({.n_documents = 2});
  write_run(folder.path() / "run.h5", run);
  const hdf5::ReadOnlyFile file(folder.path() / "run.h5");
  CHECK(file.root().string_attribute("format") == "longshadow");
  CHECK(file.root().int64_attribute("format_version") == 1);
  const hdf5::Group documents = file.root().group("documents");
  CHECK(documents.names() == std::vector<std::string>{"document_1", "document_2"});
  for (const DocumentRun& document : run.documents) {
    const RunInfluence& influence = document.influence;
    const hdf5::Group group = documents.group(document.name).group("influence");
    const hdf5::Shape shape = {influence.subjects.size(), influence.noise_floor.size()};
    CHECK(group.read<double>("kl", shape) == influence.kl);
    CHECK(group.dataset("kl").string_attribute("units") == "nats");
    CHECK(group.uint64_attribute("seed") == influence.seed);
  }
}

TEST_CASE("the tokens of sets are stored for every subject, and not at all without sets") {
  const TemporaryFolder folder;
  const RunFile run = synthetic_run({.n_subjects = 3, .n_sets = 1});
  write_run(folder.path() / "sets.h5", run);
  write_run(folder.path() / "spans.h5", synthetic_run({.n_subjects = 3}));
  const auto influence_of = [](const hdf5::ReadOnlyFile& file) {
    return file.root().group("documents").group("document_1").group("influence");
  };
  const hdf5::ReadOnlyFile file(folder.path() / "sets.h5");
  const hdf5::Group group = influence_of(file);
  CHECK(group.string_attribute("subject_kind") == "set");
  std::vector<std::int32_t> tokens;
  std::vector<std::uint64_t> offsets = {0};
  for (const RunSubject& subject : run.documents[0].influence.subjects) {
    for (const std::int32_t token :
         subject.is_set() ? subject.removed : std::vector<std::int32_t>{subject.begin}) {
      tokens.push_back(token);
    }
    offsets.push_back(tokens.size());
  }
  REQUIRE(offsets.size() == 5);
  CHECK(group.read<std::uint64_t>("removed_offset", {5}) == offsets);
  CHECK(group.read<std::int32_t>("removed", {tokens.size()}) == tokens);

  const hdf5::ReadOnlyFile spans(folder.path() / "spans.h5");
  CHECK(influence_of(spans).string_attribute("subject_kind") == "span");
  const std::vector<std::string> names = influence_of(spans).names();
  CHECK(std::find(names.begin(), names.end(), "removed") == names.end());
}

TEST_CASE("large arrays are cut into chunks and come back") {
  RunFile run =
      synthetic_run({.n_tokens = 3000, .context = 2048, .horizon = 400, .n_subjects = 900});
  const TemporaryFolder folder;
  write_run(folder.path() / "run.h5", run);
  const RunInfluence& influence = run.documents[0].influence;
  REQUIRE(influence.kl.size() * sizeof(double) > 2 << 20);  // more than one chunk of 1 MiB
  const hdf5::ReadOnlyFile file(folder.path() / "run.h5");
  const hdf5::Group group = file.root().group("documents").group("document_1").group("influence");
  CHECK(group.read<double>("kl", {influence.subjects.size(), 400}) == influence.kl);
}

TEST_CASE("a run that contradicts itself is refused and nothing is written") {
  struct Fault {
    const char* message;
    std::function<void(RunFile&)> make;
  };
  const std::vector<Fault> faults = {
      {"at least one document", [](RunFile& run) { run.documents.clear(); }},
      {"twice", [](RunFile& run) { run.documents[1].name = run.documents[0].name; }},
      {"document name", [](RunFile& run) { run.documents[0].name = "a/b"; }},
      {"document name", [](RunFile& run) { run.documents[0].name = ""; }},
      {"document name", [](RunFile& run) { run.documents[0].name = "\x1b[2J"; }},
      {"text and a byte range", [](RunFile& run) { run.documents[0].tokens.text.pop_back(); }},
      {"part of speech", [](RunFile& run) { run.documents[0].tokens.upos.clear(); }},
      {"part of speech", [](RunFile& run) { run.documents[0].tokens.word.pop_back(); }},
      {"a sentence for each", [](RunFile& run) { run.documents[0].tokens.sentence = {0}; }},
      {"a sentence for each",
       [](RunFile& run) {
         run.documents[0].tokens.sentence.assign(run.documents[0].tokens.id.size(), 1);
       }},
      {"upos", [](RunFile& run) { run.documents[0].tokens.upos[7] = 18; }},
      {"entropy", [](RunFile& run) { run.documents[0].signals.entropy.pop_back(); }},
      {"drift", [](RunFile& run) { run.documents[0].signals.drift.pop_back(); }},
      {"attention_window", [](RunFile& run) { run.model.n_kv_heads = 3; }},
      {"kl", [](RunFile& run) { run.documents[0].influence.kl.pop_back(); }},
      {"one start", [](RunFile& run) { run.documents[0].influence.start.pop_back(); }},
      {"evict_at", [](RunFile& run) { run.documents[0].influence.evict_at = "sometime"; }},
      {"subject 3", [](RunFile& run) { run.documents[0].influence.subjects[3].end = 600; }},
      {"subject 3", [](RunFile& run) { run.documents[0].influence.subjects[3].begin = -1; }},
      {"subject 3", [](RunFile& run) { run.documents[0].influence.start[3] = 592; }},
      {"a gap",
       [](RunFile& run) {
         last_set(run) = {10, 11};
       }},
      {"a gap", [](RunFile& run) { std::swap(last_set(run)[3], last_set(run)[4]); }},
      {"a gap", [](RunFile& run) { last_set(run).push_back(591); }},
  };
  const TemporaryFolder folder;
  for (const Fault& fault : faults) {
    RunFile run = synthetic_run({.n_documents = 2, .n_sets = 1});
    fault.make(run);
    CHECK_THROWS_WITH(write_run(folder.path() / "run.h5", run), Contains(fault.message));
    CHECK(fs::is_empty(folder.path()));
  }
}

TEST_CASE("a sketch that contradicts its document is refused and nothing is written") {
  const std::vector<std::pair<const char*, std::function<void(RunSketch&)>>> faults = {
      {"at least one bin", [](RunSketch& sketch) { sketch.bins.clear(); }},
      {"bins of a sketch", [](RunSketch& sketch) { sketch.bins[1][1] = 65; }},
      {"bins of a sketch",
       [](RunSketch& sketch) {
         sketch.bins[0] = {3, 3};
       }},
      {"fi", [](RunSketch& sketch) { sketch.fi.pop_back(); }},
      {"standard_error", [](RunSketch& sketch) { sketch.standard_error.pop_back(); }},
      {"fi_layer", [](RunSketch& sketch) { sketch.fi_parts.pop_back(); }},
      {"fi_head", [](RunSketch& sketch) { sketch.detail = "head"; }},
      {"by head alone", [](RunSketch& sketch) { sketch.projections = {1}; }},
      {"g",
       [](RunSketch& sketch) {
         sketch.detail = "head";
         sketch.fi_parts.resize(2 * 3 * 2 * 512);
         sketch.projections = {1};
       }},
  };
  const TemporaryFolder folder;
  for (const auto& [message, make] : faults) {
    RunFile run = synthetic_run({.has_sketch = true});
    make(*run.documents[0].sketch);
    CHECK_THROWS_WITH(write_run(folder.path() / "run.h5", run), Contains(message));
    CHECK(fs::is_empty(folder.path()));
  }
}

TEST_CASE("a retention is where FORMAT.md says, a slash in its policy's name a plus") {
  const TemporaryFolder folder;
  const RunFile run = synthetic_run({.has_retention = true});
  write_run(folder.path() / "run.h5", run);
  const hdf5::ReadOnlyFile file(folder.path() / "run.h5");
  const hdf5::Group retention =
      file.root().group("documents").group("document_1").group("retention");
  const RunRetention& wrote = run.documents[0].retention.front();
  REQUIRE(wrote.name() == "adakv/snapkv@0.2");
  const hdf5::Group group = retention.group("adakv+snapkv@0.2");
  CHECK(group.read<std::uint8_t>("kept", {3, 2, 512}) == wrote.kept);
  CHECK(group.read<double>("kl", {64}) == wrote.kl);
  CHECK(group.read<std::uint8_t>("top1", {64}) == wrote.top1);
  CHECK(group.dataset("surprisal").string_attribute("units") == "nats");
  CHECK(group.string_attribute("policy") == "adakv/snapkv");
  CHECK(group.string_attribute("budget") == "0.2");
  CHECK(group.int64_attribute("bytes_kept") == wrote.bytes_kept);
  CHECK(group.int64_attribute("bytes_full") == wrote.bytes_full);
  CHECK(group.int64_attribute("kv_bits") == 32);
  CHECK(group.uint64_attribute("seed") == 1);
}

TEST_CASE("a retention that contradicts its document is refused and nothing is written") {
  const std::vector<std::pair<const char*, std::function<void(DocumentRun&)>>> faults = {
      {"within 593 tokens", [](DocumentRun& run) { run.future_tokens = 82; }},
      {"once", [](DocumentRun& run) { run.retention[1].budget = "0.2"; }},
      {"once", [](DocumentRun& run) { run.retention[1].policy.clear(); }},
      {"once", [](DocumentRun& run) { run.retention[1].budget.clear(); }},
      {"kept", [](DocumentRun& run) { run.retention[1].kept.pop_back(); }},
      {"kl", [](DocumentRun& run) { run.retention[1].kl.pop_back(); }},
      {"top1", [](DocumentRun& run) { run.retention[1].top1.pop_back(); }},
      {"surprisal", [](DocumentRun& run) { run.retention[1].surprisal.pop_back(); }},
  };
  const TemporaryFolder folder;
  for (const auto& [message, make] : faults) {
    RunFile run = synthetic_run({.has_retention = true});
    make(run.documents[0]);
    CHECK_THROWS_WITH(write_run(folder.path() / "run.h5", run), Contains(message));
    CHECK(fs::is_empty(folder.path()));
  }
}

TEST_CASE("text of any bytes is stored for display") {
  RunFile run = synthetic_run();
  run.documents[0].tokens.text[0] = std::string("\0\xff", 2);
  const TemporaryFolder folder;
  write_run(folder.path() / "run.h5", run);
  const hdf5::ReadOnlyFile file(folder.path() / "run.h5");
  const hdf5::Group tokens = file.root().group("documents").group("document_1").group("tokens");
  CHECK(tokens.read_strings("text", run.documents[0].tokens.id.size())[0] == "\u2400\uFFFD");
}
