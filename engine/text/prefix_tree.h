#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/range.h"

namespace longshadow {

/// Strings, to find those that a text begins with: a radix tree (Morrison 1968). It takes no more
/// memory than a small multiple of the strings' own, however long they are.
class PrefixTree {
 public:
  /// `strings` are distinct, not empty and fewer than 2^32.
  explicit PrefixTree(std::vector<std::string> strings);

  /// Calls `found(index, bytes)` for each string that `text` begins with, the shortest first:
  /// `index` is the string's place among those given, `bytes` its length. Returns whether `text`
  /// is itself the beginning of a longer string.
  template <class Found>
  bool find_prefixes(std::string_view text, const Found& found) const {
    const Node* node = &nodes_.front();
    while (true) {
      if (node->is_string) found(std::size_t{node->string}, std::size_t{node->end});
      if (node->end == text.size()) return node->n_children != 0;
      const std::size_t begin = node->end;
      node = child_at(*node, text[begin]);
      if (node == nullptr) return false;
      const std::string_view label =
          std::string_view(strings_[node->string]).substr(begin, node->end - begin);
      const std::string_view rest = text.substr(begin);
      if (!rest.starts_with(label)) return label.starts_with(rest);
    }
  }

 private:
  /// The strings with one beginning: bytes [0, end) of any of them, such as `string`.
  struct Node {
    std::uint32_t string;
    std::uint32_t end;
    std::uint32_t first_child;
    std::uint16_t n_children;
    unsigned char byte;  ///< the first that its parent's strings do not share
    bool is_string;      ///< `string` is no longer than what is shared
  };

  void add_children(std::size_t parent, const std::vector<std::uint32_t>& sorted, Range range,
                    std::vector<Range>& pending);
  const Node* child_at(const Node& node, char byte) const;

  std::vector<std::string> strings_;
  std::vector<Node> nodes_;  ///< the root first; a node's children side by side, sorted by byte
};

}  // namespace longshadow
