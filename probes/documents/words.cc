#include "probes/documents/words.h"

#include <cstddef>
#include <optional>

#include "engine/text/unicode.h"

namespace longshadow {
namespace {

bool is_apostrophe(char32_t code_point) { return code_point == U'\'' || code_point == U'\u2019'; }

/// Bytes of the word character at `at`, 0 where there is none.
std::size_t word_character(std::string_view text, std::size_t at) {
  const std::optional<CodePoint> here = code_point_at(text, at);
  return here && is_word_character(here->value) ? here->length : 0;
}

/// Bytes by which a word that reaches to `at` goes on, 0 at its end.
std::size_t continuation(std::string_view text, std::size_t at) {
  const std::optional<CodePoint> here = code_point_at(text, at);
  if (here && is_apostrophe(here->value)) {
    const std::size_t behind = word_character(text, at + here->length);
    return behind == 0 ? 0 : here->length + behind;
  }
  return word_character(text, at);
}

}  // namespace

std::vector<Range> find_words(std::string_view text) {
  std::vector<Range> words;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + word_character(text, at);
    if (end == at) {
      ++at;  // into the middle of a character, perhaps, where no other begins
      continue;
    }
    while (const std::size_t more = continuation(text, end)) end += more;
    words.push_back({at, end});
    at = end;
  }
  return words;
}

std::vector<Range> tokens_within(std::span<const Range> bytes, std::span<const Token> tokens) {
  std::vector<Range> found;
  std::size_t first = 0;
  for (const Range& range : bytes) {
    while (first < tokens.size() && tokens[first].end <= range.begin) ++first;
    std::size_t last = first;
    while (last < tokens.size() && tokens[last].begin < range.end) ++last;
    found.push_back({first, last});
  }
  return found;
}

}  // namespace longshadow
