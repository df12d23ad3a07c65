#include "engine/text/pattern_syntax.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>

#include "engine/text/utf8.h"

namespace longshadow {
namespace {

/// White_Space, which Oniguruma's \s is; PCRE2's own \s also takes U+180E.
constexpr std::string_view kSpaces =
    R"(\x{09}-\x{0d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view kNotSpaces =
    R"(\x{00}-\x{08}\x{0e}-\x{1f}\x{21}-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";
/// Oniguruma's \w; PCRE2's own has neither marks nor all connectors.
constexpr std::string_view kWordCharacters = R"(\p{L}\p{M}\p{Nd}\p{Pc})";

constexpr std::array<std::string_view, 7> kGroups = {
    "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?i:", "(?>"};

class Translator {
 public:
  explicit Translator(std::string_view expression) : rest_(expression) {}

  std::string translate() {
    while (!rest_.empty()) {
      switch (rest_.front()) {
        case '\\':
          translate_escape(/*in_class=*/false);
          break;
        case '[':
          translate_class();
          break;
        case '(':
          translate_group();
          break;
        case '{':
          translate_interval();
          break;
        default:
          copy(1);
      }
    }
    return std::move(result_);
  }

 private:
  [[noreturn]] void refuse(std::size_t length) const {
    throw std::invalid_argument(quote(rest_.substr(0, length)) + " is not supported");
  }

  void copy(std::size_t length) {
    result_ += rest_.substr(0, length);
    rest_.remove_prefix(length);
  }

  /// Replaces a two-character escape by the members of its set.
  void replace_by_set(std::string_view members, bool in_class) {
    rest_.remove_prefix(2);
    if (!in_class) result_ += '[';
    result_ += members;
    if (!in_class) result_ += ']';
  }

  void translate_group() {
    if (!rest_.starts_with("(?") && !rest_.starts_with("(*")) return copy(1);
    for (const std::string_view group : kGroups) {
      if (rest_.starts_with(group)) return copy(group.size());
    }
    refuse(3);
  }

  /// {n}, {n,} and {n,m} mean the same in both; so does a brace that opens no interval.
  void translate_interval() {
    const std::size_t close = rest_.find('}');
    const std::string_view inside = rest_.substr(0, close).substr(1);
    const bool interval = close != std::string_view::npos && !inside.empty() &&
                          inside.find_first_not_of("0123456789,") == std::string_view::npos;
    if (!interval) return copy(1);
    if (inside.front() == ',')
      refuse(close + 1);  // {,n} starts at 0 in the one, is text in the other
    const bool possessive = rest_.substr(close + 1).starts_with('+');
    if (possessive) refuse(close + 2);  // repeated in the one, possessive in the other
    copy(close + 1);
  }

  void translate_escape(bool in_class) {
    if (rest_.size() < 2) refuse(1);
    const char letter = rest_[1];
    if (letter == 's') return replace_by_set(kSpaces, in_class);
    if (letter == 'S') return replace_by_set(kNotSpaces, in_class);
    if (letter == 'w') return replace_by_set(kWordCharacters, in_class);
    if (letter == 'p' || letter == 'P') return translate_property();
    if (letter == 'x' || letter == 'u') return translate_hexadecimal();
    const bool same_in_both = std::string_view("rntfaedD").find(letter) != std::string_view::npos ||
                              (!in_class && (letter == 'A' || letter == 'z' || letter == 'Z'));
    if (std::isalnum(static_cast<unsigned char>(letter)) && !same_in_both) refuse(2);
    copy(2);
  }

  /// \p{Name} and \p{^Name}; the bare \pL of PCRE2 is no property in Ruby's syntax.
  void translate_property() {
    const std::size_t close = rest_.find('}');
    if (rest_.size() < 3 || rest_[2] != '{' || close == std::string_view::npos) refuse(3);
    copy(close + 1);
  }

  /// \xHH, \x{H...} and \uHHHH.
  void translate_hexadecimal() {
    if (rest_.starts_with("\\x{")) {
      const std::size_t close = rest_.find('}');
      if (close == std::string_view::npos) refuse(3);
      return copy(close + 1);
    }
    const std::size_t digits = rest_[1] == 'u' ? 4 : 2;
    const std::string_view code = rest_.substr(2, digits);
    const auto is_digit = [](unsigned char c) { return std::isxdigit(c) != 0; };
    // Oniguruma's \x80 and above are raw bytes.
    const bool plain = code.size() == digits && std::all_of(code.begin(), code.end(), is_digit) &&
                       (digits == 4 || code.front() < '8');
    if (!plain) refuse(2 + digits);
    result_ += "\\x{";
    result_ += code;
    result_ += '}';
    rest_.remove_prefix(2 + digits);
  }

  /// Sets inside sets and && (intersection) are Oniguruma's alone.
  void translate_class() {
    copy(rest_.starts_with("[^") ? 2 : 1);
    if (rest_.starts_with(']')) refuse(1);  // text in the one, the end of an empty set in the other
    while (!rest_.empty() && rest_.front() != ']') {
      if (rest_.front() == '[') refuse(2);
      if (rest_.starts_with("&&")) refuse(2);
      if (rest_.front() == '\\') {
        translate_escape(/*in_class=*/true);
      } else {
        copy(1);
      }
    }
    if (rest_.empty()) throw std::invalid_argument("a set '[...' has no end");
    copy(1);
  }

  std::string_view rest_;
  std::string result_;
};

}  // namespace

std::string to_pcre2_syntax(std::string_view expression) {
  return Translator(expression).translate();
}

}  // namespace longshadow
