#include "engine/text/prefix_tree.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace longshadow {

PrefixTree::PrefixTree(std::vector<std::string> strings) : strings_(std::move(strings)) {
  std::vector<std::uint32_t> sorted(strings_.size());
  std::iota(sorted.begin(), sorted.end(), 0U);
  std::sort(sorted.begin(), sorted.end(),
            [&](std::uint32_t a, std::uint32_t b) { return strings_[a] < strings_[b]; });
  nodes_.push_back({});
  std::vector<Range> pending = {{0, sorted.size()}};  // by node, the strings below it
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    add_children(node, sorted, pending[node], pending);
  }
}

/// Makes a node for each byte that follows the parent's in the strings `range` of `sorted`.
void PrefixTree::add_children(std::size_t parent, const std::vector<std::uint32_t>& sorted,
                              Range range, std::vector<Range>& pending) {
  const std::size_t shared = nodes_[parent].end;
  const auto at = [&](std::size_t k) { return sorted.begin() + static_cast<std::ptrdiff_t>(k); };
  nodes_[parent].first_child = static_cast<std::uint32_t>(nodes_.size());
  while (range.size() != 0) {
    const std::uint32_t first = sorted[range.begin];
    const char byte = strings_[first][shared];
    const auto group_end =
        std::partition_point(at(range.begin), at(range.end),
                             [&](std::uint32_t s) { return strings_[s][shared] == byte; });
    const Range group{range.begin, static_cast<std::size_t>(group_end - sorted.begin())};
    // What the first and the last of sorted strings share, all of them share.
    const std::string& shortest = strings_[first];
    const std::string& last = strings_[sorted[group.end - 1]];
    const auto difference =
        std::mismatch(shortest.begin() + static_cast<std::ptrdiff_t>(shared), shortest.end(),
                      last.begin() + static_cast<std::ptrdiff_t>(shared), last.end());
    const auto end = static_cast<std::size_t>(difference.first - shortest.begin());
    const bool is_string = end == shortest.size();
    nodes_.push_back({.string = first,
                      .end = static_cast<std::uint32_t>(end),
                      .first_child = 0,
                      .n_children = 0,
                      .byte = static_cast<unsigned char>(byte),
                      .is_string = is_string});
    pending.push_back({group.begin + (is_string ? 1 : 0), group.end});
    ++nodes_[parent].n_children;
    range.begin = group.end;
  }
}

const PrefixTree::Node* PrefixTree::child_at(const Node& node, char byte) const {
  const auto wanted = static_cast<unsigned char>(byte);
  const auto first = nodes_.begin() + node.first_child;
  const auto last = first + node.n_children;
  const auto found = std::lower_bound(
      first, last, wanted, [](const Node& child, unsigned char b) { return child.byte < b; });
  return found != last && found->byte == wanted ? &*found : nullptr;
}

}  // namespace longshadow
