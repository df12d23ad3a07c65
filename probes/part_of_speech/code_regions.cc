#include "probes/part_of_speech/code_regions.h"

#include <cstddef>
#include <vector>

#include "engine/core/range.h"

namespace longshadow {
namespace {

bool is_fence(std::string_view line) {
  constexpr std::size_t kMaxIndent = 3;
  const std::size_t indent = line.find_first_not_of(' ');
  if (indent == std::string_view::npos || indent > kMaxIndent) return false;
  line.remove_prefix(indent);
  return line.starts_with("```") || line.starts_with("~~~");
}

/// Stretches between two backticks of a line, which starts at byte `begin` of the text.
void add_inline_code(std::string_view line, std::size_t begin, std::vector<Range>& regions) {
  std::size_t open = line.find('`');
  while (open != std::string_view::npos) {
    const std::size_t close = line.find('`', open + 1);
    if (close == std::string_view::npos) return;
    regions.push_back({begin + open, begin + close});
    open = line.find('`', close + 1);
  }
}

std::vector<Range> code_regions(std::string_view text) {
  std::vector<Range> regions;
  std::vector<Range> inside;  ///< inline code since the open fence, should it never close
  bool fenced = false;
  std::size_t fence = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    if (!is_fence(line)) {
      add_inline_code(line, begin, fenced ? inside : regions);
    } else if (fenced) {
      regions.push_back({fence, end});
      inside.clear();
      fenced = false;
    } else {
      fence = begin;
      fenced = true;
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
