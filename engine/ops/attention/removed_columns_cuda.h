#pragma once

#include <span>
#include <vector>

#include "engine/cuda/launch.h"
#include "engine/ops/attention/removed_columns.h"

namespace longshadow {

/// Ranges of columns, sorted and disjoint, as kernels take them.
struct ColumnRanges {
  const Range* ranges;
  std::size_t count;

  /// Whether one of them holds the column.
  __device__ bool hold(std::size_t column) const {
    std::size_t low = 0, high = count;  // the first range that ends behind the column
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (ranges[middle].end > column) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low < count && ranges[low].begin <= column;
  }
};

/// The columns that each stream's KV heads lack, in the device's memory. StreamType has `removed`.
class RemovedOnDevice {
 public:
  template <class StreamType>
  RemovedOnDevice(Cuda& device, std::span<const StreamType> streams, std::size_t n_kv_heads)
      : n_kv_heads_(n_kv_heads), there_(device, std::span<const Range>(gather(streams))) {}

  ColumnRanges of(std::size_t stream, std::size_t kv_head) const {
    const Range& part = parts_[stream * n_kv_heads_ + kv_head];
    return {there_.data() + part.begin, part.size()};
  }

 private:
  template <class StreamType>
  std::vector<Range> gather(std::span<const StreamType> streams) {
    std::vector<Range> all;
    for (const StreamType& stream : streams) {
      for (std::size_t kv_head = 0; kv_head < n_kv_heads_; ++kv_head) {
        const RemovedColumns removed = removed_from(kv_head, stream.removed);
        parts_.push_back({all.size(), all.size() + removed.size()});
        all.insert(all.end(), removed.begin(), removed.end());
      }
    }
    return all;
  }

  std::size_t n_kv_heads_;
  std::vector<Range> parts_;  ///< of there_, [streams, K]
  DeviceArray<Range> there_;
};

}  // namespace longshadow
