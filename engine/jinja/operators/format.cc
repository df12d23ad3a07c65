#include "engine/jinja/operators/format.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "engine/core/error.h"
#include "engine/jinja/operators/operators.h"
#include "engine/jinja/values/layout.h"
#include "engine/jinja/values/text.h"
#include "engine/text/unicode.h"
#include "engine/text/utf8.h"

namespace longshadow::jinja {
namespace {

constexpr std::int64_t kMaxWidth = 1 << 20;
constexpr int kMaxPrecision = 100;

/// Reads directives character by character.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  char take() {
    if (at_end()) throw Error("a format ends in the middle of a directive");
    return text_[at_++];
  }
  bool accept(char c) {
    if (peek() != c || at_end()) return false;
    ++at_;
    return true;
  }
  bool at_digit() const { return peek() >= '0' && peek() <= '9'; }
  std::int64_t take_number() {
    std::int64_t number = 0;
    while (at_digit()) {
      number = number * 10 + (take() - '0');
      if (number > kMaxWidth) throw Error("a format is wider than " + std::to_string(kMaxWidth));
    }
    return number;
  }
  int take_precision() {
    const std::int64_t precision = take_number();
    if (precision > kMaxPrecision) {
      throw Error("a format's precision is above " + std::to_string(kMaxPrecision));
    }
    return static_cast<int>(precision);
  }
  /// Up to the character, which is stepped over.
  std::string take_until(char end) {
    const std::size_t found = text_.find(end, at_);
    if (found == std::string_view::npos) throw Error("a format ends in the middle of a directive");
    std::string part(text_.substr(at_, found - at_));
    at_ = found + 1;
    return part;
  }
  std::string_view rest() const { return text_.substr(at_); }
  void skip(std::size_t bytes) { at_ += bytes; }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

std::string character(const Value& value) {
  if (const std::string* text = value.text()) return *text;
  const std::int64_t code = integer_of(value, "%c");
  if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
    throw Error("%c needs a character's number, found " + std::to_string(code));
  }
  std::string text;
  append_utf8(text, static_cast<char32_t>(code));
  return text;
}

// --- %

Layout percent_layout(Cursor& cursor, const auto& next_value) {
  Layout layout;
  for (bool is_flag = true; is_flag;) {
    if (cursor.accept('-')) {
      layout.align = '<';
    } else if (cursor.accept('0')) {
      if (layout.align != '<') layout.align = '=';
      layout.fill = "0";
    } else if (cursor.accept('+')) {
      layout.sign = '+';
    } else if (cursor.accept(' ')) {
      if (layout.sign != '+') layout.sign = ' ';
    } else if (cursor.accept('#')) {
      layout.is_alternate = true;
    } else {
      is_flag = false;
    }
  }
  if (layout.align == '<') layout.fill = " ";
  layout.width = cursor.accept('*')
                     ? std::clamp(integer_of(next_value(), "%*"), std::int64_t{0}, kMaxWidth)
                     : cursor.take_number();
  if (cursor.accept('.')) layout.precision = cursor.take_precision();
  while (is_one_of(cursor.peek(), "hlL")) cursor.take();
  layout.type = cursor.take();
  return layout;
}

std::string percent_directive(Heap& heap, const Value& value, Layout layout) {
  if (is_one_of(layout.type, "srac")) {
    if (layout.fill == "0") layout.fill = " ";
    if (layout.align != '<') layout.align = '>';
    std::string text = layout.type == 's'   ? to_text(heap, value)
                       : layout.type == 'c' ? character(value)
                                            : to_repr(heap, value);
    return laid_out_text(heap, std::move(text), layout);
  }
  const std::string what = std::string("%") + layout.type;
  if (is_one_of(layout.type, "diuxXo")) {
    std::int64_t whole = 0;
    if (const auto* real = value.get_if<double>();
        real != nullptr && is_one_of(layout.type, "diu")) {
      if (!(std::abs(*real) < 9.2e18)) throw Error(what + " of a number that is too large");
      whole = static_cast<std::int64_t>(*real);
    } else {
      whole = integer_of(value, what);
    }
    return laid_out_whole(heap, whole, layout);
  }
  if (is_one_of(layout.type, "eEfFgG")) return laid_out_real(heap, real_of(value, what), layout);
  throw Error("the format " + quote(what) + " is not supported");
}

// --- {}

Layout brace_layout(std::string_view specification) {
  Layout layout;
  Cursor cursor(specification);
  const auto fill = code_point_at(specification, 0);
  const std::size_t fill_bytes = fill ? fill->length : 1;
  if (specification.size() > fill_bytes && is_one_of(specification[fill_bytes], "<>=^")) {
    layout.fill = std::string(specification.substr(0, fill_bytes));
    cursor.skip(fill_bytes);
  }
  if (is_one_of(cursor.peek(), "<>=^")) layout.align = cursor.take();
  if (is_one_of(cursor.peek(), "+- ")) layout.sign = cursor.take();
  layout.is_alternate = cursor.accept('#');
  if (cursor.accept('0') && layout.align == 0) {
    layout.fill = "0";
    layout.align = '=';
  }
  layout.width = cursor.take_number();
  layout.has_commas = cursor.accept(',');
  if (cursor.accept('.')) layout.precision = cursor.take_precision();
  if (!cursor.at_end()) layout.type = cursor.take();
  if (!cursor.at_end()) {
    throw Error("the format " + quote(specification) + " is not supported");
  }
  return layout;
}

std::string formatted(Heap& heap, const Value& value, std::string_view specification) {
  if (specification.empty()) return to_text(heap, value);
  const Layout layout = brace_layout(specification);
  if (layout.type == 's' || (layout.type == 0 && value.text() != nullptr)) {
    return laid_out_text(heap, text_of(value, "the format 's'"), layout);
  }
  if (is_integral(value) && (layout.type == 0 || is_one_of(layout.type, "dxXobn"))) {
    return laid_out_whole(heap, integer_of(value, "a format"), layout);
  }
  if (is_number(value) && (layout.type == 0 || is_one_of(layout.type, "eEfFgG%"))) {
    return laid_out_real(heap, real_of(value, "a format"), layout);
  }
  throw Error("the format " + quote(specification) + " does not fit " + kind_of(value));
}

/// The value that a field such as 0.name[key] names.
class Fields {
 public:
  Fields(Heap& heap, const Arguments& arguments) : heap_(heap), arguments_(arguments) {}

  Value value_of(const std::string& field) {
    const std::size_t name_end = std::min(field.find_first_of(".["), field.size());
    Value value = argument(field.substr(0, name_end));
    Cursor cursor(std::string_view(field).substr(name_end));
    while (!cursor.at_end()) {
      const bool is_attribute = cursor.take() == '.';
      std::string key;
      if (is_attribute) {
        while (!cursor.at_end() && cursor.peek() != '.' && cursor.peek() != '[') {
          key += cursor.take();
        }
      } else {
        key = cursor.take_until(']');
      }
      const bool is_index = !is_attribute && !key.empty() && key.size() < 10 &&
                            key.find_first_not_of("0123456789") == std::string::npos;
      const Value by = is_index ? Value(std::int64_t{std::atoll(key.c_str())}) : heap_.text(key);
      value = item_of(heap_, value, by, is_attribute);
      if (value.is<Undefined>()) throw Error("format: there is no " + quote(field));
    }
    return value;
  }

 private:
  Value argument(const std::string& name) {
    if (name.empty() || name.find_first_not_of("0123456789") == std::string::npos) {
      const std::size_t i = name.empty() ? next_++ : std::strtoul(name.c_str(), nullptr, 10);
      if (i >= arguments_.positional.size()) {
        throw Error("format: there is no argument " + std::to_string(i));
      }
      return arguments_.positional[i];
    }
    const auto found = std::find_if(arguments_.named.begin(), arguments_.named.end(),
                                    [&](const auto& named) { return named.first == name; });
    if (found == arguments_.named.end()) throw Error("format: there is no " + quote(name));
    return found->second;
  }

  Heap& heap_;
  const Arguments& arguments_;
  std::size_t next_ = 0;
};

std::string brace_directive(Heap& heap, Fields& fields, const std::string& directive) {
  const std::size_t colon = std::min(directive.find(':'), directive.size());
  std::string field = directive.substr(0, colon);
  char conversion = 0;
  if (field.size() >= 2 && field[field.size() - 2] == '!') {
    conversion = field.back();
    field.resize(field.size() - 2);
  }
  Value value = fields.value_of(field);
  if (conversion == 'r') value = heap.text(to_repr(heap, value));
  if (conversion == 's') value = heap.text(to_text(heap, value));
  return formatted(heap, value,
                   std::string_view(directive).substr(std::min(colon + 1, directive.size())));
}

}  // namespace

std::string percent_formatted(Heap& heap, std::string_view text, const Value& values) {
  const Sequence* tuple = values.sequence();
  if (tuple != nullptr && tuple->type != Sequence::Type::tuple) tuple = nullptr;
  const Dict* dict = values.dict();
  std::size_t used = 0;
  const auto next_value = [&]() -> Value {
    if (tuple == nullptr ? used > 0 : used >= tuple->items.size()) {
      throw Error("a format has more directives than there are values");
    }
    return tuple == nullptr ? (++used, values) : tuple->items[used++];
  };
  std::string all;
  const auto add = [&](std::string_view part) {
    heap.charge(part.size());
    heap.step();
    all += part;
  };
  Cursor cursor(text);
  while (!cursor.at_end()) {
    const std::size_t percent = std::min(cursor.rest().find('%'), cursor.rest().size());
    add(cursor.rest().substr(0, percent));
    cursor.skip(percent);
    if (!cursor.accept('%')) break;
    if (cursor.accept('%')) {
      add("%");
      continue;
    }
    std::optional<Value> named;
    if (cursor.accept('(')) {
      const Value key = heap.text(cursor.take_until(')'));
      if (dict == nullptr) throw Error("%(name)s needs a dictionary, found " + kind_of(values));
      const Value* found = dict->find(key);
      if (found == nullptr) throw Error("a format has no value " + quote(*key.text()));
      named = *found;
    }
    const Layout layout = percent_layout(cursor, next_value);
    add(percent_directive(heap, named ? *named : next_value(), layout));
  }
  const bool has_left = tuple == nullptr
                            ? used == 0 && dict == nullptr && values.sequence() == nullptr
                            : used < tuple->items.size();
  if (has_left) throw Error("a format has fewer directives than there are values");
  return all;
}

std::string brace_formatted(Heap& heap, std::string_view text, const Arguments& arguments) {
  Fields fields(heap, arguments);
  std::string all;
  const auto add = [&](std::string_view part) {
    heap.charge(part.size());
    heap.step();
    all += part;
  };
  Cursor cursor(text);
  while (!cursor.at_end()) {
    const std::size_t brace = std::min(cursor.rest().find_first_of("{}"), cursor.rest().size());
    add(cursor.rest().substr(0, brace));
    cursor.skip(brace);
    if (cursor.at_end()) break;
    const char found = cursor.take();
    if (cursor.accept(found)) {
      add({&found, 1});
    } else if (found == '}') {
      throw Error("a format has a single '}'");
    } else {
      add(brace_directive(heap, fields, cursor.take_until('}')));
    }
  }
  return all;
}

}  // namespace longshadow::jinja
