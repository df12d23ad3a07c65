#include "engine/jinja/values/strings.h"

#include <algorithm>
#include <cstring>

#include "engine/core/error.h"
#include "engine/text/unicode.h"

namespace longshadow::jinja {
namespace {

constexpr char32_t kReplacement = 0xfffd;

/// Python's str.isspace(): Unicode's white space and the four separators of ASCII.
bool is_space(char32_t c) { return is_white_space(c) || (c >= 0x1c && c <= 0x1f); }

/// Where str.splitlines() breaks.
bool is_line_end(char32_t c) {
  return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

template <class Map>
std::string mapped(Heap& heap, std::string_view text, const Map& map) {
  heap.charge(text.size());
  std::string all;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = code_point_at(text, at);
    if (c) {
      map(all, c->value);
    } else {
      all += text[at];
    }
    at += c ? c->length : 1;
  }
  return all;
}

void append_upper(std::string& text, char32_t c) {
  constexpr char32_t kSharpS = 0xdf;
  if (c == kSharpS) {
    text += "SS";
  } else {
    append_utf8(text, to_upper(c));
  }
}

}  // namespace

CodePoints::CodePoints(Heap& heap, std::string_view text) : text_(text) {
  heap.step(text.size() / 16);
  begins_.reserve(text.size() + 1);
  for (std::size_t at = 0; at < text.size();) {
    begins_.push_back(at);
    const auto c = code_point_at(text, at);
    at += c ? c->length : 1;
  }
  begins_.push_back(text.size());
}

char32_t CodePoints::operator[](std::size_t code_point) const {
  const auto c = code_point_at(text_, begins_[code_point]);
  return c ? c->value : kReplacement;
}

std::size_t length_of(Heap& heap, std::string_view text) {
  heap.step(text.size() / 16);
  std::size_t length = 0;
  for (std::size_t at = 0; at < text.size(); ++length) {
    const auto c = code_point_at(text, at);
    at += c ? c->length : 1;
  }
  return length;
}

std::size_t find_text(Heap& heap, std::string_view text, std::string_view part, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const std::string_view rest = text.substr(from);
  // memmem is linear in both, which std::string::find is not.
  const void* found = memmem(rest.data(), rest.size(), part.data(), part.size());
  const std::size_t place =
      found == nullptr
          ? std::string_view::npos
          : from + static_cast<std::size_t>(static_cast<const char*>(found) - rest.data());
  heap.step(1 + ((found == nullptr ? rest.size() : place - from) + part.size()) / 64);
  return place;
}

std::string stripped(Heap& heap, std::string_view text, Side side,
                     const std::optional<std::string>& characters) {
  std::u32string set;
  if (characters) {
    const CodePoints given(heap, *characters);
    for (std::size_t i = 0; i < given.size(); ++i) set += given[i];
  }
  const auto goes = [&](char32_t c) {
    if (!characters) return is_space(c);
    heap.step(set.size() / 16);
    return set.find(c) != std::u32string::npos;
  };
  std::size_t begin = 0;
  std::size_t end = text.size();
  while (side != Side::right && begin < end) {
    const auto c = code_point_at(text, begin);
    if (!c || !goes(c->value)) break;
    begin += c->length;
  }
  while (side != Side::left && begin < end) {
    const auto c = code_point_before(text, end);
    if (!c || !goes(c->value)) break;
    end -= c->length;
  }
  heap.step((text.size() - (end - begin)) / 16 + text.size() / 64);
  return std::string(text.substr(begin, end - begin));
}

std::vector<std::string> split(Heap& heap, std::string_view text,
                               const std::optional<std::string>& separator, std::int64_t most) {
  std::vector<std::string> parts;
  const auto is_full = [&] { return most >= 0 && static_cast<std::int64_t>(parts.size()) >= most; };
  const auto add = [&](std::string_view part) {
    heap.step();
    heap.charge(sizeof(std::string) + part.size());
    parts.emplace_back(part);
  };
  if (separator) {
    if (separator->empty()) throw Error("split needs a separator that is not empty");
    std::size_t begin = 0;
    while (!is_full()) {
      const std::size_t end = find_text(heap, text, *separator, begin);
      if (end == std::string_view::npos) break;
      add(text.substr(begin, end - begin));
      begin = end + separator->size();
    }
    add(text.substr(begin));
    return parts;
  }
  const CodePoints characters(heap, text);
  heap.step(text.size() / 16);
  std::size_t i = 0;
  while (true) {
    while (i < characters.size() && is_space(characters[i])) ++i;
    if (i == characters.size()) return parts;
    const std::size_t begin = i;
    if (is_full()) {
      add(text.substr(characters.byte_at(begin)));
      return parts;
    }
    while (i < characters.size() && !is_space(characters[i])) ++i;
    add(text.substr(characters.byte_at(begin), characters.byte_at(i) - characters.byte_at(begin)));
  }
}

std::vector<std::string> split_last(Heap& heap, std::string_view text,
                                    const std::optional<std::string>& separator,
                                    std::int64_t most) {
  if (!separator) {
    std::vector<std::string> parts = split(heap, text, separator, -1);
    if (most < 0 || parts.size() <= static_cast<std::size_t>(most)) return parts;
    std::string rest(text);
    for (std::int64_t i = 0; i < most; ++i) {
      rest = stripped(heap, rest, Side::right);
      rest.resize(rest.size() - parts[parts.size() - 1 - static_cast<std::size_t>(i)].size());
      heap.step(rest.size() / 64);
    }
    parts.erase(parts.begin(), parts.end() - static_cast<std::ptrdiff_t>(most));
    parts.insert(parts.begin(), stripped(heap, rest, Side::right));
    return parts;
  }
  // Found from the end: in both mirrored, byte by byte, from the front.
  const auto mirrored = [](std::string_view s) { return std::string(s.rbegin(), s.rend()); };
  heap.charge(2 * text.size());
  std::vector<std::string> parts = split(heap, mirrored(text), mirrored(*separator), most);
  std::reverse(parts.begin(), parts.end());
  for (std::string& part : parts) part = mirrored(part);
  return parts;
}

std::vector<std::string> split_lines(Heap& heap, std::string_view text, bool keeps_ends) {
  std::vector<std::string> lines;
  const CodePoints characters(heap, text);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < characters.size(); ++i) {
    if (!is_line_end(characters[i])) continue;
    const std::size_t end = i;
    const bool is_pair =
        characters[i] == U'\r' && i + 1 < characters.size() && characters[i + 1] == U'\n';
    if (is_pair) ++i;
    lines.push_back(characters.between(begin, keeps_ends ? i + 1 : end));
    heap.charge(sizeof(std::string) + lines.back().size());
    begin = i + 1;
  }
  if (begin < characters.size()) lines.push_back(characters.between(begin, characters.size()));
  return lines;
}

std::string replaced(Heap& heap, std::string_view text, std::string_view old,
                     std::string_view replacement, std::int64_t most) {
  std::string all;
  const auto add = [&](std::string_view part) {
    heap.charge(part.size());
    all += part;
  };
  std::size_t at = 0;
  for (std::int64_t count = 0; count != most; ++count) {
    const std::size_t found = find_text(heap, text, old, at);
    if (found == std::string_view::npos) break;
    add(text.substr(at, found - at));
    add(replacement);
    at = found + old.size();
    if (!old.empty()) continue;
    // An empty part stands before every character and at the end.
    if (at >= text.size()) return all;
    const auto c = code_point_at(text, at);
    const std::size_t length = c ? c->length : 1;
    add(text.substr(at, length));
    at += length;
  }
  add(text.substr(at));
  return all;
}

std::string lowered(Heap& heap, std::string_view text) {
  return mapped(heap, text, [](std::string& all, char32_t c) { append_utf8(all, to_lower(c)); });
}

std::string uppered(Heap& heap, std::string_view text) { return mapped(heap, text, append_upper); }

std::string capitalized(Heap& heap, std::string_view text) {
  bool is_first = true;
  return mapped(heap, text, [&](std::string& all, char32_t c) {
    append_utf8(all, is_first ? to_title(c) : to_lower(c));
    is_first = false;
  });
}

std::string padded(Heap& heap, std::string_view text, Side text_side, std::int64_t width,
                   std::string_view fill) {
  const auto length = static_cast<std::int64_t>(length_of(heap, text));
  const std::int64_t missing = std::max(width - length, std::int64_t{0});
  // str.center() puts the odd one on the left where the width is odd.
  std::int64_t before = text_side == Side::left ? 0 : missing;
  if (text_side == Side::both) before = missing / 2 + (missing & width & 1);
  std::string all;
  const auto add = [&](std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      heap.charge(fill.size() + 1);
      all += fill;
    }
  };
  add(before);
  all += text;
  add(missing - before);
  return all;
}

std::string html_escaped(std::string_view text) {
  std::string all;
  for (const char c : text) {
    switch (c) {
      case '&':
        all += "&amp;";
        break;
      case '<':
        all += "&lt;";
        break;
      case '>':
        all += "&gt;";
        break;
      case '\'':
        all += "&#39;";
        break;
      case '"':
        all += "&#34;";
        break;
      default:
        all += c;
    }
  }
  return all;
}

}  // namespace longshadow::jinja
