#include "data/format/publish.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/format/error.h"
#include "tests/support/skip.h"
#include "tests/support/temporary_folder.h"

using namespace longshadow;
using Catch::Matchers::Contains;
using test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> entries_of(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

/// No file of this process may grow beyond `bytes` while this lives; a write past it fails (EFBIG).
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  sighandler_t handler_;
};

/// A file system of 64 KiB on `folder`, where this process may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(const fs::path& folder)
      : folder_(folder), mounted_(mount("none", folder.c_str(), "tmpfs", 0, "size=64k") == 0) {}
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) umount2(folder_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  fs::path folder_;
  bool mounted_;
};

const std::vector<std::byte> kBytes(100000, std::byte{7});

}  // namespace

TEST_CASE("what is published is there whole and alone") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "run.h5";
  check_output(path);
  REQUIRE(entries_of(folder.path()).empty());
  fs::path seen;
  publish(path, kBytes, [&](const fs::path& written) {
    seen = written;
    CHECK_FALSE(fs::exists(path));
    CHECK(fs::file_size(written) == kBytes.size());
  });
  CHECK(seen.parent_path() == folder.path());
  CHECK(seen.filename().string().rfind(".run.h5.tmp.", 0) == 0);
  CHECK(content_of(path) == std::string(kBytes.size(), '\7'));
  CHECK(entries_of(folder.path()) == std::vector<std::string>{"run.h5"});
}

TEST_CASE("a name without a folder is in the current one") {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  check_output("run.h5");
  publish("run.h5", kBytes);
  fs::current_path(before);
  CHECK(entries_of(folder.path()) == std::vector<std::string>{"run.h5"});
}

TEST_CASE("an existing file is refused early, refused late, and left as it is") {
  const TemporaryFolder folder;
  const fs::path path = folder.write("run.h5", "precious");
  CHECK_THROWS_WITH(check_output(path), Contains("the name is taken"));
  CHECK_THROWS_WITH(publish(path, kBytes), Contains("the name is taken"));
  CHECK(content_of(path) == "precious");
  CHECK(entries_of(folder.path()).size() == 1);
}

TEST_CASE("a link that leads nowhere takes the name, too") {
  const TemporaryFolder folder;
  fs::create_symlink(folder.path() / "nowhere", folder.path() / "run.h5");
  CHECK_THROWS_WITH(check_output(folder.path() / "run.h5"), Contains("the name is taken"));
}

TEST_CASE("of two writers of one name the first wins") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "run.h5";
  const auto other_writer = [&](const fs::path&) { folder.write("run.h5", "first"); };
  CHECK_THROWS_AS(publish(path, kBytes, other_writer), FormatError);
  CHECK(content_of(path) == "first");
  CHECK(entries_of(folder.path()).size() == 1);
}

TEST_CASE("an output that cannot be is refused before any work") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(check_output(folder.path() / "missing" / "run.h5"), Contains("no folder"));
  CHECK_THROWS_WITH(check_output(folder.path() / "missing" / ""), Contains("expected a file name"));
  CHECK_THROWS_WITH(check_output(folder.path()), Contains("the name is taken"));
  CHECK_THROWS_WITH(check_output(folder.path() / std::string(300, 'n')), Contains("too long"));
  // Nobody may create files there, not even root.
  CHECK_THROWS_WITH(check_output("/proc/longshadow.h5"), Contains("cannot open"));
}

TEST_CASE("a failed check of the written file leaves nothing") {
  const TemporaryFolder folder;
  const auto refuse = [](const fs::path&) { throw std::runtime_error("not what was written"); };
  CHECK_THROWS_WITH(publish(folder.path() / "run.h5", kBytes, refuse), "not what was written");
  CHECK(entries_of(folder.path()).empty());
}

TEST_CASE("a write that fails half way leaves nothing") {
  const TemporaryFolder folder;
  {
    const FileSizeLimit limit(kBytes.size() / 2);
    CHECK_THROWS_WITH(publish(folder.path() / "run.h5", kBytes), Contains("File too large"));
  }
  CHECK(entries_of(folder.path()).empty());
}

TEST_CASE("a full disk leaves nothing") {
  const TemporaryFolder folder;
  const SmallDisk disk(folder.path());
  if (!disk.mounted()) {
    return test::skip("no permission to mount a small file system");
  }
  CHECK_THROWS_WITH(publish(folder.path() / "run.h5", kBytes), Contains("No space left"));
  CHECK(entries_of(folder.path()).empty());
}

TEST_CASE("a temporary that a dead process of our number left is replaced") {
  const TemporaryFolder folder;
  fs::path temporary;
  publish(folder.path() / "run.h5", kBytes, [&](const fs::path& path) { temporary = path; });
  fs::remove(folder.path() / "run.h5");
  std::ofstream(temporary) << "left behind";
  publish(folder.path() / "run.h5", kBytes);
  CHECK(entries_of(folder.path()) == std::vector<std::string>{"run.h5"});
}
