#pragma once

#include <string>
#include <string_view>

namespace longshadow {

/// Text that comes in pieces whose ends may lie inside a UTF-8 character, as tokens' bytes do. What
/// is shown is UTF-8: each longest beginning of a character that has no end, and each byte that
/// begins none, comes out as one U+FFFD (Unicode 15, section 3.9, as Python's and the tokenizers
/// package's decoders replace them).
class TextStream {
 public:
  /// What can be shown by now: all but a last character that may still be completed.
  std::string add(std::string_view piece);
  /// What is left when no more comes: nothing, or one U+FFFD.
  std::string finish();

 private:
  std::string held_;
};

}  // namespace longshadow
