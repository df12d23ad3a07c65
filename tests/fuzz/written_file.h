#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <span>

#include "tests/fuzz/target.h"

namespace longshadow::fuzz {

/// An input for what opens a path: a file in a folder of its own, both gone when the process ends
/// as it should. (A memfd has no path that libhdf5 would open.)
class WrittenFile {
 public:
  explicit WrittenFile(const char* name)
      : folder_(std::filesystem::temp_directory_path() / "longshadow_fuzz.XXXXXX") {
    std::string made = folder_.string();
    require(mkdtemp(made.data()) != nullptr);
    folder_ = made;
    file_ = open((folder_ / name).c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    path_ = folder_ / name;
    require(file_ >= 0);
  }
  ~WrittenFile() { std::filesystem::remove_all(folder_); }
  WrittenFile(const WrittenFile&) = delete;
  WrittenFile& operator=(const WrittenFile&) = delete;

  void hold(std::span<const std::byte> bytes) const {
    require(ftruncate(file_, 0) == 0 &&
            pwrite(file_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }
  const std::filesystem::path& folder() const { return folder_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path folder_;
  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace longshadow::fuzz
