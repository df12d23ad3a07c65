#include "analysis/runs/run_reader.h"

#include <hdf5.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "data/format/error.h"
#include "data/format/run_writer.h"
#include "tests/support/run_file_faults.h"
#include "tests/support/synthetic_run.h"
#include "tests/support/temporary_folder.h"

using namespace longshadow;
using Catch::Matchers::Contains;
using test::check_each_is_refused;
using test::Fault;
using test::replace_attribute;
using test::replace_first;
using test::same_bits;
using test::synthetic_run;
using test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

constexpr const char* kInfluence = "/documents/document_1/influence/";
constexpr const char* kKl = "/documents/document_1/influence/kl";
constexpr const char* kUpos = "/documents/document_1/tokens/upos";
constexpr hsize_t kKlShape[] = {48, 64};

/// Puts a dataset of the creation options given in the place of kl.
void replace_kl(hid_t file, const std::function<void(hid_t options)>& set,
                const hsize_t* shape = kKlShape, hid_t type = H5T_IEEE_F64LE) {
  REQUIRE(H5Ldelete(file, kKl, H5P_DEFAULT) >= 0);
  const hid_t space = H5Screate_simple(2, shape, nullptr);
  const hid_t options = H5Pcreate(H5P_DATASET_CREATE);
  set(options);
  const hid_t dataset = H5Dcreate2(file, kKl, type, space, H5P_DEFAULT, options, H5P_DEFAULT);
  REQUIRE(dataset >= 0);
  H5Dclose(dataset);
  H5Pclose(options);
  H5Sclose(space);
}

}  // namespace

TEST_CASE("what is written is read") {
  const TemporaryFolder folder;
  RunFile run = synthetic_run({.n_documents = 2});
  run.documents[1] =
      synthetic_run({.n_documents = 2, .n_sets = 3, .has_experts = true}).documents[1];
  run.documents[1].complete = false;
  run.documents[1].influence.layers = "0-1";
  run.documents[1].influence.heads = "1";
  run.documents[1].influence.kl[5] = std::nan("");
  run.documents[1].influence.rerouted[2] = std::nanf("");
  write_run(folder.path() / "run.h5", run);
  const RunFile read = read_run(folder.path() / "run.h5");
  CHECK(read.tool_version == run.tool_version);
  CHECK(read.configuration == run.configuration);
  CHECK(read.configuration_hash == run.configuration_hash);
  CHECK(read.model.name == run.model.name);
  CHECK(read.model.architecture == run.model.architecture);
  CHECK(read.model.n_layers == run.model.n_layers);
  CHECK(read.model.n_heads == run.model.n_heads);
  CHECK(read.model.n_kv_heads == run.model.n_kv_heads);
  CHECK(read.model.head_dim == run.model.head_dim);
  CHECK(read.model.hidden_size == run.model.hidden_size);
  CHECK(read.model.vocab_size == run.model.vocab_size);
  CHECK(read.model.weights_sha256 == run.model.weights_sha256);
  REQUIRE(read.documents.size() == 2);
  for (std::size_t d = 0; d < 2; ++d) {
    const DocumentRun& wrote = run.documents[d];
    const DocumentRun& got = read.documents[d];
    CHECK(got.name == wrote.name);
    CHECK(got.source_sha256 == wrote.source_sha256);
    CHECK(got.context_tokens == wrote.context_tokens);
    CHECK(got.future_tokens == wrote.future_tokens);
    CHECK(got.complete == wrote.complete);
    CHECK(got.tokens.id == wrote.tokens.id);
    CHECK(got.tokens.text == wrote.tokens.text);
    CHECK(got.tokens.bytes == wrote.tokens.bytes);
    CHECK(got.tokens.upos == wrote.tokens.upos);
    CHECK(got.tokens.word == wrote.tokens.word);
    CHECK(same_bits(got.signals.entropy, wrote.signals.entropy));
    CHECK(same_bits(got.signals.entropy_topk, wrote.signals.entropy_topk));
    CHECK(got.signals.entropy_k == wrote.signals.entropy_k);
    CHECK(same_bits(got.signals.surprisal, wrote.signals.surprisal));
    CHECK(same_bits(got.signals.drift, wrote.signals.drift));
    CHECK(same_bits(got.signals.attention_window, wrote.signals.attention_window));
    CHECK(same_bits(got.signals.attention_cumulative, wrote.signals.attention_cumulative));
    CHECK(got.influence.start == wrote.influence.start);
    CHECK(std::memcmp(got.influence.kl.data(), wrote.influence.kl.data(),
                      wrote.influence.kl.size() * sizeof(double)) == 0);
    CHECK(same_bits(got.influence.rerouted, wrote.influence.rerouted));
    CHECK(got.influence.noise_floor == wrote.influence.noise_floor);
    CHECK(got.influence.selection == wrote.influence.selection);
    CHECK(got.influence.evict_at == wrote.influence.evict_at);
    CHECK(got.influence.lag == wrote.influence.lag);
    CHECK(got.influence.layers == wrote.influence.layers);
    CHECK(got.influence.heads == wrote.influence.heads);
    CHECK(got.influence.method == wrote.influence.method);
    CHECK(got.influence.precision == wrote.influence.precision);
    CHECK(got.influence.seed == wrote.influence.seed);
    REQUIRE(got.influence.subjects.size() == wrote.influence.subjects.size());
    for (std::size_t s = 0; s < got.influence.subjects.size(); ++s) {
      CHECK(got.influence.subjects[s].begin == wrote.influence.subjects[s].begin);
      CHECK(got.influence.subjects[s].end == wrote.influence.subjects[s].end);
      CHECK(got.influence.subjects[s].label == wrote.influence.subjects[s].label);
      CHECK(got.influence.subjects[s].group == wrote.influence.subjects[s].group);
      CHECK(got.influence.subjects[s].removed == wrote.influence.subjects[s].removed);
      CHECK(got.influence.subjects[s].evicted == wrote.influence.subjects[s].evicted);
    }
  }
  CHECK(read.documents[1].influence.subjects.back().is_set());
  CHECK(!read.documents[1].influence.subjects.back().evicted.empty());
}

TEST_CASE("a file from before layers and heads were told has them all") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "run.h5";
  write_run(path, synthetic_run());
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  for (const char* name : {"layers", "heads"}) {
    REQUIRE(H5Adelete_by_name(file, kInfluence, name, H5P_DEFAULT) >= 0);
  }
  REQUIRE(H5Fclose(file) >= 0);
  const RunFile run = read_run(path);
  CHECK(run.documents[0].influence.layers == "all");
  CHECK(run.documents[0].influence.heads == "all");
}

TEST_CASE("what is no run file is refused") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(read_run(folder.path() / "missing.h5"), Contains("found nothing"));
  CHECK_THROWS_WITH(read_run(folder.path()), Contains("plan.h5"));
  CHECK_THROWS_WITH(read_run(folder.write("empty.h5", "")), Contains("expected an HDF5 file"));
  CHECK_THROWS_WITH(read_run(folder.write("text.h5", "not HDF5")),
                    Contains("expected an HDF5 file"));
}

TEST_CASE("a hostile or broken run file is refused with one line") {
  const std::vector<Fault> faults = {
      {"soft or external link",
       [](hid_t file) {
         H5Ldelete(file, kKl, H5P_DEFAULT);
         H5Lcreate_soft("/documents/document_1/influence/start", file, kKl, H5P_DEFAULT,
                        H5P_DEFAULT);
       }},
      {"soft or external link",
       [](hid_t file) {
         H5Ldelete(file, kKl, H5P_DEFAULT);
         H5Lcreate_external("other.h5", "/kl", file, kKl, H5P_DEFAULT, H5P_DEFAULT);
       }},
      {"soft or external link",
       [](hid_t file) {
         H5Lcreate_external("other.h5", "/", file, "/documents/other", H5P_DEFAULT, H5P_DEFAULT);
       }},
      {"external storage",
       [](hid_t file) {
         replace_kl(file, [](hid_t options) {
           H5Pset_external(options, "/etc/passwd", 0, H5F_UNLIMITED);
         });
       }},
      {"virtual layout",
       [](hid_t file) {
         replace_kl(file, [](hid_t options) {
           const hid_t space = H5Screate_simple(2, kKlShape, nullptr);
           H5Pset_virtual(options, space, "other.h5", "/kl", space);
           H5Sclose(space);
         });
       }},
      {"filter number 1",  // deflate
       [](hid_t file) {
         replace_kl(file, [](hid_t options) {
           H5Pset_chunk(options, 2, kKlShape);
           H5Pset_deflate(options, 1);
         });
       }},
      {"store all its values",  // a shape without any storage
       [](hid_t file) {
         const hsize_t chunk[] = {1, 64};
         replace_kl(file, [&](hid_t options) { H5Pset_chunk(options, 2, chunk); });
       }},
      {"store all its values",  // 2^62 values
       [](hid_t file) {
         const hsize_t shape[] = {hsize_t{1} << 31, hsize_t{1} << 31};
         const hsize_t chunk[] = {1, 64};
         replace_kl(
             file, [&](hid_t options) { H5Pset_chunk(options, 2, chunk); }, shape);
       }},
      {"element type",
       [](hid_t file) {
         replace_kl(
             file, [](hid_t) {}, kKlShape, H5T_IEEE_F32LE);
       }},
      {"found nothing of that name", [](hid_t file) { H5Ldelete(file, kKl, H5P_DEFAULT); }},
      {"to be a group",
       [](hid_t file) {
         H5Ldelete(file, "/documents/document_1/signals", H5P_DEFAULT);
         H5Lcreate_hard(file, kKl, file, "/documents/document_1/signals", H5P_DEFAULT, H5P_DEFAULT);
       }},
      {"format version 1, found 2",
       [](hid_t file) { replace_attribute(file, "/", "format_version", 2); }},
      {"variable-length string", [](hid_t file) { replace_attribute(file, "/", "format", 1); }},
      {"found none",
       [](hid_t file) { H5Adelete_by_name(file, kInfluence, "method", H5P_DEFAULT); }},
      {"positive 32-bit n_layers",
       [](hid_t file) { replace_attribute(file, "/model", "n_layers", 0); }},
      {"positive 32-bit n_layers",
       [](hid_t file) { replace_attribute(file, "/model", "n_layers", std::int64_t{1} << 62); }},
      {"expected shape [4, 593]",
       [](hid_t file) { replace_attribute(file, "/model", "n_layers", 4); }},
      {"end before its start",
       [](hid_t file) {
         replace_first(file, std::string(kInfluence) + "subject", H5T_NATIVE_INT, -5);
       }},
      {"last of its span",  // a set's tokens, not in order
       [](hid_t file) {
         replace_first(file, std::string(kInfluence) + "removed", H5T_NATIVE_INT, 400);
       }},
      {"removed_offset to rise",
       [](hid_t file) {
         replace_first(file, std::string(kInfluence) + "removed_offset", H5T_NATIVE_UINT64,
                       std::uint64_t{1} << 40);
       }},
      {"found nothing of that name",
       [](hid_t file) {
         H5Ldelete(file, (std::string(kInfluence) + "removed_offset").c_str(), H5P_DEFAULT);
       }},
      {"evicted_subject to rise",
       [](hid_t file) {
         replace_first(file, std::string(kInfluence) + "evicted_subject", H5T_NATIVE_INT, 400);
       }},
      {"0 or 1 in evicted",
       [](hid_t file) {
         replace_first(file, std::string(kInfluence) + "evicted", H5T_NATIVE_UINT8,
                       std::uint8_t{2});
       }},
      {"found nothing of that name",
       [](hid_t file) {
         H5Ldelete(file, (std::string(kInfluence) + "evicted_subject").c_str(), H5P_DEFAULT);
       }},
      {"negative or infinite",
       [](hid_t file) { replace_first(file, kKl, H5T_NATIVE_DOUBLE, -2.0); }},
      {"negative or infinite",
       [](hid_t file) { replace_first(file, kKl, H5T_NATIVE_DOUBLE, HUGE_VAL); }},
      {"from 0 to 1 in rerouted",
       [](hid_t file) {
         replace_first(file, std::string(kInfluence) + "rerouted", H5T_NATIVE_FLOAT, 1.5f);
       }},
      {"only members of the enumeration",
       [](hid_t file) {
         const hid_t dataset = H5Dopen2(file, kUpos, H5P_DEFAULT);
         const hid_t type = H5Dget_type(dataset);
         replace_first(file, kUpos, type, std::uint8_t{18});
         H5Tclose(type);
         H5Dclose(dataset);
       }},
      {"another enumeration",
       [](hid_t file) {
         H5Ldelete(file, kUpos, H5P_DEFAULT);
         H5Lcreate_hard(file, "/documents/document_1/tokens/id", file, kUpos, H5P_DEFAULT,
                        H5P_DEFAULT);
       }},
      {"words of tokens to ascend",
       [](hid_t file) {
         replace_first(file, "/documents/document_1/tokens/word", H5T_NATIVE_INT, 9);
       }},
      {"words of tokens to ascend",
       [](hid_t file) {
         replace_first(file, "/documents/document_1/tokens/word", H5T_NATIVE_INT, -2);
       }},
      {"control characters",
       [](hid_t file) {
         H5Lmove(file, "/documents/document_1", file, "/documents/\x1b[2J", H5P_DEFAULT,
                 H5P_DEFAULT);
       }},
      {"at least one document",
       [](hid_t file) { H5Ldelete(file, "/documents/document_1", H5P_DEFAULT); }},
  };
  check_each_is_refused(faults, synthetic_run({.n_sets = 3, .has_experts = true}));
}

TEST_CASE("a run without parts of speech is read") {
  const TemporaryFolder folder;
  RunFile run = synthetic_run();
  run.documents[0].tokens.upos.clear();
  run.documents[0].tokens.word.clear();
  write_run(folder.path() / "run.h5", run);
  CHECK(read_run(folder.path() / "run.h5").documents.at(0).tokens.upos.empty());
}

TEST_CASE("sentences are read as written") {
  const TemporaryFolder folder;
  const RunFile run = synthetic_run({.has_sentences = true});
  write_run(folder.path() / "run.h5", run);
  const RunFile read = read_run(folder.path() / "run.h5");
  CHECK(read.documents.at(0).tokens.sentence == run.documents[0].tokens.sentence);

  const auto gap = [&](hid_t file) {
    std::vector<std::int32_t> sentences = run.documents[0].tokens.sentence;
    sentences.back() += 2;
    const hid_t at = H5Dopen2(file, "/documents/document_1/tokens/sentence", H5P_DEFAULT);
    H5Dwrite(at, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, sentences.data());
    H5Dclose(at);
  };
  check_each_is_refused({{"count up from 0", gap}}, run);
}

TEST_CASE("a sketch is read as written, beside influence or alone") {
  const TemporaryFolder folder;
  RunFile run = synthetic_run({.n_documents = 2, .lag = -1, .has_sketch = true});
  run.documents[1].influence = {};
  write_run(folder.path() / "run.h5", run);
  const RunFile read = read_run(folder.path() / "run.h5", Projections::read);
  for (std::size_t d = 0; d < 2; ++d) {
    REQUIRE(read.documents[d].sketch);
    const RunSketch& wrote = *run.documents[d].sketch;
    const RunSketch& got = *read.documents[d].sketch;
    CHECK(got.bins == wrote.bins);
    CHECK(same_bits(got.fi, wrote.fi));
    CHECK(same_bits(got.standard_error, wrote.standard_error));
    CHECK(same_bits(got.fi_parts, wrote.fi_parts));
    CHECK(same_bits(got.projections, wrote.projections));
    CHECK(got.detail == wrote.detail);
    CHECK(got.probe_kind == wrote.probe_kind);
    CHECK(got.probes == wrote.probes);
    CHECK(got.seed == wrote.seed);
    CHECK(read.documents[d].influence.kl == run.documents[d].influence.kl);
  }
  CHECK(!read.documents[1].sketch->projections.empty());
  CHECK(read_run(folder.path() / "run.h5").documents[1].sketch->projections.empty());
}

TEST_CASE("hostile or broken projections are refused with one line by who reads them") {
  const std::string sketch = "/documents/document_2/sketch/";
  const RunFile run = synthetic_run({.n_documents = 2, .has_sketch = true});
  const auto projection = [&](float value) {
    return [=](hid_t file) { replace_first(file, sketch + "g", H5T_NATIVE_FLOAT, value); };
  };
  const std::vector<Fault> faults = {
      {"finite projections", projection(std::nanf(""))},
      {"finite projections", projection(-HUGE_VALF)},
      {"expected shape [2, 17, 3, 2, 512]",
       [&](hid_t file) { replace_attribute(file, sketch.c_str(), "probes", 17); }},
      {"expected shape [2, 18446744073709551600, 3, 2, 512]",
       [&](hid_t file) { replace_attribute(file, sketch.c_str(), "probes", -16); }},
  };
  check_each_is_refused(faults, run);
}

TEST_CASE("a hostile or broken sketch is refused with one line") {
  const std::string sketch = "/documents/document_1/sketch/";
  const auto estimate = [&](const char* name, float value) {
    return [=](hid_t file) { replace_first(file, sketch + name, H5T_NATIVE_FLOAT, value); };
  };
  const std::vector<Fault> faults = {
      {"bins within 64 future tokens, found [-1, 16)",
       [&](hid_t file) { replace_first(file, sketch + "bins", H5T_NATIVE_INT, -1); }},
      {"bins within 64 future tokens, found [16, 16)",
       [&](hid_t file) { replace_first(file, sketch + "bins", H5T_NATIVE_INT, 16); }},
      {"bins within 60 future tokens",
       [](hid_t file) { replace_attribute(file, "/documents/document_1", "future_tokens", 60); }},
      {"expected shape [2, 511]",
       [](hid_t file) { replace_attribute(file, "/documents/document_1", "context_tokens", 511); }},
      {"context of 1 to 593 tokens, found -1",
       [](hid_t file) { replace_attribute(file, "/documents/document_1", "context_tokens", -1); }},
      {"finite estimates", estimate("fi", -1e-9f)},
      {"finite estimates", estimate("fi", std::nanf(""))},
      {"finite estimates", estimate("standard_error", HUGE_VALF)},
      {"at least one probe",
       [&](hid_t file) { replace_attribute(file, sketch.c_str(), "probes", 0); }},
      {"variable-length string",
       [&](hid_t file) { replace_attribute(file, sketch.c_str(), "detail", 1); }},
      {"found nothing of that name",
       [&](hid_t file) { H5Ldelete(file, (sketch + "fi_layer").c_str(), H5P_DEFAULT); }},
      {"found nothing of that name",
       [&](hid_t file) { H5Ldelete(file, (sketch + "bins").c_str(), H5P_DEFAULT); }},
  };
  check_each_is_refused(faults, synthetic_run({.has_sketch = true}));
}

TEST_CASE("a configuration that its hash does not fit is refused") {
  const TemporaryFolder folder;
  RunFile run = synthetic_run();
  run.configuration += " ";
  write_run(folder.path() / "run.h5", run);
  CHECK_THROWS_WITH(read_run(folder.path() / "run.h5"), Contains("SHA-256 of configuration"));
}

TEST_CASE("a run file cut anywhere is refused") {
  const TemporaryFolder folder;
  write_run(folder.path() / "run.h5", synthetic_run());
  const std::string whole = content_of(folder.path() / "run.h5");
  for (std::size_t size = 0; size < whole.size(); size += 512) {
    const fs::path path = folder.write("cut.h5", std::string_view(whole).substr(0, size));
    CHECK_THROWS_AS(read_run(path), FormatError);
  }
}

TEST_CASE("a changed byte never changes a number unseen") {
  // libhdf5's structures and our values carry checksums; only names and texts in its global heap,
  // and bytes that nothing uses, may change without an error.
  const TemporaryFolder folder;
  const RunFile run = synthetic_run();
  write_run(folder.path() / "run.h5", run);
  const std::string whole = content_of(folder.path() / "run.h5");
  std::size_t refused = 0;
  std::size_t tried = 0;
  for (std::size_t at = 0; at < whole.size(); at += 397) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    const fs::path path = folder.write("changed.h5", changed);
    ++tried;
    try {
      const RunFile read = read_run(path);
      CHECK(read.documents.at(0).influence.kl == run.documents[0].influence.kl);
      CHECK(same_bits(read.documents.at(0).signals.drift, run.documents[0].signals.drift));
    } catch (const FormatError&) {
      ++refused;
    }
  }
  CHECK(refused > tried / 2);
}
