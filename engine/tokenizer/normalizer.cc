#include "engine/tokenizer/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "engine/text/unicode.h"

namespace longshadow {
namespace {

/// Whether the character is its own normal form and composes with no character before it: all below
/// U+0300 (NFKC: U+00A0, a space to it), and the letters of Chinese, Japanese and Korean, so that
/// their texts, which may have nothing else for pages, are normalised character by character too.
/// Says no where in doubt.
bool stands_alone(char32_t c, NormalForm form) {
  return c < (form == NormalForm::nfc ? 0x300 : 0xa0) || (c >= 0x3041 && c <= 0x3096) ||
         (c >= 0x30a1 && c <= 0x30fa) || (c >= 0x4e00 && c <= 0x9fff) ||
         (c >= 0xac00 && c <= 0xd7a3);
}

struct Character {
  utf8proc_int32_t value;
  Range source;
};

int combining_class(utf8proc_int32_t value) {
  return utf8proc_get_property(value)->combining_class;
}

void append_decomposition(const Character& character, NormalForm form,
                          std::vector<Character>& decomposed) {
  constexpr std::size_t kLongest = 18;  // U+FDFA's; no decomposition has more characters
  std::array<utf8proc_int32_t, kLongest> parts{};
  int boundary_class = 0;
  const utf8proc_ssize_t count = utf8proc_decompose_char(
      character.value, parts.data(), kLongest,
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                     (form == NormalForm::nfc ? 0 : UTF8PROC_COMPAT)),
      &boundary_class);
  for (utf8proc_ssize_t k = 0; k < count; ++k) decomposed.push_back({parts[k], character.source});
}

/// Sorts each run of combining marks by class, keeping the order of equals.
void order_marks(std::vector<Character>& characters) {
  const auto is_mark = [](const Character& c) { return combining_class(c.value) != 0; };
  const auto lower_class = [](const Character& a, const Character& b) {
    return combining_class(a.value) < combining_class(b.value);
  };
  for (auto at = characters.begin(); at != characters.end();) {
    const auto first = std::find_if(at, characters.end(), is_mark);
    at = std::find_if_not(first, characters.end(), is_mark);
    std::stable_sort(first, at, lower_class);
  }
}

std::optional<utf8proc_int32_t> composite_of(utf8proc_int32_t first, utf8proc_int32_t second) {
  std::array<utf8proc_int32_t, 2> pair{first, second};
  const utf8proc_ssize_t length = utf8proc_normalize_utf32(
      pair.data(), pair.size(), static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  return length == 1 ? std::optional(pair[0]) : std::nullopt;
}

/// Composes each mark with the last starter unless a character between them blocks it.
std::vector<Character> compose(const std::vector<Character>& decomposed) {
  std::vector<Character> composed;
  std::optional<std::size_t> starter;
  int last_class = 0;
  for (const Character& next : decomposed) {
    const int next_class = combining_class(next.value);
    if (starter) {
      const bool adjacent = *starter + 1 == composed.size();
      Character& base = composed[*starter];
      if (adjacent || last_class < next_class) {
        if (const auto composite = composite_of(base.value, next.value)) {
          base.value = *composite;
          base.source.end = std::max(base.source.end, next.source.end);
          continue;
        }
      }
    }
    if (next_class == 0) starter = composed.size();
    last_class = next_class;
    composed.push_back(next);
  }
  return composed;
}

AlignedText stripped(const Strip& step, const AlignedText& text) {
  const std::string_view bytes = text.bytes();
  Range kept{step.left ? behind_white_space(bytes, 0) : 0, bytes.size()};
  while (step.right && kept.size() != 0) {
    const auto last = code_point_before(bytes, kept.end);
    if (!last || !is_white_space(last->value)) break;
    kept.end -= last->length;
  }
  AlignedText result;
  result.append(text, kept);
  return result;
}

AlignedText prepended(const std::string& prefix, const AlignedText& text) {
  if (text.bytes().empty()) return text;
  const std::size_t begin = text.source_of({0, 1}).begin;
  AlignedText result;
  result.append(prefix, {begin, begin});
  result.append(text, {0, text.bytes().size()});
  return result;
}

/// The original bytes of a range; for an empty one the place between its neighbours.
Range source_of_match(const AlignedText& text, Range match) {
  if (match.size() != 0 || text.bytes().empty()) return text.source_of(match);
  const std::size_t at = match.begin == 0 ? text.source_of({0, 1}).begin
                                          : text.source_of({match.begin - 1, match.begin}).end;
  return {at, at};
}

AlignedText replaced(const Pattern& pattern, const std::string& content, const AlignedText& text,
                     Extent extent) {
  std::vector<Range> matches;
  std::size_t end = text.bytes().size();
  if (extent == Extent::beginning) {
    end = pattern.find_certain(text.bytes(), matches);
  } else {
    pattern.find_all(text.bytes(), matches);
  }
  AlignedText result;
  std::size_t copied = 0;
  for (const Range match : matches) {
    result.append(text, {copied, match.begin});
    result.append(content, source_of_match(text, match));
    copied = match.end;
  }
  result.append(text, {copied, end});
  return result;
}

}  // namespace

AlignedText to_normal_form(const AlignedText& text, NormalForm form, Extent extent) {
  const std::string& bytes = text.bytes();
  const auto may_combine_at = [&](std::size_t at) {
    return at < bytes.size() && !stands_alone(code_point_at(bytes, at)->value, form);
  };
  AlignedText normalized;
  std::vector<Character> decomposed;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t first_end = at + code_point_at(bytes, at)->length;
    if (extent == Extent::beginning && first_end == bytes.size()) break;
    if (!may_combine_at(at) && !may_combine_at(first_end)) {
      normalized.append(text, {at, first_end});
      at = first_end;
      continue;
    }
    decomposed.clear();
    do {
      const CodePoint code_point = *code_point_at(bytes, at);
      const Range range{at, at + code_point.length};
      append_decomposition({static_cast<utf8proc_int32_t>(code_point.value), text.source_of(range)},
                           form, decomposed);
      at = range.end;
    } while (may_combine_at(at));
    if (extent == Extent::beginning && at == bytes.size()) break;
    order_marks(decomposed);
    for (const Character& character : compose(decomposed)) {
      std::string composed;
      append_utf8(composed, static_cast<char32_t>(character.value));
      normalized.append(composed, character.source);
    }
  }
  return normalized;
}

Normalizer::Normalizer(std::span<const NormalizerStep> steps, const std::string& source) {
  for (const NormalizerStep& step : steps) {
    if (const auto* replace = std::get_if<Replace>(&step)) {
      steps_.push_back(Replacement{Pattern(replace->pattern, source), replace->content});
    } else if (const auto* prepend = std::get_if<Prepend>(&step)) {
      steps_.push_back(*prepend);
    } else if (const auto* strip = std::get_if<Strip>(&step)) {
      steps_.push_back(*strip);
    } else {
      steps_.push_back(std::get<Compose>(step));
    }
  }
}

AlignedText Normalizer::normalize(AlignedText text, Extent extent) const {
  for (const auto& step : steps_) {
    if (const auto* replacement = std::get_if<Replacement>(&step)) {
      text = replaced(replacement->pattern, replacement->content, text, extent);
    } else if (const auto* prepend = std::get_if<Prepend>(&step)) {
      text = prepended(prepend->text, text);
    } else if (const auto* strip = std::get_if<Strip>(&step)) {
      text = stripped(*strip, text);
    } else {
      text = to_normal_form(text, std::get<Compose>(step).form, extent);
    }
  }
  return text;
}

}  // namespace longshadow
