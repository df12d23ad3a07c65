#include "data/format/global_heap.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>

#include "data/format/error.h"
#include "data/format/run_writer.h"
#include "tests/support/synthetic_run.h"
#include "tests/support/temporary_folder.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::TemporaryFolder;

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::uint64_t number_at(const std::string& bytes, std::size_t at) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// Where the size of the free space of the collection at `heap` is.
std::size_t size_of_free_space(const std::string& bytes, std::size_t heap) {
  std::size_t at = heap + 16;
  while (bytes[at] != 0 || bytes[at + 1] != 0) at += 16 + (number_at(bytes, at + 8) + 7) / 8 * 8;
  return at + 8;
}

TEST_CASE("global heaps whose objects lead nowhere, which libhdf5 would never leave, are refused") {
  const TemporaryFolder folder;
  write_run(folder.path() / "run.h5", test::synthetic_run());
  const std::string whole = content_of(folder.path() / "run.h5");
  const std::size_t heap = whole.find("GCOL");
  REQUIRE(heap != whole.npos);
  CHECK_NOTHROW(hdf5::check_global_heaps(folder.path() / "run.h5"));

  struct Fault {
    const char* what;
    std::size_t at;
    std::uint64_t size;
  };
  const std::uint64_t kWraps = ~std::uint64_t{0} - 3;
  for (const Fault& fault : {Fault{"free space of no bytes", size_of_free_space(whole, heap), 0},
                             Fault{"free space beyond", size_of_free_space(whole, heap), 1 << 20},
                             Fault{"an object beyond", heap + 24, 1 << 20},
                             Fault{"an object whose end wraps", heap + 24, kWraps},
                             Fault{"a collection beyond the file", heap + 8, whole.size()},
                             Fault{"a collection of no bytes", heap + 8, 0}}) {
    INFO(fault.what);
    std::string damaged = whole;
    std::memcpy(damaged.data() + fault.at, &fault.size, sizeof fault.size);
    damaged[heap + 7] = GENERATE('\0', '\xfe');  // a reserved byte, at which libhdf5 does not look
    const auto path = folder.write("damaged.h5", damaged);
    CHECK_THROWS_WITH(hdf5::check_global_heaps(path), Contains(path.string()) &&
                                                          Contains("global heap at byte") &&
                                                          !Contains("\n"));
  }
}

}  // namespace
}  // namespace longshadow
