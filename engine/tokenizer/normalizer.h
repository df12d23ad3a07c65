#pragma once

#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/text/aligned_text.h"
#include "engine/text/pattern.h"
#include "engine/tokenizer/definition/tokenizer_definition.h"

namespace longshadow {

/// Composes well-formed text to a normal form (UAX #15), each character still aligned with what it
/// was made from. Data of utf8proc, Unicode 15 in version 2.8. The `tokenizers` package 0.23 has
/// Unicode 9: it may order marks assigned since then differently, and keeps compatibility
/// characters assigned since then.
/// Of a `beginning`, what is normalised ends before the characters that more text could change.
AlignedText to_normal_form(const AlignedText& text, NormalForm form, Extent extent = Extent::whole);

/// The changes that a tokenizer makes to a text before it looks for tokens.
class Normalizer {
 public:
  /// Throws Error naming `source` where a pattern cannot be used.
  Normalizer(std::span<const NormalizerStep> steps, const std::string& source);

  bool is_empty() const { return steps_.empty(); }
  /// Of a `beginning`, what is normalised ends before the characters that more text could change.
  AlignedText normalize(AlignedText text, Extent extent = Extent::whole) const;

 private:
  struct Replacement {
    Pattern pattern;
    std::string content;
  };
  std::vector<std::variant<Compose, Strip, Prepend, Replacement>> steps_;
};

}  // namespace longshadow
