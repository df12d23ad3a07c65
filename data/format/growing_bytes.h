#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/format/descriptor.h"

namespace longshadow {

/// Bytes whose number changes; they may move then.
class GrowingBytes {
 public:
  virtual ~GrowingBytes() = default;
  /// What is new is zero. Throws std::bad_alloc.
  virtual void resize(std::size_t size) = 0;
  virtual std::span<std::byte> bytes() = 0;
  /// Throws FormatError where there was no room for them.
  virtual void check() const {}
};

class BytesInMemory final : public GrowingBytes {
 public:
  void resize(std::size_t size) override { bytes_.resize(size); }
  std::span<std::byte> bytes() override { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// In a nameless file in the folder of `output`, mapped: the system keeps on the disk what is too
/// much for memory. Blocks are reserved as it grows, or a full disk would be a signal at a later
/// write. When there are no more, growth goes on in memory and check() throws: libhdf5 1.10 crashes
/// when the program ends if a file could not grow.
class BytesOnDisk final : public GrowingBytes {
 public:
  explicit BytesOnDisk(const std::filesystem::path& output);
  BytesOnDisk(const BytesOnDisk&) = delete;
  BytesOnDisk& operator=(const BytesOnDisk&) = delete;
  ~BytesOnDisk() override;

  void resize(std::size_t size) override;
  std::span<std::byte> bytes() override { return {data_, size_}; }
  void check() const override;

 private:
  /// New memory of `size` bytes, in the file as long as there is room.
  std::byte* map(std::size_t size);

  Descriptor file_;
  std::string failure_;  ///< of the file; empty: it has all the bytes
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
};

}  // namespace longshadow
