#include "analysis/runs/run_directory.h"

#include <hdf5.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "analysis/runs/merge.h"
#include "analysis/runs/run_reader.h"
#include "data/format/error.h"
#include "data/format/run_writer.h"
#include "tests/support/synthetic_directory.h"
#include "tests/support/synthetic_run.h"
#include "tests/support/temporary_folder.h"

using namespace longshadow;
using Catch::Matchers::Contains;
using test::plan_of;
using test::synthetic_run;
using test::TemporaryFolder;
using test::write_directory;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kShardUnits = 7;

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Two documents of 47 and 48 subjects, and a sketch each.
RunFile measured_run() {
  return synthetic_run({.n_documents = 2, .has_experts = true, .has_sketch = true});
}

/// Two documents of eight compressed caches, in the order of their names as files have them.
RunFile retention_run() {
  RunFile run = synthetic_run({.n_documents = 2, .has_retention = true});
  for (DocumentRun& document : run.documents) {
    document.influence = {};
    std::sort(document.retention.begin(), document.retention.end(),
              [](const RunRetention& a, const RunRetention& b) { return a.name() < b.name(); });
  }
  return run;
}

void replace_count(hid_t file, const char* object, const char* name, std::uint64_t value) {
  REQUIRE(H5Adelete_by_name(file, object, name, H5P_DEFAULT) >= 0);
  const hid_t space = H5Screate(H5S_SCALAR);
  const hid_t attribute = H5Acreate_by_name(file, object, name, H5T_STD_U64LE, space, H5P_DEFAULT,
                                            H5P_DEFAULT, H5P_DEFAULT);
  REQUIRE(H5Awrite(attribute, H5T_NATIVE_UINT64, &value) >= 0);
  H5Aclose(attribute);
  H5Sclose(space);
}

/// Makes the fault in a copy of the directory and sees the merge refuse it in one line.
void check_refused(const fs::path& folder, const std::string& name, const char* message,
                   const std::function<void(hid_t)>& make) {
  const TemporaryFolder copy;
  fs::copy(folder, copy.path() / "run");
  const fs::path path = copy.path() / "run" / name;
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  REQUIRE(file >= 0);
  make(file);
  REQUIRE(H5Fclose(file) >= 0);
  const auto merge = [&] { merge_run(RunDirectory(copy.path() / "run"), copy.path() / "run.h5"); };
  CHECK_THROWS_WITH(merge(), Contains(message) && Contains(name) && !Contains("\n"));
  CHECK_FALSE(fs::exists(copy.path() / "run.h5"));
}

}  // namespace

TEST_CASE("a merged directory has the bytes of the run written whole") {
  for (RunFile run : {measured_run(), retention_run()}) {
    for (const std::size_t shard_units : {std::size_t{1}, kShardUnits, std::size_t{1000}}) {
      const TemporaryFolder folder;
      const fs::path directory = folder.path() / "run";
      fs::create_directory(directory);
      const RunPlan plan = plan_of(run, shard_units);
      run.configuration_hash = plan.run.configuration_hash;
      write_directory(directory, run, plan);
      merge_run(RunDirectory(directory), folder.path() / "merged.h5");
      write_run(folder.path() / "whole.h5", run);
      CHECK(content_of(folder.path() / "merged.h5") == content_of(folder.path() / "whole.h5"));
    }
  }
}

TEST_CASE("of a run directory that grows what is there is read, and the rest is NaN") {
  const TemporaryFolder folder;
  const RunFile run = measured_run();
  const RunPlan plan = plan_of(run, kShardUnits);
  write_directory(folder.path(), run, plan);
  fs::remove(plan.shard_path(folder.path(), 0, {7, 14}));
  fs::remove(plan.pass_path(folder.path(), 1));

  const RunDirectory directory(folder.path());
  CHECK(describe(measured_share(directory), directory) ==
        folder.path().string() +
            ": 88 of 95 subjects are measured (92%); 1 of 2 documents are not "
            "read yet");
  const RunFile read = read_run(folder.path());
  REQUIRE(read.documents.size() == 1);
  const DocumentRun& document = read.documents[0];
  CHECK_FALSE(document.complete);
  CHECK(document.influence.subjects.size() == 47);
  const std::vector<double>& whole = run.documents[0].influence.kl;
  const std::size_t horizon = document.influence.noise_floor.size();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const std::size_t s = i / horizon;
    CHECK((7 <= s && s < 14 ? std::isnan(document.influence.kl[i])
                            : document.influence.kl[i] == whole[i]));
  }
  const std::vector<float>& shares = run.documents[0].influence.rerouted;
  REQUIRE(document.influence.rerouted.size() == shares.size());
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const std::size_t s = i / 3;
    CHECK((7 <= s && s < 14 ? std::isnan(document.influence.rerouted[i])
                            : document.influence.rerouted[i] == shares[i]));
  }
  CHECK_THROWS_WITH(merge_run(directory, folder.path() / "run.h5"),
                    Contains("document_1, subjects 7-13") && Contains("document_2, the full pass"));
}

TEST_CASE("documents of which nothing is measured are left out") {
  const TemporaryFolder folder;
  const RunFile run = synthetic_run({.n_documents = 2});
  const RunPlan plan = plan_of(run, 1000);
  write_plan(folder.path(), plan);
  CHECK_THROWS_WITH(read_run(folder.path()), Contains("0 of 95 subjects are measured"));
  for (std::size_t d = 0; d < 2; ++d) {
    write_pass(folder.path(), plan, d, test::pass_of(run.documents[d]));
  }
  CHECK_THROWS_WITH(read_run(folder.path()), Contains("0 of 95 subjects are measured"));
  write_shard(folder.path(), plan, 1, {0, 48}, test::values_of(run.documents[1], {0, 48}));
  CHECK(read_run(folder.path()).documents.size() == 1);
  CHECK(measured_share_of(folder.path()) ==
        folder.path().string() + ": 48 of 95 subjects are measured (50%)\n");
}

TEST_CASE("work that was done twice is taken once, and other results of it are refused") {
  const TemporaryFolder folder;
  const RunFile run = measured_run();
  const RunPlan plan = plan_of(run, kShardUnits);
  write_directory(folder.path(), run, plan);
  write_directory(folder.path(), run, plan);
  DocumentRun other = test::values_of(run.documents[0], {0, 7});
  other.influence.kl[3] *= 2;
  CHECK_THROWS_WITH(write_shard(folder.path(), plan, 0, {0, 7}, other),
                    Contains("other results of the same work"));
  merge_run(RunDirectory(folder.path()), folder.path() / "run.h5");
}

TEST_CASE("a hostile run directory is refused") {
  const TemporaryFolder folder;
  const fs::path directory = folder.path() / "run";
  fs::create_directory(directory);
  const RunFile run = measured_run();
  const RunPlan plan = plan_of(run, kShardUnits);
  write_directory(directory, run, plan);
  const std::string pass = plan.pass_path(directory, 0).filename();
  const std::string shard = plan.shard_path(directory, 0, {7, 14}).filename();
  const auto count = [](const char* object, const char* name, std::uint64_t value) {
    return [=](hid_t file) { replace_count(file, object, name, value); };
  };
  const auto unlink = [](const char* name) {
    return [=](hid_t file) { REQUIRE(H5Ldelete(file, name, H5P_DEFAULT) >= 0); };
  };
  check_refused(directory, "plan.h5", "shard_units", count("/", "shard_units", 0));
  check_refused(directory, "plan.h5", "unit_values", count("/", "unit_values", 0));
  check_refused(directory, "plan.h5", "n_units", count("/documents/document_1", "n_units", ~0ULL));
  check_refused(directory, "plan.h5", "files",
                count("/documents/document_1", "n_units", 1'000'000'000));
  check_refused(directory, "plan.h5", "index", count("/documents/document_1", "index", 2));
  check_refused(directory, "plan.h5", "index", count("/documents/document_1", "index", 1));
  check_refused(directory, pass, "signals", unlink("/documents/document_1/signals"));
  check_refused(directory, pass, "document_1", unlink("/documents/document_1"));
  check_refused(directory, shard, "units", count("/documents/document_1", "first_unit", 0));
  check_refused(directory, shard, "units", count("/documents/document_1", "n_units", 6));
  check_refused(directory, shard, "kl", unlink("/documents/document_1/influence/kl"));

  fs::copy_file(plan.shard_path(directory, 0, {0, 7}), directory / "other.h5");
  fs::remove(directory / shard);
  fs::rename(directory / "other.h5", directory / shard);
  CHECK_THROWS_WITH(merge_run(RunDirectory(directory), folder.path() / "run.h5"),
                    Contains("the units that the file's name says"));
}

TEST_CASE("a plan for more units than the pass names is refused before anything is allocated") {
  const TemporaryFolder folder;
  const RunFile run = measured_run();
  RunPlan plan = plan_of(run, 1'000'000'000);
  write_directory(folder.path(), run, plan);
  const fs::path path = folder.path() / "plan.h5";
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  replace_count(file, "/documents/document_1", "n_units", 1'000'000'000);
  H5Fclose(file);
  CHECK_THROWS_WITH(read_run(folder.path()), Contains("expected 1000000000 subjects, found 47"));
}

TEST_CASE("a file of a run directory cut anywhere is refused") {
  const RunFile run = synthetic_run({.n_subjects = 8});
  const RunPlan plan = plan_of(run, 1000);
  const TemporaryFolder folder;
  write_directory(folder.path(), run, plan);
  for (const fs::path& path : {folder.path() / "plan.h5", plan.pass_path(folder.path(), 0),
                               plan.shard_path(folder.path(), 0, {0, 8})}) {
    const std::string whole = content_of(path);
    for (std::size_t size = 0; size < whole.size(); size += 512) {
      std::ofstream(path, std::ios::binary) << whole.substr(0, size);
      CHECK_THROWS_AS(read_run(folder.path()), FormatError);
    }
    std::ofstream(path, std::ios::binary) << whole;
  }
  CHECK(read_run(folder.path()).documents.at(0).complete);
}
