#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace longshadow {

/// The `count` largest of the entries offered, of those that are larger than `least`. The others
/// are thrown out many at once, which takes a fraction of the time of a heap.
template <class Entry, class Larger = std::greater<>>
class LargestSeen {
 public:
  LargestSeen(std::size_t count, Entry least) : count_(count), at_most_(std::move(least)) {}

  /// The bound that an entry must exceed to be one of them.
  const Entry& threshold() const { return at_most_; }

  void offer(const Entry& entry) {
    if (!Larger()(entry, at_most_)) return;
    found_.push_back(entry);
    if (found_.size() == kBuffers * count_) shrink();
  }

  void offer(const LargestSeen& others) {
    for (const Entry& entry : others.found_) offer(entry);
  }

  /// After the last offer, in no order.
  std::vector<Entry> finish() && {
    if (found_.size() > count_) shrink();
    return std::move(found_);
  }

 private:
  void shrink() {
    const auto last = found_.begin() + static_cast<std::ptrdiff_t>(count_ - 1);
    std::nth_element(found_.begin(), last, found_.end(), Larger());
    at_most_ = *last;
    found_.erase(last + 1, found_.end());
  }

  static constexpr std::size_t kBuffers = 2;  ///< of `count` entries, before some are thrown out

  std::size_t count_;
  Entry at_most_;
  std::vector<Entry> found_;
};

}  // namespace longshadow
