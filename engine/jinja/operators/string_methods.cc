// The methods of Python's str.
#include <algorithm>

#include "engine/core/error.h"
#include "engine/jinja/operators/format.h"
#include "engine/jinja/operators/methods.h"
#include "engine/jinja/operators/operators.h"
#include "engine/jinja/values/strings.h"
#include "engine/jinja/values/text.h"
#include "engine/text/unicode.h"
#include "engine/text/utf8.h"

namespace longshadow::jinja {
namespace {

using Values = std::span<const Value>;

const std::string& subject(Values values) { return *values[0].text(); }

std::optional<std::string> optional_text(const Value& value, const std::string& what) {
  return value.is<None>() ? std::nullopt : std::optional(text_of(value, what));
}

/// What a method of a marked string makes is marked as well.
Value made(Heap& heap, Values values, std::string text) {
  return heap.text(std::move(text), values[0].get_if<Text>()->is_markup);
}

Value list_of(Heap& heap, Values values, std::vector<std::string> texts) {
  std::vector<Value> items;
  for (std::string& text : texts) items.push_back(made(heap, values, std::move(text)));
  return heap.list(std::move(items));
}

template <Side side>
Value strip(Heap& heap, Values values) {
  return made(heap, values,
              stripped(heap, subject(values), side, optional_text(values[1], "strip")));
}

template <Side text_side>
Value pad(Heap& heap, Values values) {
  return made(heap, values,
              padded(heap, subject(values), text_side, integer_of(values[1], "a width"),
                     text_of(values[2], "a fill character")));
}

/// The part of the text from values[from] to the next, both counted in code points as in a slice.
std::string_view clipped(Heap& heap, Values values, std::size_t from) {
  const std::string& text = subject(values);
  if (values[from].is<None>() && values[from + 1].is<None>()) return text;
  const CodePoints characters(heap, text);
  const auto place = [&](const Value& value, std::size_t standard) {
    if (value.is<None>()) return standard;
    const auto size = static_cast<std::int64_t>(characters.size());
    const std::int64_t index = integer_of(value, "a position");
    return static_cast<std::size_t>(
        std::clamp(index < 0 ? index + size : index, std::int64_t{0}, size));
  };
  const std::size_t begin = place(values[from], 0);
  const std::size_t end = std::max(begin, place(values[from + 1], characters.size()));
  return std::string_view(text).substr(characters.byte_at(begin),
                                       characters.byte_at(end) - characters.byte_at(begin));
}

/// startswith() and endswith(), of one string or of any in a tuple.
template <bool at_start>
Value borders(Heap& heap, Values values) {
  const std::string_view text = clipped(heap, values, 2);
  const auto fits = [&](const Value& value) {
    const std::string& part = text_of(value, at_start ? "startswith" : "endswith");
    heap.step(1 + part.size() / 64);
    return at_start ? text.starts_with(part) : text.ends_with(part);
  };
  const Sequence* parts = values[1].sequence();
  if (parts == nullptr) return fits(values[1]);
  return std::any_of(parts->items.begin(), parts->items.end(), fits);
}

/// The code points before the first or the last place of a part, or -1.
template <bool is_last>
std::int64_t place_of_part(Heap& heap, Values values) {
  const std::string_view text = clipped(heap, values, 2);
  const std::string& part = text_of(values[1], "find");
  std::size_t found = find_text(heap, text, part);
  for (std::size_t next = found; is_last && next != std::string_view::npos;) {
    found = next;
    next = find_text(heap, text, part, next + 1);
  }
  if (found == std::string_view::npos) return -1;
  const auto before = static_cast<std::size_t>(text.data() - subject(values).data()) + found;
  return static_cast<std::int64_t>(
      length_of(heap, std::string_view(subject(values)).substr(0, before)));
}

template <bool is_last>
Value find(Heap& heap, Values values) {
  return place_of_part<is_last>(heap, values);
}

template <bool is_last>
Value index(Heap& heap, Values values) {
  const std::int64_t place = place_of_part<is_last>(heap, values);
  if (place < 0) throw Error("the substring " + quote(*values[1].text()) + " is not there");
  return place;
}

Value count(Heap& heap, Values values) {
  const std::string_view text = clipped(heap, values, 2);
  const std::string& part = text_of(values[1], "count");
  if (part.empty()) return static_cast<std::int64_t>(length_of(heap, text)) + 1;
  std::int64_t found = 0;
  for (std::size_t at = find_text(heap, text, part); at != std::string_view::npos;
       at = find_text(heap, text, part, at + part.size())) {
    ++found;
  }
  return found;
}

/// The text before a separator, the separator, and the text behind.
template <bool is_last>
Value partition(Heap& heap, Values values) {
  const std::string& separator = text_of(values[1], "partition");
  std::vector<std::string> parts = is_last ? split_last(heap, subject(values), separator, 1)
                                           : split(heap, subject(values), separator, 1);
  if (parts.size() == 2) {
    parts.insert(parts.begin() + 1, separator);
  } else {
    parts.insert(is_last ? parts.begin() : parts.end(), 2, "");
  }
  std::vector<Value> items;
  for (std::string& part : parts) items.push_back(made(heap, values, std::move(part)));
  return heap.tuple(std::move(items));
}

Value split_method(Heap& heap, Values values) {
  return list_of(heap, values,
                 split(heap, subject(values), optional_text(values[1], "split"),
                       integer_of(values[2], "maxsplit")));
}

Value rsplit(Heap& heap, Values values) {
  return list_of(heap, values,
                 split_last(heap, subject(values), optional_text(values[1], "rsplit"),
                            integer_of(values[2], "maxsplit")));
}

Value splitlines(Heap& heap, Values values) {
  return list_of(heap, values, split_lines(heap, subject(values), is_true(values[1])));
}

Value join(Heap& heap, Values values) {
  std::string all;
  bool is_first = true;
  for (const Value& item : items_of(heap, values[1])) {
    if (!is_first) all += subject(values);
    is_first = false;
    const std::string& text = text_of(item, "join");
    heap.charge(subject(values).size() + text.size());
    all += text;
  }
  return made(heap, values, std::move(all));
}

Value replace(Heap& heap, Values values) {
  return made(heap, values,
              replaced(heap, subject(values), text_of(values[1], "replace"),
                       text_of(values[2], "replace"), integer_of(values[3], "replace")));
}

Value title(Heap& heap, Values values) {
  std::string all;
  bool is_inside = false;
  const CodePoints characters(heap, subject(values));
  for (std::size_t i = 0; i < characters.size(); ++i) {
    const char32_t c = characters[i];
    append_utf8(all, is_inside ? to_lower(c) : to_title(c));
    is_inside = to_lower(c) != c || to_upper(c) != c;
  }
  return made(heap, values, std::move(all));
}

Value swapcase(Heap& heap, Values values) {
  std::string all;
  const CodePoints characters(heap, subject(values));
  for (std::size_t i = 0; i < characters.size(); ++i) {
    const char32_t c = characters[i];
    append_utf8(all, to_lower(c) != c ? to_lower(c) : to_upper(c));
  }
  return made(heap, values, std::move(all));
}

Value zfill(Heap& heap, Values values) {
  const std::string& text = subject(values);
  const bool has_sign = text.starts_with('+') || text.starts_with('-');
  const std::int64_t width = integer_of(values[1], "zfill") - (has_sign ? 1 : 0);
  return made(heap, values,
              text.substr(0, has_sign ? 1 : 0) +
                  padded(heap, text.substr(has_sign ? 1 : 0), Side::right, width, "0"));
}

template <bool at_start>
Value without_border(Heap& heap, Values values) {
  const std::string& text = subject(values);
  const std::string& part = text_of(values[1], at_start ? "removeprefix" : "removesuffix");
  const bool has_it = at_start ? text.starts_with(part) : text.ends_with(part);
  if (!has_it || part.empty()) return values[0];
  return made(heap, values,
              at_start ? text.substr(part.size()) : text.substr(0, text.size() - part.size()));
}

/// Whether the text has characters and all of them pass.
template <bool (*passes)(char32_t)>
Value all_characters(Heap& heap, Values values) {
  const CodePoints characters(heap, subject(values));
  for (std::size_t i = 0; i < characters.size(); ++i) {
    if (!passes(characters[i])) return false;
  }
  return characters.size() != 0;
}

bool is_space(char32_t c) { return is_white_space(c) || (c >= 0x1c && c <= 0x1f); }
bool is_digit(char32_t c) { return character_class(c) == CharacterClass::digit; }
bool is_alphabetic(char32_t c) { return is_letter(c); }
bool is_alphanumeric(char32_t c) { return is_letter(c) || is_digit(c); }

Value format(Heap& heap, const Value& value, const Arguments& arguments) {
  return heap.text(brace_formatted(heap, *value.text(), arguments),
                   value.get_if<Text>()->is_markup);
}

const Value kNone = None{};
const Value kNoLimit = std::int64_t{-1};

/// Parameters of the methods that look at a part of the text alone.
std::vector<Parameter> part_in_range(std::string_view name) {
  return {{name}, {"start", kNone}, {"end", kNone}};
}

std::vector<Parameter> width_and_fill() {
  static const std::string blank = " ";
  return {{"width"}, {"fillchar", Value(Text{&blank})}};
}

}  // namespace

bool has_case(Heap& heap, std::string_view text, bool is_upper) {
  bool has_any = false;
  const CodePoints characters(heap, text);
  for (std::size_t i = 0; i < characters.size(); ++i) {
    const CharacterClass kind = character_class(characters[i]);
    if (kind == (is_upper ? CharacterClass::lower : CharacterClass::upper)) return false;
    has_any = has_any || kind == (is_upper ? CharacterClass::upper : CharacterClass::lower);
  }
  return has_any;
}

std::span<const Builtin> string_methods() {
  static const std::vector<Builtin> methods{
      {"capitalize",
       {},
       [](Heap& heap, Values v) { return made(heap, v, capitalized(heap, subject(v))); }},
      {"casefold",
       {},
       [](Heap& heap, Values v) { return made(heap, v, lowered(heap, subject(v))); }},
      {"center", width_and_fill(), pad<Side::both>},
      {"count", part_in_range("sub"), count},
      {"endswith", part_in_range("suffix"), borders<false>},
      {"find", part_in_range("sub"), find<false>},
      {"format", {}, nullptr, format},
      {"index", part_in_range("sub"), index<false>},
      {"isalnum", {}, all_characters<is_alphanumeric>},
      {"isalpha", {}, all_characters<is_alphabetic>},
      {"isdecimal", {}, all_characters<is_digit>},
      {"isdigit", {}, all_characters<is_digit>},
      {"islower",
       {},
       [](Heap& heap, Values v) { return Value(has_case(heap, subject(v), false)); }},
      {"isnumeric", {}, all_characters<is_digit>},
      {"isspace", {}, all_characters<is_space>},
      {"isupper", {}, [](Heap& heap, Values v) { return Value(has_case(heap, subject(v), true)); }},
      {"join", {{"iterable"}}, join},
      {"ljust", width_and_fill(), pad<Side::left>},
      {"lower", {}, [](Heap& heap, Values v) { return made(heap, v, lowered(heap, subject(v))); }},
      {"lstrip", {{"chars", kNone}}, strip<Side::left>},
      {"partition", {{"sep"}}, partition<false>},
      {"removeprefix", {{"prefix"}}, without_border<true>},
      {"removesuffix", {{"suffix"}}, without_border<false>},
      {"replace", {{"old"}, {"new"}, {"count", kNoLimit}}, replace},
      {"rfind", part_in_range("sub"), find<true>},
      {"rindex", part_in_range("sub"), index<true>},
      {"rjust", width_and_fill(), pad<Side::right>},
      {"rpartition", {{"sep"}}, partition<true>},
      {"rsplit", {{"sep", kNone}, {"maxsplit", kNoLimit}}, rsplit},
      {"rstrip", {{"chars", kNone}}, strip<Side::right>},
      {"split", {{"sep", kNone}, {"maxsplit", kNoLimit}}, split_method},
      {"splitlines", {{"keepends", Value(false)}}, splitlines},
      {"startswith", part_in_range("prefix"), borders<true>},
      {"strip", {{"chars", kNone}}, strip<Side::both>},
      {"swapcase", {}, swapcase},
      {"title", {}, title},
      {"upper", {}, [](Heap& heap, Values v) { return made(heap, v, uppered(heap, subject(v))); }},
      {"zfill", {{"width"}}, zfill},
  };
  return methods;
}

}  // namespace longshadow::jinja
