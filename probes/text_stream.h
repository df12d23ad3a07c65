#pragma once

#include <string>
#include <string_view>

namespace longshadow {

/// Text that comes in pieces whose ends may lie inside a UTF-8 character, as tokens' bytes do.
class TextStream {
 public:
  /// The bytes that can be shown by now: all but a last character that is still incomplete. Bytes
  /// that belong to no character are shown as they are.
  std::string add(std::string_view piece);
  /// What is left when no more comes.
  std::string finish();

 private:
  std::string held_;
};

}  // namespace longshadow
