// A run file. libhdf5 opens a path, and what it finds there must have one: a memfd has none.
#include <unistd.h>

#include <filesystem>
#include <string>

#include "analysis/run_reader.h"
#include "data/format/error.h"
#include "tests/fuzz/target.h"

namespace longshadow::fuzz {
namespace {

/// A file that is gone when the process ends as it should.
class TemporaryFile {
 public:
  TemporaryFile() : path_(std::filesystem::temp_directory_path() / "longshadow_fuzz.XXXXXX") {
    file_ = mkstemp(path_.data());
    require(file_ >= 0);
  }
  ~TemporaryFile() { unlink(path_.c_str()); }

  void hold(std::span<const std::byte> bytes) const {
    require(ftruncate(file_, 0) == 0 &&
            pwrite(file_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int file_;
};

}  // namespace
}  // namespace longshadow::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longshadow;
  static const fuzz::TemporaryFile file;
  file.hold(fuzz::bytes_of(data, size));
  fuzz::answers<FormatError>([] { read_run(file.path()); });
  return 0;
}
