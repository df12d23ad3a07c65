#include "engine/text/aligned_text.h"

#include <algorithm>
#include <optional>

#include "engine/text/unicode.h"

namespace longshadow {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

}  // namespace

Range AlignedText::source_of(Range range) const {
  if (range.size() == 0) return {0, 0};
  Range source = sources_[range.begin];
  for (std::size_t k = range.begin + 1; k < range.end; ++k) {
    // Canonical ordering may have swapped marks, so neither end need be the outermost.
    source.begin = std::min(source.begin, sources_[k].begin);
    source.end = std::max(source.end, sources_[k].end);
  }
  return source;
}

void AlignedText::append(std::string_view bytes, Range source) {
  bytes_ += bytes;
  const bool byte_by_byte = bytes.size() == source.size();
  for (std::size_t k = 0; k < bytes.size(); ++k) {
    sources_.push_back(byte_by_byte ? Range{source.begin + k, source.begin + k + 1} : source);
  }
}

void AlignedText::append(const AlignedText& other, Range range) {
  bytes_.append(other.bytes_, range.begin, range.size());
  sources_.insert(sources_.end(), other.sources_.begin() + static_cast<std::ptrdiff_t>(range.begin),
                  other.sources_.begin() + static_cast<std::ptrdiff_t>(range.end));
}

AlignedText as_utf8(std::string_view original, Range range) {
  AlignedText text;
  const std::string_view part = original.substr(0, range.end);
  std::size_t valid_from = range.begin;
  std::size_t at = range.begin;
  const auto flush = [&] {
    text.append(part.substr(valid_from, at - valid_from), {valid_from, at});
  };
  while (at < range.end) {
    if (const std::optional<CodePoint> code_point = code_point_at(part, at)) {
      at += code_point->length;
      continue;
    }
    flush();
    text.append(kReplacement, {at, at + 1});
    valid_from = ++at;
  }
  flush();
  return text;
}

AlignedText restore_invalid_bytes(const AlignedText& text, std::string_view original,
                                  std::vector<Range>& ranges) {
  AlignedText restored;
  std::size_t copied = 0;
  const auto copy_until = [&](std::size_t end) {
    while (copied < end) {
      const std::string_view rest = std::string_view(text.bytes()).substr(copied, end - copied);
      const std::size_t found = copied + std::min(rest.find(kReplacement), rest.size());
      restored.append(text, {copied, found});
      copied = found;
      if (found == end) break;
      const Range replacement{found, found + kReplacement.size()};
      const Range source = text.source_of(replacement);
      // A U+FFFD that the original holds itself came from three bytes.
      if (source.size() == 1) {
        restored.append(original.substr(source.begin, 1), source);
      } else {
        restored.append(text, replacement);
      }
      copied = replacement.end;
    }
  };
  for (Range& range : ranges) {
    copy_until(range.begin);
    const std::size_t begin = restored.bytes().size();
    copy_until(range.end);
    range = {begin, restored.bytes().size()};
  }
  return restored;
}

}  // namespace longshadow
