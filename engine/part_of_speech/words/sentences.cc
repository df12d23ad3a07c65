#include "engine/part_of_speech/words/sentences.h"

#include <algorithm>
#include <cstddef>

#include "engine/text/unicode.h"

namespace longshadow {
namespace {

bool is_terminal(std::string_view form) {
  return form == "…" || form.find_first_not_of(".?!") == std::string_view::npos;
}

bool is_closing(std::string_view form) {
  return form == "\"" || form == "'" || form == "”" || form == "’" || form == ")" || form == "]" ||
         form == "''";
}

bool starts_line_item(std::string_view form) {
  return form == "-" || form == "*" || form == "•" || form == "+" || form == ">" ||
         form.find_first_not_of('#') == std::string_view::npos;
}

/// Whether the word is the period of a number that begins both the sentence and its line.
bool ends_item_number(std::string_view text, std::span<const TextWord> sentence, std::size_t word) {
  if (word != 1) return false;
  const Range number = sentence[0].bytes;
  const Range period = sentence[1].bytes;
  const auto is_digit = [](char c) { return '0' <= c && c <= '9'; };
  const std::string_view form = text.substr(number.begin, number.size());
  const std::string_view before = text.substr(0, number.begin);
  const std::size_t last = before.find_last_not_of(" \t");
  return std::all_of(form.begin(), form.end(), is_digit) && number.end == period.begin &&
         text.substr(period.begin, period.size()) == "." &&
         (last == std::string_view::npos || before[last] == '\n');
}

bool goes_on_in_lower_case(std::string_view form) {
  const auto first = code_point_at(form, 0);
  return first && character_class(first->value) == CharacterClass::lower;
}

}  // namespace

void mark_sentences(std::string_view text, std::span<TextWord> words) {
  bool terminated = false;
  std::size_t first = 0;  // word of the sentence
  for (std::size_t i = 0; i < words.size(); ++i) {
    const Range here = words[i].bytes;
    const std::string_view form = text.substr(here.begin, here.size());
    terminated = (is_terminal(form) && !ends_item_number(text, words.subspan(first), i - first)) ||
                 (terminated && is_closing(form));
    if (i + 1 == words.size()) {
      words[i].ends_sentence = true;
      return;
    }
    const Range next = words[i + 1].bytes;
    const std::string_view gap = text.substr(here.end, next.begin - here.end);
    const std::string_view next_form = text.substr(next.begin, next.size());
    const auto lines = std::count(gap.begin(), gap.end(), '\n');
    words[i].ends_sentence = lines > 1 || (lines == 1 && starts_line_item(next_form)) ||
                             (terminated && !gap.empty() && !goes_on_in_lower_case(next_form)) ||
                             next.end - words[first].bytes.begin > kLongestSentenceBytes;
    if (words[i].ends_sentence) first = i + 1;
  }
}

}  // namespace longshadow
