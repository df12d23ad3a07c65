#pragma once

#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/text/aligned_text.h"
#include "engine/text/pattern.h"
#include "engine/tokenizer/definition/tokenizer_definition.h"

namespace longshadow {

/// Cuts a text into the pieces that byte-pair encoding may not merge across.
class Pretokenizer {
 public:
  /// Throws Error naming `source` where a pattern cannot be used.
  Pretokenizer(std::span<const PretokenizerStep> steps, const std::string& source);

  /// The pieces of `text`, ascending, disjoint and not empty. `text` gains the prefixed and the
  /// spelled spaces. Where the text is only a `beginning`, the pieces are those that it has
  /// whatever follows.
  std::vector<Range> split(AlignedText& text, Extent extent = Extent::whole) const;

 private:
  struct Split {
    Pattern pattern;
    SplitBehavior behavior;
    bool invert;
  };
  std::vector<std::variant<Split, PrefixSpace, SpellSpaces>> steps_;
};

}  // namespace longshadow
