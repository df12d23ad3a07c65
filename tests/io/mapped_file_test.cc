#include "engine/io/mapped_file.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <utility>

#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::error_of;

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST_CASE("a file is mapped, and moves with its mapping") {
  const test::TemporaryFolder folder;
  MappedFile first(folder.write("a", "alpha"));
  MappedFile second(folder.write("b", "beta"));
  CHECK(text_of(first) == "alpha");
  const std::byte* address = first.bytes().data();
  MappedFile moved(std::move(first));
  CHECK(moved.bytes().data() == address);
  moved = std::move(second);
  CHECK(text_of(moved) == "beta");
  CHECK(moved.path() == folder.path() / "b");
}

TEST_CASE("an empty file maps to no bytes") {
  const test::TemporaryFolder folder;
  CHECK(MappedFile(folder.write("empty", "")).bytes().empty());
}

TEST_CASE("what is not a readable file is refused by name") {
  const test::TemporaryFolder folder;
  CHECK_THAT(error_of([&] { MappedFile(folder.path() / "nothing"); }),
             Contains("nothing: cannot open: No such file"));
  CHECK_THAT(error_of([&] { MappedFile file(folder.path()); }), Contains("found a directory"));
  const auto pipe = folder.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THAT(error_of([&] { MappedFile file(pipe); }), Contains("pipe"));
}

}  // namespace
}  // namespace longshadow
