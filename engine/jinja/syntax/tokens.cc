#include "engine/jinja/syntax/tokens.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/core/error.h"
#include "engine/text/unicode.h"
#include "engine/text/utf8.h"

namespace longshadow::jinja {
namespace {

using Kind = Token::Kind;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// What Python's \s and str.strip() mean.
bool is_blank(char32_t c) { return is_white_space(c) || (c >= 0x1c && c <= 0x1f); }

std::string without_blanks_behind(std::string text) {
  std::size_t end = text.size();
  while (end > 0) {
    const auto c = code_point_before(text, end);
    if (!c || !is_blank(c->value)) break;
    end -= c->length;
  }
  text.resize(end);
  return text;
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

  std::vector<Token> split() {
    while (at_ < source_.size()) {
      take_text();
      if (at_ < source_.size()) take_tag();
    }
    push(Kind::end, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) {
    throw Error(where_ + ": line " + std::to_string(line()) + ": " + what);
  }

  std::size_t line() {
    const auto begin = source_.begin();
    line_ += static_cast<std::size_t>(std::count(begin + static_cast<std::ptrdiff_t>(counted_),
                                                 begin + static_cast<std::ptrdiff_t>(at_), '\n'));
    counted_ = at_;
    return line_;
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

  /// What the tag at `tag` leaves of the text before it, which begins at at_.
  void strip_before(std::size_t tag, std::string& text) const {
    const char control = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    if (control == '-') {
      text = without_blanks_behind(std::move(text));
    } else if (control != '+' && source_[tag + 1] != '{') {
      const std::size_t line_begin = text.find_last_of('\n') + 1;
      const bool begins_line = line_begin > 0 || at_ == 0 || source_[at_ - 1] == '\n';
      const std::string last_line = text.substr(line_begin);
      if (begins_line && without_blanks_behind(last_line).empty()) text.erase(line_begin);
    }
  }

  void take_tag() {
    const char kind = source_[at_ + 1];
    if (kind == '#') return take_comment();
    if (kind == '%' && take_raw()) return;
    const bool is_block = kind == '%';
    push(is_block ? Kind::block_begin : Kind::print_begin, source_.substr(at_, 2));
    at_ += 2;
    if (starts("-") || starts("+")) ++at_;
    const std::string end = is_block ? "%}" : "}}";
    open_brackets_ = 0;
    while (open_brackets_ > 0 || !at_end_of_tag(end)) {
      if (at_ >= source_.size()) refuse("a tag does not end; expected " + end);
      take_word();
    }
    push(is_block ? Kind::block_end : Kind::print_end, end);
    step_over(end);
  }

  bool at_end_of_tag(const std::string& end) const {
    return starts(end) || starts("-" + end) || (end != "}}" && starts("+" + end));
  }

  /// Steps over a tag's end and what it takes of the text behind.
  void step_over(const std::string& end) {
    const bool strips = starts("-");
    const bool keeps = starts("+");
    at_ += end.size() + (strips || keeps ? 1 : 0);
    if (strips) {
      skip_blanks();
    } else if (!keeps && end != "}}" && starts("\n")) {
      ++at_;
    }
  }

  void skip_blanks() {
    while (at_ < source_.size()) {
      const auto c = code_point_at(source_, at_);
      if (!c || !is_blank(c->value)) return;
      at_ += c->length;
    }
  }

  void take_comment() {
    const std::size_t end = source_.find("#}", at_ + 2);
    if (end == std::string::npos) refuse("the comment does not end");
    const bool is_signed = end > at_ + 2 && (source_[end - 1] == '-' || source_[end - 1] == '+');
    at_ = is_signed ? end - 1 : end;
    step_over("#}");
  }

  /// The place behind `{%`, a sign, white space and `name`, or npos.
  std::size_t behind_block_name(std::size_t tag, std::string_view name) const {
    std::size_t at = tag + 2;
    if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
    const auto skip = [&] {
      at = std::min(source_.find_first_not_of(" \t\n\r\f\v", at), source_.size());
    };
    skip();
    if (source_.compare(at, name.size(), name) != 0) return std::string::npos;
    at += name.size();
    skip();
    return at;
  }

  /// {% raw %} and the text up to {% endraw %}, if that is what comes.
  bool take_raw() {
    const std::size_t end_of_tag = behind_block_name(at_, "raw");
    if (end_of_tag == std::string::npos) return false;
    const bool strips = source_.compare(end_of_tag, 3, "-%}") == 0;
    if (!strips && source_.compare(end_of_tag, 2, "%}") != 0) return false;
    at_ = end_of_tag + (strips ? 3 : 2);
    if (strips) skip_blanks();
    for (std::size_t tag = source_.find("{%", at_); tag != std::string::npos;
         tag = source_.find("{%", tag + 2)) {
      const std::size_t end = behind_block_name(tag, "endraw");
      if (end == std::string::npos) continue;
      std::string text = source_.substr(at_, tag - at_);
      strip_before(tag, text);
      if (!text.empty()) push(Kind::text, std::move(text));
      at_ = end;
      if (!at_end_of_tag("%}")) refuse("expected %} behind endraw");
      step_over("%}");
      return true;
    }
    refuse("raw does not end");
  }

  /// One token inside a tag, or the white space before it.
  void take_word() {
    static constexpr std::array<std::string_view, 27> kSymbols{
        "==", "!=", "<=", ">=", "//", "**", "<", ">", "=", "+", "-", "*", "/", "%",
        "~",  "|",  ".",  ",",  ":",  ";",  "(", ")", "[", "]", "{", "}", "!"};
    const char c = source_[at_];
    const auto code_point = code_point_at(source_, at_);
    if (code_point && is_blank(code_point->value)) {
      at_ += code_point->length;
    } else if (c == '\'' || c == '"') {
      take_string(c);
    } else if (is_digit(c)) {
      take_number();
    } else if (code_point && (c == '_' || is_word_character(code_point->value))) {
      take_name();
    } else {
      const auto* const symbol = std::find_if(kSymbols.begin(), kSymbols.end(),
                                              [&](std::string_view s) { return starts(s); });
      if (symbol == kSymbols.end()) refuse("unexpected character " + quote(std::string(1, c)));
      if (c == '(' || c == '[' || c == '{') ++open_brackets_;
      if ((c == ')' || c == ']' || c == '}') && open_brackets_-- == 0) {
        refuse("found " + quote(*symbol) + " without its beginning");
      }
      push(Kind::symbol, std::string(*symbol));
      at_ += symbol->size();
    }
  }

  void take_name() {
    std::size_t end = at_;
    while (end < source_.size()) {
      const auto c = code_point_at(source_, end);
      if (!c || (c->value != U'_' && !is_word_character(c->value))) break;
      end += c->length;
    }
    push(Kind::name, source_.substr(at_, end - at_));
    at_ = end;
  }

  /// The end of a run of digits, single underscores between them.
  std::size_t end_of_digits(std::size_t at) const {
    while (at < source_.size() &&
           (is_digit(source_[at]) ||
            (source_[at] == '_' && at + 1 < source_.size() && is_digit(source_[at + 1])))) {
      ++at;
    }
    return at;
  }

  void take_number() {
    const bool is_index = at_ > 0 && source_[at_ - 1] == '.';  // x.0.1 has no fraction
    std::size_t end = end_of_digits(at_);
    const auto at_digit = [&](std::size_t at) {
      return at < source_.size() && is_digit(source_[at]);
    };
    bool is_real = false;
    if (!is_index && end < source_.size() && source_[end] == '.' && at_digit(end + 1)) {
      end = end_of_digits(end + 1);
      is_real = true;
    }
    if (!is_index && end < source_.size() && (source_[end] | 0x20) == 'e') {
      const bool is_signed =
          end + 1 < source_.size() && (source_[end + 1] == '-' || source_[end + 1] == '+');
      const std::size_t exponent = end + (is_signed ? 2 : 1);
      if (at_digit(exponent)) {
        end = end_of_digits(exponent);
        is_real = true;
      }
    }
    const bool has_base = !is_real && source_[at_] == '0' && end == at_ + 1 &&
                          end < source_.size() &&
                          std::string_view("xXoObB").find(source_[end]) != std::string_view::npos;
    if (has_base) {
      end = std::min(source_.find_first_not_of("0123456789abcdefABCDEF_", end + 1), source_.size());
    }
    push(is_real ? Kind::real : Kind::integer, source_.substr(at_, end - at_));
    at_ = end;
  }

  void take_string(char delimiter) {
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != delimiter) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) refuse("a string does not end");
    try {
      push(Kind::string, unescaped(std::string_view(source_).substr(at_ + 1, end - at_ - 1)));
    } catch (const Error& error) {
      refuse(error.what());
    }
    at_ = end + 1;
  }

  const std::string source_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t counted_ = 0;  ///< bytes whose line ends are in line_
  std::size_t open_brackets_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> template_tokens(std::string_view source, const std::string& where) {
  return Splitter(source, where).split();
}

}  // namespace longshadow::jinja
