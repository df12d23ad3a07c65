#include "engine/chat/template_tokens.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/core/error.h"
#include "engine/io/utf8.h"

namespace longshadow {
namespace {

using Kind = TemplateToken::Kind;

constexpr std::string_view kBlanks = " \t\n\r\f\v";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

/// Jinja reads every kind of line end as \n, and drops the last.
std::string with_plain_line_ends(std::string_view source) {
  std::string text;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
    } else if (i + 1 == source.size() || source[i + 1] != '\n') {
      text += '\n';
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Splitter {
 public:
  Splitter(std::string_view source, const std::string& where)
      : source_(with_plain_line_ends(source)), where_(where) {}

  std::vector<TemplateToken> split() {
    while (at_ < source_.size()) {
      take_text();
      if (at_ < source_.size()) take_tag();
    }
    push(Kind::end, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(where_ + ": line " + std::to_string(line()) + ": " + what);
  }

  std::size_t line() const {
    return 1 + static_cast<std::size_t>(std::count(
                   source_.begin(), source_.begin() + static_cast<std::ptrdiff_t>(at_), '\n'));
  }

  bool starts(std::string_view text) const { return source_.compare(at_, text.size(), text) == 0; }

  void push(Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line()}); }

  /// Everything up to the next tag.
  void take_text() {
    std::size_t tag = at_;
    do {
      tag = source_.find('{', tag);
    } while (tag != std::string::npos && tag + 1 < source_.size() &&
             std::string_view("{%#").find(source_[tag + 1]) == std::string_view::npos && ++tag);
    if (tag == std::string::npos || tag + 1 == source_.size()) tag = source_.size();
    std::string text = source_.substr(at_, tag - at_);
    if (tag < source_.size()) strip_before(tag, text);
    if (!text.empty()) push(Kind::text, std::move(text));
    at_ = tag;
  }

  void strip_before(std::size_t tag, std::string& text) const {
    const char control = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    if (control == '-') {
      text.erase(text.find_last_not_of(kBlanks) + 1);
    } else if (control != '+' && source_[tag + 1] != '{') {
      const std::size_t line_begin = text.find_last_of('\n') + 1;
      const bool begins_line = line_begin > 0 || at_ == 0 || source_[at_ - 1] == '\n';
      if (begins_line && text.find_first_not_of(kBlanks, line_begin) == std::string::npos) {
        text.erase(line_begin);
      }
    }
  }

  void take_tag() {
    const char kind = source_[at_ + 1];
    if (kind == '#') {
      const std::size_t end = source_.find("#}", at_ + 2);
      if (end == std::string::npos) refuse("the comment does not end");
      const bool strips = end > at_ + 2 && source_[end - 1] == '-';
      at_ = end + 2;
      strip_behind(strips, true);
      return;
    }
    const bool is_block = kind == '%';
    push(is_block ? Kind::block_begin : Kind::print_begin, source_.substr(at_, 2));
    at_ += 2;
    if (starts("-") || starts("+")) ++at_;
    const std::string end = is_block ? "%}" : "}}";
    while (!starts(end) && !starts("-" + end)) {
      if (at_ >= source_.size()) refuse("a tag does not end; expected " + end);
      take_word();
    }
    push(is_block ? Kind::block_end : Kind::print_end, end);
    const bool strips = starts("-");
    at_ += end.size() + (strips ? 1 : 0);
    strip_behind(strips, is_block);
  }

  void strip_behind(bool all, bool one_line_end) {
    if (all) {
      at_ = std::min(source_.find_first_not_of(kBlanks, at_), source_.size());
    } else if (one_line_end && starts("\n")) {
      ++at_;
    }
  }

  /// One token inside a tag, or the white space before it.
  void take_word() {
    static constexpr std::array<std::string_view, 23> kSymbols{
        "==", "!=", "<=", ">=", "<", ">", "=", "+", "-", "*", "/", "%",
        "~",  "|",  ".",  ",",  ":", "(", ")", "[", "]", "{", "}"};
    const char c = source_[at_];
    if (kBlanks.find(c) != std::string_view::npos) {
      ++at_;
    } else if (c == '\'' || c == '"') {
      take_string(c);
    } else if (is_name_character(c)) {
      const auto* const begin = source_.data() + at_;
      const auto* const end = std::find_if_not(
          begin, std::as_const(source_).data() + source_.size(), is_name_character);
      push(is_digit(c) ? Kind::integer : Kind::name, std::string(begin, end));
      at_ += static_cast<std::size_t>(end - begin);
    } else {
      const auto* const symbol = std::find_if(kSymbols.begin(), kSymbols.end(),
                                              [&](std::string_view s) { return starts(s); });
      if (symbol == kSymbols.end()) refuse("unexpected character " + quote(std::string(1, c)));
      push(Kind::symbol, std::string(*symbol));
      at_ += symbol->size();
    }
  }

  void take_string(char delimiter) {
    static constexpr std::string_view kEscaped = "nrt\\'\"";
    static constexpr std::string_view kMeanings = "\n\r\t\\'\"";
    std::string text;
    std::size_t i = at_ + 1;
    for (; i < source_.size() && source_[i] != delimiter; ++i) {
      if (source_[i] != '\\') {
        text += source_[i];
        continue;
      }
      const std::size_t escape =
          ++i < source_.size() ? kEscaped.find(source_[i]) : std::string_view::npos;
      if (escape == std::string_view::npos) {
        refuse("a string has an escape other than \\n, \\r, \\t, \\\\, \\' and \\\"");
      }
      text += kMeanings[escape];
    }
    if (i >= source_.size()) refuse("a string does not end");
    push(Kind::string, std::move(text));
    at_ = i + 1;
  }

  const std::string source_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::vector<TemplateToken> tokens_;
};

}  // namespace

std::vector<TemplateToken> template_tokens(std::string_view source, const std::string& where) {
  return Splitter(source, where).split();
}

}  // namespace longshadow
