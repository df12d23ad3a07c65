#include "probes/measure/removal.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace longshadow {

Removal::Removal(std::vector<Range> tokens) : sets_{joined(std::move(tokens))} {}

Removal::Removal(std::vector<Range> tokens, const CachePart& where)
    : sets_{joined(std::move(tokens)), {}}, n_kv_heads_(where.kv_heads.size()) {
  for (const bool in_layer : where.layers) {
    for (const bool in_head : where.kv_heads) set_of_.push_back(in_layer && in_head ? 0 : 1);
  }
}

Removal::Removal(std::vector<std::vector<Range>> by_head, std::size_t n_kv_heads)
    : sets_(std::move(by_head)), set_of_(sets_.size()), n_kv_heads_(n_kv_heads) {
  for (std::vector<Range>& set : sets_) set = joined(std::move(set));
  std::iota(set_of_.begin(), set_of_.end(), std::uint32_t{0});
}

std::span<const Range> Removal::ranges(std::size_t layer, std::size_t kv_head) const {
  return sets_[set_of_.empty() ? 0 : set_of_[layer * n_kv_heads_ + kv_head]];
}

std::vector<Range> joined(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  std::vector<Range> apart;
  for (const Range& range : ranges) {
    if (!apart.empty() && range.begin <= apart.back().end) {
      apart.back().end = std::max(apart.back().end, range.end);
    } else {
      apart.push_back(range);
    }
  }
  return apart;
}

}  // namespace longshadow
