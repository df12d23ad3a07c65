#include <hdf5.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "analysis/runs/run_reader.h"
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

TEST_CASE("a retention is read as written, beside influence or alone") {
  const TemporaryFolder folder;
  RunFile run = synthetic_run({.n_documents = 2, .has_retention = true});
  run.documents[1].influence = {};
  run.documents[1].retention[2].kv_bits = 4;
  write_run(folder.path() / "run.h5", run);
  const RunFile read = read_run(folder.path() / "run.h5");
  for (std::size_t d = 0; d < 2; ++d) {
    CHECK(read.documents[d].influence.kl == run.documents[d].influence.kl);
    REQUIRE(read.documents[d].retention.size() == 8);
    for (std::size_t p = 0; p < 8; ++p) {
      const RunRetention& wrote = run.documents[d].retention[p];
      const RunRetention& got = read.documents[d].retention[p];
      CHECK(got.policy == wrote.policy);
      CHECK(got.budget == wrote.budget);
      CHECK(got.kept == wrote.kept);
      CHECK(got.kl == wrote.kl);
      CHECK(got.top1 == wrote.top1);
      CHECK(same_bits(got.surprisal, wrote.surprisal));
      CHECK(got.bytes_kept == wrote.bytes_kept);
      CHECK(got.bytes_full == wrote.bytes_full);
      CHECK(got.kv_bits == wrote.kv_bits);
      CHECK(got.seed == wrote.seed);
    }
  }
}

TEST_CASE("a hostile or broken retention is refused with one line") {
  const std::string document = "/documents/document_1";
  const std::string retention = document + "/retention";
  const std::string policy = retention + "/snapkv@0.4";
  const auto attribute = [](const std::string& object, const char* name, std::int64_t value) {
    return [=](hid_t file) { replace_attribute(file, object.c_str(), name, value); };
  };
  const auto missing = [](const std::string& object) {
    return [=](hid_t file) { H5Ldelete(file, object.c_str(), H5P_DEFAULT); };
  };
  const auto flag = [&](const char* name) {
    return [=](hid_t file) {
      replace_first(file, policy + "/" + name, H5T_NATIVE_UINT8, std::uint8_t{2});
    };
  };
  const auto kl = [&](double nats) {
    return [=](hid_t file) { replace_first(file, policy + "/kl", H5T_NATIVE_DOUBLE, nats); };
  };
  const auto surprisal = [&](float nats) {
    return [=](hid_t file) { replace_first(file, policy + "/surprisal", H5T_NATIVE_FLOAT, nats); };
  };
  const auto renamed = [&](const char* name) {
    return [=](hid_t file) {
      H5Lmove(file, policy.c_str(), file, (retention + "/" + name).c_str(), H5P_DEFAULT,
              H5P_DEFAULT);
    };
  };
  const std::vector<Fault> faults = {
      {"expected shape [3, 2, 511]", attribute(document, "context_tokens", 511)},
      {"context of 1 to 593 tokens, found -1", attribute(document, "context_tokens", -1)},
      {"future of 1 to 81 tokens, found 0", attribute(document, "future_tokens", 0)},
      {"future of 1 to 81 tokens, found 82", attribute(document, "future_tokens", 82)},
      {"expected shape [63]", attribute(document, "future_tokens", 63)},
      {"0 or 1", flag("kept")},
      {"0 or 1", flag("top1")},
      {"divergences of at least 0", kl(-2)},
      {"divergences of at least 0", kl(HUGE_VAL)},
      {"divergences of at least 0", kl(std::nan(""))},
      {"surprisals of at least 0", surprisal(-2)},
      {"surprisals of at least 0", surprisal(HUGE_VALF)},
      {"at least 1 byte", attribute(policy, "bytes_kept", 0)},
      {"at least 1 byte", attribute(policy, "bytes_full", -1)},
      {"kv_bits 4, 8, 16, 32 or 64, found 3", attribute(policy, "kv_bits", 3)},
      {"64-bit integer", attribute(policy, "seed", 3)},  // with a sign
      {"variable-length string", attribute(policy, "policy", 1)},
      {"variable-length string", attribute(policy, "budget", 1)},
      {"found nothing of that name", missing(policy + "/kept")},
      {"found nothing of that name", missing(policy + "/kl")},
      {"found nothing of that name", missing(policy + "/top1")},
      {"found nothing of that name", missing(policy + "/surprisal")},
      {"group of the name snapkv@0.4", renamed("tova@0.4")},
      {"control characters", renamed("\x1b[2J@0.4")},
      {"to be a group",
       [&](hid_t file) {
         H5Lcreate_hard(file, (policy + "/kl").c_str(), file, (retention + "/x@1").c_str(),
                        H5P_DEFAULT, H5P_DEFAULT);
       }},
      {"at least one policy",
       [&](hid_t file) {
         const RunFile run = synthetic_run({.has_retention = true});
         for (const RunRetention& one : run.documents[0].retention) {
           H5Ldelete(file, (retention + "/" + one.link_name()).c_str(), H5P_DEFAULT);
         }
       }},
  };
  RunFile run = synthetic_run({.has_retention = true});
  run.documents[0].influence = {};
  check_each_is_refused(faults, run);
}

TEST_CASE("a budget must be a share, and a policy's name plain text") {
  struct Spelling {
    const char* policy;
    const char* budget;
    const char* message;
  };
  const std::vector<Spelling> spellings = {
      {"snapkv", "0", "budget above 0"},    {"snapkv", "1.5", "budget above 0"},
      {"snapkv", "some", "budget above 0"}, {"snapkv", "0.4x", "budget above 0"},
      {"snapkv", "nan", "budget above 0"},  {"snap\x1b[2Jkv", "0.4", "control characters"},
  };
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "run.h5";
  for (const Spelling& spelling : spellings) {
    fs::remove(path);
    RunFile run = synthetic_run({.has_retention = true});
    run.documents[0].retention[3].policy = spelling.policy;
    run.documents[0].retention[3].budget = spelling.budget;
    write_run(path, run);
    CHECK_THROWS_WITH(read_run(path), Contains(spelling.message) && !Contains("\x1b"));
  }
}
