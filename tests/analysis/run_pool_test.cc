#include "analysis/runs/run_pool.h"

#include <catch2/catch.hpp>
#include <functional>
#include <stdexcept>

#include "tests/support/synthetic_run.h"

using namespace longshadow;
using Catch::Matchers::Contains;

namespace {

/// Runs of one document each, whose texts differ.
std::vector<NamedRun> two_runs() {
  std::vector<NamedRun> runs = {{"a.h5", test::synthetic_run()},
                                {"b.h5", test::synthetic_run({.seed = 2})}};
  runs[1].run.documents[0].source_sha256 = std::string(64, '3');
  return runs;
}

void check_refused(const std::function<void(RunFile&)>& change, const std::string& why) {
  std::vector<NamedRun> runs = two_runs();
  change(runs[1].run);
  CHECK_THROWS_WITH(pool_runs(runs), Contains("a.h5 and b.h5 cannot be pooled") && Contains(why));
}

}  // namespace

TEST_CASE("run files of one kind are one run") {
  std::vector<NamedRun> runs = two_runs();
  runs[1].run.documents[0].influence.precision = "bf16";  // says how exactly, not what
  const RunFile pooled = pool_runs(runs);
  REQUIRE(pooled.documents.size() == 2);
  CHECK(pooled.documents[0].influence.kl == runs[0].run.documents[0].influence.kl);
  CHECK(pooled.documents[1].influence.kl == runs[1].run.documents[0].influence.kl);
}

TEST_CASE("run files that cannot be pooled are refused by name") {
  check_refused([](RunFile& run) { run.model.weights_sha256 = std::string(64, '9'); },
                "the same weights");
  check_refused([](RunFile& run) { run.documents[0].influence.lag = 8; },
                "--evict-at, found lag:16 and lag:8");
  check_refused([](RunFile& run) { run.documents[0].influence.evict_at = "end"; },
                "lag:16 and end");
  check_refused([](RunFile& run) { run.documents[0].context_tokens = 500; },
                "--context, found 512 and 500");
  check_refused([](RunFile& run) { run.documents[0].influence.layers = "0-1"; }, "--layers");
  check_refused([](RunFile& run) { run.documents[0].influence.heads = "0"; }, "--heads");
  check_refused([](RunFile& run) { run.documents[0].influence.noise_floor.pop_back(); },
                "--future");
  check_refused([](RunFile& run) { run.documents[0].source_sha256 = std::string(64, '2'); },
                "both have the text of document_1");
}
