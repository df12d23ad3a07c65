#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace longshadow {

/// A read-only file mapped into memory for the object's lifetime.
class MappedFile {
 public:
  /// Throws Error where the path is missing, not a regular file, or cannot be mapped.
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

}  // namespace longshadow
