#include "data/format/growing_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <new>

#include "data/format/error.h"
#include "data/format/publish.h"

namespace longshadow {
namespace {

constexpr std::size_t kPage = 4096;

/// For `size` bytes and some more, because every step maps anew.
std::size_t mapping_for(std::size_t size) { return (size + size / 8 + kPage - 1) / kPage * kPage; }

}  // namespace

BytesOnDisk::BytesOnDisk(const std::filesystem::path& output)
    : file_(temporary_path(output), O_RDWR | O_CREAT | O_TRUNC) {
  unlink(temporary_path(output).c_str());
}

BytesOnDisk::~BytesOnDisk() {
  if (data_ != nullptr) munmap(data_, mapped_);
}

std::byte* BytesOnDisk::map(std::size_t size) {
  try {
    if (failure_.empty()) file_.reserve(size);
  } catch (const FormatError& error) {
    failure_ = error.what();
  }
  const bool in_file = failure_.empty();
  void* const mapping =
      mmap(nullptr, size, PROT_READ | PROT_WRITE,
           in_file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, in_file ? file_.number() : -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  auto* const data = static_cast<std::byte*>(mapping);
  if (!in_file) std::copy(data_, data_ + size_, data);
  return data;
}

void BytesOnDisk::resize(std::size_t size) {
  if (size > mapped_) {
    const std::size_t wanted = mapping_for(size);
    std::byte* const data = map(wanted);
    if (data_ != nullptr) munmap(data_, mapped_);
    data_ = data;
    mapped_ = wanted;
  }
  if (size < size_) std::fill(data_ + size, data_ + size_, std::byte{0});
  size_ = size;
}

void BytesOnDisk::check() const {
  if (!failure_.empty()) throw FormatError(failure_);
}

}  // namespace longshadow
