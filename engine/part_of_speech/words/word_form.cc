#include "engine/part_of_speech/words/word_form.h"

#include <algorithm>

#include "engine/text/unicode.h"

namespace longshadow {
namespace {

bool starts_code_point(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

char32_t shape_character(char32_t code_point) {
  switch (character_class(code_point)) {
    case CharacterClass::upper:
      return U'X';
    case CharacterClass::lower:
      return U'x';
    case CharacterClass::digit:
      return U'd';
    case CharacterClass::other:
      return code_point;
  }
  return code_point;
}

template <class Visit>
void for_each_code_point(std::string_view form, Visit visit) {
  for (std::size_t at = 0; at < form.size();) {
    const auto code_point = code_point_at(form, at);
    if (!code_point) return;
    visit(code_point->value);
    at += code_point->length;
  }
}

}  // namespace

std::uint64_t hash_of(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  return hash;
}

std::string lower_case(std::string_view form) {
  std::string lower;
  for_each_code_point(form, [&](char32_t c) { append_utf8(lower, to_lower(c)); });
  return lower;
}

std::string shape_of(std::string_view form) {
  std::string shape;
  char32_t last = 0;
  std::size_t run = 0;
  for_each_code_point(form, [&](char32_t c) {
    const char32_t shown = shape_character(c);
    run = shown == last ? run + 1 : 1;
    last = shown;
    if (run <= 2) append_utf8(shape, shown);
  });
  return shape;
}

std::string normalised(std::string_view form) {
  constexpr auto npos = std::string_view::npos;
  if (form.find("://") != npos || form.starts_with("www.")) return "<web>";
  if (form.size() > 2 && form.find('@', 1) != npos) return "<mail>";
  std::string normal;
  for_each_code_point(form, [&](char32_t c) {
    append_utf8(normal, character_class(c) == CharacterClass::digit ? U'0' : to_lower(c));
  });
  return normal;
}

std::string_view prefix_of(std::string_view form, std::size_t count) {
  std::size_t end = 0;
  for (; end < form.size(); ++end) {
    if (starts_code_point(form[end]) && count-- == 0) break;
  }
  return form.substr(0, end);
}

std::string_view suffix_of(std::string_view form, std::size_t count) {
  std::size_t begin = form.size();
  while (begin > 0 && count > 0) {
    if (starts_code_point(form[--begin])) --count;
  }
  return form.substr(begin);
}

}  // namespace longshadow
