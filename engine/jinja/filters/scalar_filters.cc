// Filters that make a text or a number of one value, as jinja2's filters.py has them.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "engine/core/error.h"
#include "engine/jinja/filters/filters.h"
#include "engine/jinja/operators/format.h"
#include "engine/jinja/operators/operators.h"
#include "engine/jinja/values/heap.h"
#include "engine/jinja/values/strings.h"
#include "engine/jinja/values/text.h"
#include "engine/text/unicode.h"

namespace longshadow::jinja {
namespace {

using Values = std::span<const Value>;

/// jinja2's soft_str(): a marked string stays marked.
Value soft_text(Heap& heap, const Value& value) {
  return value.text() != nullptr ? value : heap.text(to_text(heap, value));
}

Value remade(Heap& heap, const Value& soft, std::string text) {
  return heap.text(std::move(text), soft.get_if<Text>()->is_markup);
}

template <std::string (*map)(Heap&, std::string_view)>
Value mapped(Heap& heap, Values v) {
  const Value text = soft_text(heap, v[0]);
  return remade(heap, text, map(heap, *text.text()));
}

/// Words begin behind white space and any of -({[<.
std::string title_of(Heap& heap, std::string_view text) {
  std::string all;
  bool begins = true;
  const CodePoints characters(heap, text);
  for (std::size_t i = 0; i < characters.size(); ++i) {
    const char32_t c = characters[i];
    const bool divides = is_white_space(c) || (c >= 0x1c && c <= 0x1f) ||
                         std::u32string_view(U"-({[<").find(c) != std::u32string_view::npos;
    append_utf8(all, begins ? to_upper(c) : to_lower(c));
    begins = divides;
  }
  return all;
}

Value trim(Heap& heap, Values v) {
  const Value text = soft_text(heap, v[0]);
  const auto characters = v[1].is<None>() ? std::nullopt : std::optional(text_of(v[1], "trim"));
  return remade(heap, text, stripped(heap, *text.text(), Side::both, characters));
}

Value replace(Heap& heap, Values v) {
  const std::int64_t most = v[3].is<None>() ? -1 : integer_of(v[3], "replace");
  return heap.text(
      replaced(heap, to_text(heap, v[0]), to_text(heap, v[1]), to_text(heap, v[2]), most));
}

Value center(Heap& heap, Values v) {
  const Value text = soft_text(heap, v[0]);
  return remade(heap, text, padded(heap, *text.text(), Side::both, integer_of(v[1], "center")));
}

Value indent(Heap& heap, Values v) {
  const std::string indentation =
      v[1].text() != nullptr
          ? *v[1].text()
          : padded(heap, "", Side::left, std::max(integer_of(v[1], "indent"), std::int64_t{0}));
  const bool indents_blank = is_true(v[3]);
  std::string all = is_true(v[2]) ? indentation : "";
  bool is_first = true;
  for (const std::string& line : split_lines(heap, text_of(v[0], "indent") + "\n", false)) {
    heap.charge(indentation.size() + line.size());
    if (!is_first) all += "\n" + (line.empty() && !indents_blank ? "" : indentation);
    is_first = false;
    all += line;
  }
  return remade(heap, v[0], std::move(all));
}

Value truncate(Heap& heap, Values v) {
  const std::string& text = text_of(v[0], "truncate");
  const std::string& end = text_of(v[3], "truncate");
  const std::int64_t length = integer_of(v[1], "truncate");
  const std::int64_t leeway = v[4].is<None>() ? 5 : integer_of(v[4], "truncate");
  const CodePoints characters(heap, text);
  const auto kept = length - static_cast<std::int64_t>(length_of(heap, end));
  if (kept < 0 || leeway < 0) throw Error("truncate: the length is below that of the end");
  if (static_cast<std::int64_t>(characters.size()) <= length + leeway) return v[0];
  std::string part =
      characters.between(0, std::min(static_cast<std::size_t>(kept), characters.size()));
  if (!is_true(v[2])) part = part.substr(0, part.rfind(' '));
  return remade(heap, v[0], part + end);
}

Value wordcount(Heap& heap, Values v) {
  const std::string text = to_text(heap, v[0]);
  const CodePoints characters(heap, text);
  std::int64_t words = 0;
  bool is_inside = false;
  for (std::size_t i = 0; i < characters.size(); ++i) {
    const bool is_word = is_word_character(characters[i]);
    words += is_word && !is_inside ? 1 : 0;
    is_inside = is_word;
  }
  return words;
}

/// A whole number as Python's int() reads it: white space around it, underscores between digits.
std::optional<std::int64_t> parsed_whole(Heap& heap, std::string_view text, std::int64_t base) {
  std::string digits = stripped(heap, text, Side::both);
  const bool is_negative = digits.starts_with('-');
  if (is_negative || digits.starts_with('+')) digits.erase(0, 1);
  const auto has_prefix = [&](char small) {
    return digits.size() > 2 && digits[0] == '0' && (digits[1] | 0x20) == small;
  };
  for (const auto& [letter, of] : {std::pair('x', 16), std::pair('o', 8), std::pair('b', 2)}) {
    if ((base == of || base == 0) && has_prefix(letter)) {
      digits.erase(0, 2);
      base = of;
    }
  }
  if (base == 0) base = 10;
  if (base < 2 || base > 36) throw Error("int: expected a base from 2 to 36");
  if (digits.starts_with('_') || digits.ends_with('_') || digits.find("__") != std::string::npos) {
    return std::nullopt;
  }
  std::erase(digits, '_');
  if (is_negative) digits.insert(0, "-");
  std::int64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, static_cast<int>(base));
  if (error == std::errc::result_out_of_range) throw Error("int: a number does not fit 64 bits");
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<double> parsed_real(Heap& heap, std::string_view text) {
  std::string digits = stripped(heap, text, Side::both);
  if (digits.starts_with('+')) digits.erase(0, 1);
  std::erase(digits, '_');
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::result_out_of_range) return std::nullopt;
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<Value> truncated(double value) {
  if (!std::isfinite(value)) return std::nullopt;
  constexpr double kLimit = 9.2e18;
  if (std::abs(value) > kLimit) throw Error("int: a number does not fit 64 bits");
  return Value(static_cast<std::int64_t>(value));
}

Value to_int(Heap& heap, Values v) {
  if (v[0].is<Undefined>()) throw Error("int: " + kind_of(v[0]));
  if (is_integral(v[0])) return integer_of(v[0], "int");
  if (const auto* real = v[0].get_if<double>()) return truncated(*real).value_or(v[1]);
  if (v[0].text() == nullptr) return v[1];
  if (const auto whole = parsed_whole(heap, *v[0].text(), integer_of(v[2], "int"))) return *whole;
  const auto real = parsed_real(heap, *v[0].text());
  return real ? truncated(*real).value_or(v[1]) : v[1];
}

Value to_float(Heap& heap, Values v) {
  if (v[0].is<Undefined>()) throw Error("float: " + kind_of(v[0]));
  if (is_number(v[0])) return real_of(v[0], "float");
  if (v[0].text() == nullptr) return v[1];
  const auto real = parsed_real(heap, *v[0].text());
  return real ? Value(*real) : v[1];
}

Value absolute(Heap& heap, Values v) {
  if (is_integral(v[0])) {
    return integer_of(v[0], "abs") < 0 ? arithmetic(heap, "-", std::int64_t{0}, v[0])
                                       : Value(integer_of(v[0], "abs"));
  }
  return std::abs(real_of(v[0], "abs"));
}

Value rounded(Heap&, Values v) {
  const std::string& method = text_of(v[2], "round");
  const std::int64_t precision = integer_of(v[1], "round");
  if (method == "common" && is_integral(v[0]) && precision >= 0) return integer_of(v[0], "round");
  const double value = real_of(v[0], "round");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return std::ceil(value * scale) / scale;
  if (method == "floor") return std::floor(value * scale) / scale;
  if (method != "common") throw Error("round: the method must be common, ceil or floor");
  if (!std::isfinite(value) || precision > 100) return value;
  if (precision < 0) return std::nearbyint(value * scale) / scale;
  // Rounding the decimal text is exact, as Python's round() is; a product with 10^n is not.
  char digits[512];
  std::snprintf(digits, sizeof digits, "%.*f", static_cast<int>(precision), value);
  return std::strtod(digits, nullptr);
}

Value tojson(Heap& heap, Values v) {
  JsonStyle style;
  style.ensure_ascii = is_true(v[1]);
  style.sort_keys = is_true(v[4]);
  if (!v[2].is<None>()) {
    style.item_separator = ",";
    style.indent =
        v[2].text() != nullptr
            ? *v[2].text()
            : padded(heap, "", Side::left, std::max(integer_of(v[2], "tojson"), std::int64_t{0}));
  }
  if (!v[3].is<None>()) {
    const Sequence* pair = v[3].sequence();
    if (pair == nullptr || pair->items.size() != 2) throw Error("tojson: expected two separators");
    style.item_separator = text_of(pair->items[0], "tojson");
    style.key_separator = text_of(pair->items[1], "tojson");
  }
  return heap.text(to_json(heap, v[0], style));
}

Value escape(Heap& heap, Values v) {
  const auto* text = v[0].get_if<Text>();
  if (text != nullptr && text->is_markup) return v[0];
  return heap.text(html_escaped(to_text(heap, v[0])), true);
}

Value defaulted(Heap&, Values v) {
  return v[0].is<Undefined>() || (is_true(v[2]) && !is_true(v[0])) ? v[1] : v[0];
}

Value format(Heap& heap, const Value& value, const Arguments& arguments) {
  const Value text = soft_text(heap, value);
  if (arguments.named.empty()) {
    return remade(heap, text,
                  percent_formatted(heap, *text.text(), heap.tuple(arguments.positional)));
  }
  Dict named;
  for (const auto& [name, item] : arguments.named) named.set(heap.text(name), item);
  return remade(heap, text, percent_formatted(heap, *text.text(), heap.dict(std::move(named))));
}

const std::string kEmpty;
const std::string kDots = "...";
const std::string kCommon = "common";
const Value kNone = None{};
const Value kFalse = false;

std::vector<Builtin> all_filters() {
  const std::vector<Parameter> standard{{"default_value", Value(Text{&kEmpty})},
                                        {"boolean", kFalse}};
  return {
      {"abs", {}, absolute},
      {"capitalize", {}, mapped<capitalized>},
      {"center", {{"width", Value(std::int64_t{80})}}, center},
      {"d", standard, defaulted},
      {"default", standard, defaulted},
      {"e", {}, escape},
      {"escape", {}, escape},
      {"float", {{"default", Value(0.0)}}, to_float},
      {"forceescape",
       {},
       [](Heap& heap, Values v) { return heap.text(html_escaped(to_text(heap, v[0])), true); }},
      {"format", {}, nullptr, format},
      {"indent", {{"width", Value(std::int64_t{4})}, {"first", kFalse}, {"blank", kFalse}}, indent},
      {"int", {{"default", Value(std::int64_t{0})}, {"base", Value(std::int64_t{10})}}, to_int},
      {"lower", {}, mapped<lowered>},
      {"replace", {{"old"}, {"new"}, {"count", kNone}}, replace},
      {"round",
       {{"precision", Value(std::int64_t{0})}, {"method", Value(Text{&kCommon})}},
       rounded},
      {"safe", {}, [](Heap& heap, Values v) { return heap.text(to_text(heap, v[0]), true); }},
      {"string", {}, [](Heap& heap, Values v) { return soft_text(heap, v[0]); }},
      {"title", {}, mapped<title_of>},
      {"tojson",
       {{"ensure_ascii", kFalse}, {"indent", kNone}, {"separators", kNone}, {"sort_keys", kFalse}},
       tojson},
      {"trim", {{"chars", kNone}}, trim},
      {"truncate",
       {{"length", Value(std::int64_t{255})},
        {"killwords", kFalse},
        {"end", Value(Text{&kDots})},
        {"leeway", kNone}},
       truncate},
      {"upper", {}, mapped<uppered>},
      {"wordcount", {}, wordcount},
  };
}

}  // namespace

std::span<const Builtin> scalar_filters() {
  static const std::vector<Builtin> filters = all_filters();
  return filters;
}

}  // namespace longshadow::jinja
