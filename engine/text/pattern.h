#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/range.h"

namespace longshadow {

/// A regular expression of a tokenizer definition: a file from a stranger. It is read as Oniguruma
/// (which the `tokenizers` package uses, in its Ruby syntax) reads it and run by PCRE2 with Unicode
/// 14 properties. A construct that the two understand differently is refused, and so are callouts,
/// verbs, recursion and back references.
class Pattern {
 public:
  /// Throws Error naming `source` and the expression where it does not compile or is refused.
  Pattern(std::string_view expression, const std::string& source);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  /// Appends all matches in `text` (well-formed UTF-8), left to right, disjoint. An empty match
  /// right behind another match is passed over. Throws Error where a match takes more than a fixed
  /// amount of backtracking or memory (about 1e6 steps for a short text, 64 MiB).
  void find_all(std::string_view text, std::vector<Range>& matches) const;

  /// The same for a text that goes on behind `text`: appends only matches that are there whatever
  /// follows, and returns the byte up to which it is certain that there are no others.
  std::size_t find_certain(std::string_view text, std::vector<Range>& matches) const;

 private:
  struct Compiled;
  std::size_t find(std::string_view text, bool goes_on, std::vector<Range>& matches) const;
  std::unique_ptr<Compiled> compiled_;
};

/// An expression that matches exactly `text`.
std::string escaped_for_pattern(std::string_view text);

}  // namespace longshadow
