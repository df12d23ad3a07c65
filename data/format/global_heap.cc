#include "data/format/global_heap.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "data/format/error.h"

namespace longshadow::hdf5 {
namespace {

/// "GCOL" and version 1. The three zeros behind it libhdf5 does not look at.
constexpr std::string_view kSignature("GCOL\x01");
constexpr std::size_t kHeaderBytes = 16;
/// Of an object: index, references, four zeros, size.
constexpr std::size_t kObjectHeaderBytes = 16;
constexpr std::size_t kAlignment = 8;

/// A file's bytes, as long as this lives.
class Mapping {
 public:
  explicit Mapping(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (file < 0 || fstat(file, &status) != 0) fail(path, file);
    size_ = static_cast<std::size_t>(status.st_size);
    data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    if (data_ == MAP_FAILED) fail(path, file);
    close(file);
  }
  ~Mapping() { munmap(data_, size_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

 private:
  [[noreturn]] static void fail(const std::string& path, int file) {
    const std::string reason = std::strerror(errno);
    if (file >= 0) close(file);
    throw FormatError("cannot read " + path + ": " + reason);
  }

  void* data_ = nullptr;
  std::size_t size_ = 0;
};

std::uint64_t number_at(std::span<const std::byte> file, std::size_t offset, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value |= std::to_integer<std::uint64_t>(file[offset + i]) << (8 * i);
  }
  return value;
}

[[noreturn]] void refuse(const std::string& source, std::size_t offset, const std::string& what) {
  throw FormatError("cannot read " + source + ": expected a global heap at byte " +
                    std::to_string(offset) + " whose objects fill it, found " + what);
}

/// One collection, of `size` bytes with its header.
void check_collection(std::span<const std::byte> collection, const std::string& source,
                      std::size_t at) {
  std::size_t offset = kHeaderBytes;
  while (collection.size() - offset >= kObjectHeaderBytes) {
    const std::uint64_t index = number_at(collection, offset, 2);
    const std::uint64_t size = number_at(collection, offset + 8, 8);
    const std::size_t left = collection.size() - offset;
    if (size > left) refuse(source, at + offset, "an object of " + std::to_string(size) + " bytes");
    // Index 0 is what is free, its header counted; of the others' data the last word may be short.
    const std::size_t step =
        index == 0 ? size : kObjectHeaderBytes + (size + kAlignment - 1) / kAlignment * kAlignment;
    if (step == 0 || step > left) {
      refuse(source, at + offset, "an object of " + std::to_string(size) + " bytes");
    }
    offset += step;
  }
}

}  // namespace

void check_global_heaps(const std::filesystem::path& path) {
  const std::string source = path.string();
  const Mapping mapping(source);
  const std::span<const std::byte> file = mapping.bytes();
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  for (std::size_t at = text.find(kSignature); at != text.npos;
       at = text.find(kSignature, at + kSignature.size())) {
    if (text.size() - at < kHeaderBytes) refuse(source, at, "the file's end");
    const std::uint64_t size = number_at(file, at + 8, 8);
    if (size < kHeaderBytes || size > text.size() - at) {
      refuse(source, at, "one of " + std::to_string(size) + " bytes");
    }
    check_collection(file.subspan(at, size), source, at);
  }
}

}  // namespace longshadow::hdf5
