#include <algorithm>
#include <charconv>

#include "engine/core/error.h"
#include "engine/jinja/syntax/tokens.h"
#include "engine/text/unicode.h"

namespace longshadow::jinja {
namespace {

bool is_octal(char c) { return c >= '0' && c <= '7'; }

void append_code_point(std::string& text, unsigned long code_point) {
  if (code_point > 0x10ffff || (code_point >= 0xd800 && code_point < 0xe000)) {
    throw Error("an escape in a string is no character");
  }
  append_utf8(text, static_cast<char32_t>(code_point));
}

/// The number behind \x, \u or \U, or \ of an octal one, at the front of `digits`.
unsigned long number_of(std::string_view digits, std::size_t count, int base) {
  unsigned long value = 0;
  const char* const last = digits.data() + std::min(count, digits.size());
  const auto [end, error] = std::from_chars(digits.data(), last, value, base);
  if (digits.size() < count || error != std::errc() || end != last) {
    throw Error("an escape in a string is cut short");
  }
  return value;
}

}  // namespace

std::string unescaped(std::string_view literal) {
  static constexpr std::string_view kNames = "\n\\'\"abfnrtv";
  static constexpr std::string_view kMeanings = "?\\'\"\a\b\f\n\r\t\v";
  std::string text;
  for (std::size_t i = 0; i < literal.size(); ++i) {
    if (literal[i] != '\\' || i + 1 == literal.size()) {
      text += literal[i];
      continue;
    }
    const char c = literal[++i];
    const std::size_t hexadecimal = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (hexadecimal != 0) {
      append_code_point(text, number_of(literal.substr(i + 1), hexadecimal, 16));
      i += hexadecimal;
    } else if (is_octal(c)) {
      std::size_t count = 1;
      while (count < 3 && i + count < literal.size() && is_octal(literal[i + count])) ++count;
      append_code_point(text, number_of(literal.substr(i), count, 8));
      i += count - 1;
    } else if (c == 'N') {
      throw Error("the escape \\N in a string is not supported");
    } else if (const std::size_t name = kNames.find(c); name == std::string_view::npos) {
      text += '\\';  // Python keeps what it does not know
      text += c;
    } else if (name != 0) {  // an escaped line end is nothing
      text += kMeanings[name];
    }
  }
  return text;
}

}  // namespace longshadow::jinja
