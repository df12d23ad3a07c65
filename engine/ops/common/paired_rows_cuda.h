#pragma once

#include <span>
#include <vector>

#include "engine/cuda/launch.h"
#include "engine/ops/common/paired_rows.h"

namespace longshadow {

/// Pairs of rows as kernels take them: one after the other, numbered [0, n_rows). One launch for
/// all pairs, of which a batch of counterfactuals has dozens, instead of one for each.
struct NumberedPairs {
  struct Pair {
    PairedRows rows;
    std::size_t end;  ///< number of the row behind the pair's last
  };
  struct Found {
    std::size_t row;
    std::size_t full_row;
  };

  const Pair* pairs;
  std::size_t n_pairs;

  __device__ Found find(std::size_t number) const {
    std::size_t low = 0, high = n_pairs - 1;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (pairs[middle].end > number) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    const Pair& pair = pairs[low];
    const std::size_t within = number - (pair.end - pair.rows.n_rows);
    return {pair.rows.first_row + within, pair.rows.full_row + within};
  }
};

/// Keeps them in the device's memory.
class PairsOnDevice {
 public:
  PairsOnDevice(Cuda& device, std::span<const PairedRows> pairs)
      : there_(device, std::span<const NumberedPairs::Pair>(numbered(pairs))) {
    for (const PairedRows& pair : pairs) n_rows_ += pair.n_rows;
  }

  std::size_t n_rows() const { return n_rows_; }
  NumberedPairs view() const { return {there_.data(), there_.size()}; }

 private:
  static std::vector<NumberedPairs::Pair> numbered(std::span<const PairedRows> pairs) {
    std::vector<NumberedPairs::Pair> numbered;
    std::size_t end = 0;
    for (const PairedRows& pair : pairs) numbered.push_back({pair, end += pair.n_rows});
    return numbered;
  }

  DeviceArray<NumberedPairs::Pair> there_;
  std::size_t n_rows_ = 0;
};

}  // namespace longshadow
