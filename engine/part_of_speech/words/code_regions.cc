#include "engine/part_of_speech/words/code_regions.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "engine/core/range.h"

namespace longshadow {
namespace {

/// The character of the fence that the line is, and 0 where it is none.
char fence_of(std::string_view line) {
  constexpr std::size_t kMaxIndent = 3;
  const std::size_t indent = line.find_first_not_of(' ');
  if (indent == std::string_view::npos || indent > kMaxIndent) return 0;
  line.remove_prefix(indent);
  if (line.starts_with("~~~")) return '~';
  const std::size_t info = line.find_first_not_of('`');
  if (!line.starts_with("```")) return 0;
  const bool closes_on_the_line = info != line.npos && line.find('`', info) != line.npos;
  return closes_on_the_line ? 0 : '`';
}

/// The next run of backticks in `line` from `at` on.
Range next_backticks(std::string_view line, std::size_t at) {
  const std::size_t begin = std::min(line.find('`', at), line.size());
  return {begin, std::min(line.find_first_not_of('`', begin), line.size())};
}

/// Adds what lies between a run of backticks and the next of the same length in a line, which
/// starts at byte `offset` of the text.
void add_inline_code(std::string_view line, std::size_t offset, std::vector<Range>& regions) {
  for (Range open = next_backticks(line, 0); open.size() != 0;) {
    Range close = next_backticks(line, open.end);
    const std::size_t farthest = open.begin + kLongestCodeBytes;
    while (close.size() != 0 && close.size() != open.size() && close.begin < farthest) {
      close = next_backticks(line, close.end);
    }
    if (close.size() != open.size() || close.begin >= farthest) close = {};
    if (close.size() != 0) regions.push_back({offset + open.begin, offset + close.end});
    open = next_backticks(line, close.size() != 0 ? close.end : open.end);
  }
}

std::vector<Range> code_regions(std::string_view text) {
  std::vector<Range> regions;
  std::vector<Range> inside;  // inline code behind the open fence, should it never close
  char fence = 0;
  std::size_t fence_begin = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    const char here = fence_of(line.substr(0, kLongestCodeBytes));
    if (fence != 0 && begin - fence_begin > kLongestCodeBytes) {
      regions.insert(regions.end(), inside.begin(), inside.end());
      inside.clear();
      fence = 0;
    }
    if (here == 0 || (fence != 0 && here != fence)) {
      add_inline_code(line, begin, fence != 0 ? inside : regions);
    } else if (fence != 0) {
      regions.push_back({fence_begin, end});
      inside.clear();
      fence = 0;
    } else {
      fence = here;
      fence_begin = begin;
    }
    begin = end + 1;
  }
  regions.insert(regions.end(), inside.begin(), inside.end());
  return regions;
}

}  // namespace

void mark_code(std::string_view text, std::span<TextWord> words) {
  const std::vector<Range> regions = code_regions(text);
  auto region = regions.begin();
  for (TextWord& word : words) {
    while (region != regions.end() && region->end <= word.bytes.begin) ++region;
    if (region == regions.end()) return;
    const bool is_code = word.bytes.begin >= region->begin;
    if (is_code && word.allowed.contains(UniversalTag::noun)) word.allowed = {UniversalTag::x};
  }
}

}  // namespace longshadow
