#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace longshadow {

/// How much a policy wants to keep each token of one layer, by KV head: [K, n], higher is kept.
class TokenScores {
 public:
  TokenScores(std::size_t n_kv_heads, std::size_t n)
      : n_kv_heads_(n_kv_heads), n_(n), values_(n_kv_heads * n) {}

  std::size_t n_kv_heads() const { return n_kv_heads_; }
  std::size_t n() const { return n_; }
  /// [n]
  std::span<double> head(std::size_t kv_head) { return {values_.data() + kv_head * n_, n_}; }
  std::span<const double> head(std::size_t kv_head) const {
    return {values_.data() + kv_head * n_, n_};
  }
  /// Gives every head the mean over heads.
  void average_heads() {
    for (std::size_t i = 0; i < n_; ++i) {
      double sum = 0;
      for (std::size_t head = 0; head < n_kv_heads_; ++head) sum += values_[head * n_ + i];
      const double mean = sum / static_cast<double>(n_kv_heads_);
      for (std::size_t head = 0; head < n_kv_heads_; ++head) values_[head * n_ + i] = mean;
    }
  }

  /// [K n], one head after the other.
  std::span<const double> all_heads() const { return values_; }

 private:
  std::size_t n_kv_heads_;
  std::size_t n_;
  std::vector<double> values_;
};

}  // namespace longshadow
