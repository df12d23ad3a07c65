#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "engine/core/sha256.h"

namespace longshadow {

inline constexpr const char* kStandardInput = "-";  ///< as a document's path

/// A document's bytes, from a file, a pipe or standard input, read once from the beginning to the
/// end. All of them are checked and are in the digest; only a beginning is kept, so that a document
/// may be larger than the memory.
class DocumentSource {
 public:
  /// Throws Error where there is no file to read.
  explicit DocumentSource(const std::string& path);

  /// Reads on until `bytes` of the text are there, or it ends. Throws Error, naming the document,
  /// the first byte that is not UTF-8 or is NUL, what the file looks like and how to convert it;
  /// and where it cannot be read. A last character that the end cuts off is let through where the
  /// text has others beyond ASCII before it: what `head -c` leaves of a text is one.
  void read_to(std::size_t bytes);
  /// What is kept of what has been read, without a byte-order mark.
  std::string_view text() const { return std::string_view(bytes_).substr(mark_bytes_); }
  /// The bytes before text() in the file: 3 with a byte-order mark, else 0.
  std::size_t mark_bytes() const { return mark_bytes_; }
  /// Whether text() is all of it.
  bool is_whole() const { return ended_; }

  /// Reads the rest, checks it as read_to() does, and gives the SHA-256 of all bytes.
  std::string finish();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  /// The next bytes, checked; none at the end.
  std::string_view next_chunk();
  void check(std::string_view chunk);
  [[noreturn]] void refuse(std::string_view unchecked, std::size_t at) const;

  std::string name_;  ///< for messages
  std::unique_ptr<std::FILE, Close> file_;
  Sha256 digest_;
  std::string chunk_;
  std::string beginning_;    ///< the file's first bytes, which tell what it is
  std::string unchecked_;    ///< the last bytes read, where they may begin a character
  std::size_t checked_ = 0;  ///< bytes of the file before them
  bool is_beyond_ascii_ = false;
  std::string bytes_;  ///< kept, from the file's first on
  std::size_t mark_bytes_ = 0;
  bool ended_ = false;
};

}  // namespace longshadow
