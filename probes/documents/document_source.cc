#include "probes/documents/document_source.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "engine/core/error.h"
#include "engine/text/utf8.h"
#include "probes/documents/foreign_text.h"

namespace longshadow {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{256} << 10;
constexpr std::size_t kAroundBytes = 2048;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::FILE* open(const std::string& path) {
  if (path != kStandardInput) return std::fopen(path.c_str(), "rb");
  const int copy = ::dup(STDIN_FILENO);  // which is closed at the end, and standard input is not
  return copy < 0 ? nullptr : ::fdopen(copy, "rb");
}

bool is_ascii(char c) { return (static_cast<unsigned char>(c) & 0x80) == 0; }

}  // namespace

DocumentSource::DocumentSource(const std::string& path)
    : name_(path == kStandardInput ? "standard input" : path), file_(open(path)) {
  if (file_ == nullptr) throw Error(name_ + ": cannot open: " + std::strerror(errno));
  struct stat status {};
  if (::fstat(::fileno(file_.get()), &status) == 0 && S_ISDIR(status.st_mode)) {
    throw Error(name_ + ": expected a file, found a directory");
  }
}

void DocumentSource::read_to(std::size_t bytes) {
  while (!ended_ && bytes_.size() - mark_bytes_ < bytes) {
    const bool is_first = bytes_.empty();
    bytes_ += next_chunk();
    if (is_first && bytes_.starts_with(kByteOrderMark)) mark_bytes_ = kByteOrderMark.size();
  }
}

std::string DocumentSource::finish() {
  while (!ended_) next_chunk();
  return digest_.finish();
}

std::string_view DocumentSource::next_chunk() {
  chunk_.resize(kChunkBytes);
  chunk_.resize(std::fread(chunk_.data(), 1, chunk_.size(), file_.get()));
  if (std::ferror(file_.get()) != 0) {
    throw Error(name_ + ": cannot be read: " + std::strerror(errno));
  }
  ended_ = chunk_.size() < kChunkBytes;
  digest_.add(std::as_bytes(std::span(chunk_)));
  check(chunk_);
  return chunk_;
}

void DocumentSource::check(std::string_view chunk) {
  if (checked_ == 0) beginning_ = chunk.substr(0, 2 * kAroundBytes);
  unchecked_ += chunk;
  if (checked_ == 0 && is_pdf(unchecked_)) refuse(unchecked_, 0);
  const std::size_t n_good = std::min(utf8_prefix(unchecked_), unchecked_.find('\0'));
  is_beyond_ascii_ =
      is_beyond_ascii_ ||
      !std::all_of(unchecked_.begin(), unchecked_.begin() + static_cast<std::ptrdiff_t>(n_good),
                   is_ascii);
  const std::string_view rest = std::string_view(unchecked_).substr(n_good);
  const bool is_cut_off = incomplete_bytes(rest) == rest.size() && (!ended_ || is_beyond_ascii_);
  if (!rest.empty() && !is_cut_off) refuse(unchecked_, n_good);
  checked_ += n_good;
  unchecked_.erase(0, n_good);
}

void DocumentSource::refuse(std::string_view unchecked, std::size_t at) const {
  const std::size_t begin = at - std::min(at, kAroundBytes);
  const ForeignText found =
      guess_foreign_text(beginning_, unchecked.substr(begin, 2 * kAroundBytes));
  char byte[8];
  std::snprintf(byte, sizeof byte, "0x%02x", static_cast<unsigned char>(unchecked[at]));
  throw Error(name_ + ": expected UTF-8 text, found " + found.what + ": byte " +
              std::to_string(checked_ + at) + " is " + byte + "; " + found.remedy);
}

}  // namespace longshadow
