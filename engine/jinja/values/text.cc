#include "engine/jinja/values/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "engine/core/error.h"
#include "engine/text/unicode.h"

namespace longshadow::jinja {
namespace {

/// Calls `visit` with each code point; what is not UTF-8 counts as U+FFFD.
template <class Visit>
void for_each_code_point(std::string_view text, const Visit& visit) {
  constexpr char32_t kReplacement = 0xfffd;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = code_point_at(text, at);
    visit(c ? c->value : kReplacement);
    at += c ? c->length : 1;
  }
}

void append_hexadecimal(std::string& text, const char* prefix, int digits, char32_t c) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, "%s%0*x", prefix, digits, static_cast<unsigned>(c));
  text += buffer;
}

std::string quoted(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char32_t quote = has_single && !has_double ? U'"' : U'\'';
  std::string all(1, static_cast<char>(quote));
  for_each_code_point(text, [&](char32_t c) {
    if (c == quote || c == U'\\') {
      all += '\\';
      all += static_cast<char>(c);
    } else if (c == U'\n' || c == U'\r' || c == U'\t') {
      all += c == U'\n' ? "\\n" : c == U'\r' ? "\\r" : "\\t";
    } else if (is_printable(c)) {
      append_utf8(all, c);
    } else if (c < 0x100) {
      append_hexadecimal(all, "\\x", 2, c);
    } else {
      append_hexadecimal(all, c < 0x10000 ? "\\u" : "\\U", c < 0x10000 ? 4 : 8, c);
    }
  });
  return all + static_cast<char>(quote);
}

std::string json_quoted(std::string_view text, bool ensure_ascii) {
  static constexpr std::string_view kEscaped = "\"\\\n\r\t\f\b";
  static constexpr std::string_view kNames = "\"\\nrtfb";
  std::string all = "\"";
  for_each_code_point(text, [&](char32_t c) {
    const std::size_t escape =
        c < 0x80 ? kEscaped.find(static_cast<char>(c)) : std::string_view::npos;
    if (escape != std::string_view::npos) {
      all += '\\';
      all += kNames[escape];
    } else if (c < 0x20 || (ensure_ascii && c > 0x7e && c < 0x10000)) {
      append_hexadecimal(all, "\\u", 4, c);
    } else if (ensure_ascii && c >= 0x10000) {
      append_hexadecimal(all, "\\u", 4, 0xd800 + ((c - 0x10000) >> 10));
      append_hexadecimal(all, "\\u", 4, 0xdc00 + ((c - 0x10000) & 0x3ff));
    } else {
      append_utf8(all, c);
    }
  });
  return all + '"';
}

/// Collects text and charges for it as it grows: values that share their parts may have texts much
/// larger than themselves.
class Writer {
 public:
  explicit Writer(Heap& heap) : heap_(heap) {}

  void write(std::string_view text) {
    heap_.step();
    heap_.charge(text.size());
    text_ += text;
  }
  std::string take() { return std::move(text_); }

 private:
  Heap& heap_;
  std::string text_;
};

class ReprWriter : public Writer {
 public:
  using Writer::Writer;

  void write_value(const Value& value) {
    if (const auto* text = value.get_if<Text>()) {
      return write(text->is_markup ? "Markup(" + quoted(*text->utf8) + ")" : quoted(*text->utf8));
    }
    if (const Sequence* sequence = value.sequence()) return write_sequence(*sequence);
    if (const Dict* dict = value.dict()) return write_dict(*dict);
    if (value.is<Undefined>()) return write("Undefined");
    if (value.is<None>()) return write("None");
    if (const auto* truth = value.get_if<bool>()) return write(*truth ? "True" : "False");
    if (const auto* whole = value.get_if<std::int64_t>()) return write(std::to_string(*whole));
    if (const auto* real = value.get_if<double>()) return write(float_text(*real));
    throw Error("writing " + kind_of(value) + " is not supported");
  }

 private:
  void write_sequence(const Sequence& sequence) {
    const bool is_tuple = sequence.type == Sequence::Type::tuple;
    if (sequence.type == Sequence::Type::view) {
      if (sequence.view_name == "range") throw Error("writing a range is not supported");
      write(sequence.view_name + "(");
    }
    write(is_tuple ? "(" : "[");
    for (std::size_t i = 0; i < sequence.items.size(); ++i) {
      if (i != 0) write(", ");
      write_value(sequence.items[i]);
    }
    if (is_tuple && sequence.items.size() == 1) write(",");
    write(is_tuple ? ")" : "]");
    if (sequence.type == Sequence::Type::view) write(")");
  }

  void write_dict(const Dict& dict) {
    write("{");
    bool is_first = true;
    for (const auto& [key, value] : dict.items) {
      if (!is_first) write(", ");
      is_first = false;
      write_value(key);
      write(": ");
      write_value(value);
    }
    write("}");
  }
};

class JsonWriter : public Writer {
 public:
  JsonWriter(Heap& heap, const JsonStyle& style) : Writer(heap), style_(style) {}

  void write_value(const Value& value) {
    const Sequence* sequence = value.sequence();
    if (sequence != nullptr && sequence->type != Sequence::Type::view) {
      return write_list(*sequence);
    }
    if (const Dict* dict = value.dict()) return write_dict(*dict);
    if (const std::string* text = value.text()) {
      return write(json_quoted(*text, style_.ensure_ascii));
    }
    write(scalar_text(value));
  }

 private:
  static std::string scalar_text(const Value& value) {
    if (value.is<None>()) return "null";
    if (const auto* truth = value.get_if<bool>()) return *truth ? "true" : "false";
    if (const auto* whole = value.get_if<std::int64_t>()) return std::to_string(*whole);
    const auto* real = value.get_if<double>();
    if (real == nullptr) throw Error("tojson: " + kind_of(value) + " has no form in JSON");
    if (std::isnan(*real)) return "NaN";
    if (std::isinf(*real)) return *real > 0 ? "Infinity" : "-Infinity";
    return float_text(*real);
  }

  void write_line_end() {
    if (!style_.indent) return;
    write("\n");
    for (std::size_t i = 0; i < level_; ++i) write(*style_.indent);
  }

  /// `write_item(i)` writes the i-th of `count`.
  template <class WriteItem>
  void write_items(std::size_t count, const char* brackets, const WriteItem& write_item) {
    write({brackets, 1});
    ++level_;
    for (std::size_t i = 0; i < count; ++i) {
      if (i != 0) write(style_.item_separator);
      write_line_end();
      write_item(i);
    }
    --level_;
    if (count != 0) write_line_end();
    write({brackets + 1, 1});
  }

  void write_list(const Sequence& list) {
    write_items(list.items.size(), "[]", [&](std::size_t i) { write_value(list.items[i]); });
  }

  void write_dict(const Dict& dict) {
    auto items = dict.items;
    if (style_.sort_keys) {
      std::stable_sort(items.begin(), items.end(), [](const auto& a, const auto& b) {
        return text_of(a.first, "sort_keys") < text_of(b.first, "sort_keys");
      });
    }
    write_items(items.size(), "{}", [&](std::size_t i) {
      const std::string* key = items[i].first.text();
      write(json_quoted(key == nullptr ? scalar_text(items[i].first) : *key, style_.ensure_ascii));
      write(style_.key_separator);
      write_value(items[i].second);
    });
  }

  const JsonStyle& style_;
  std::size_t level_ = 0;
};

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const double magnitude = std::abs(value);
  // repr() of Python: an exponent from 1e16 up and below 1e-4.
  const bool has_exponent = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16);
  const auto format = has_exponent ? std::chars_format::scientific : std::chars_format::fixed;
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, format).ptr;
  std::string text(buffer, end);
  if (!has_exponent && text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string to_text(Heap& heap, const Value& value) {
  if (value.is<Undefined>()) return "";
  if (const std::string* text = value.text()) return *text;
  return to_repr(heap, value);
}

std::string to_repr(Heap& heap, const Value& value) {
  ReprWriter writer(heap);
  writer.write_value(value);
  return writer.take();
}

std::string to_json(Heap& heap, const Value& value, const JsonStyle& style) {
  JsonWriter writer(heap, style);
  writer.write_value(value);
  return writer.take();
}

}  // namespace longshadow::jinja
