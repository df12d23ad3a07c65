#include "data/format/growing_bytes.h"

#include <sys/resource.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>

#include "data/format/error.h"
#include "tests/support/temporary_folder.h"

using namespace longshadow;
using Catch::Matchers::Contains;
using test::TemporaryFolder;

namespace {

/// Grows by odd steps and shrinks now and then; every byte that is there holds what it should.
void check_growth(GrowingBytes& bytes) {
  std::size_t size = 0;
  for (std::size_t step = 1; step < 300; step += 7) {
    bytes.resize(size + step * step);
    REQUIRE(bytes.bytes().size() == size + step * step);
    const auto grown = bytes.bytes().subspan(size);
    CHECK(std::all_of(grown.begin(), grown.end(), [](std::byte b) { return b == std::byte{0}; }));
    std::fill(grown.begin(), grown.end(), static_cast<std::byte>(step));
    size += step * step / 2;
    bytes.resize(size);
    const auto kept = bytes.bytes().last(step * step / 2);
    CHECK(std::all_of(kept.begin(), kept.end(),
                      [&](std::byte b) { return b == static_cast<std::byte>(step); }));
  }
}

}  // namespace

TEST_CASE("bytes grow and shrink in memory and on the disk") {
  const TemporaryFolder folder;
  BytesInMemory in_memory;
  check_growth(in_memory);
  BytesOnDisk on_disk(folder.path() / "run.h5");
  check_growth(on_disk);
  on_disk.check();
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("bytes that the disk has no room for are in memory, and said to be") {
  const TemporaryFolder folder;
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{200'000, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  BytesOnDisk bytes(folder.path() / "run.h5");
  check_growth(bytes);
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CHECK_THROWS_WITH(bytes.check(), Contains("run.h5") && Contains("File too large"));
}
