#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/policies/policies.h"
#include "engine/policy/vectors.h"

namespace longshadow {
namespace {

/// Keys unlike the mean direction of all keys (Park et al. 2025, KeyDiff: Key Similarity-Based KV
/// Cache Eviction for Long-Context LLM Inference, arXiv 2504.15364): -cos(k, mean of k / |k|).
class KeyDiff final : public Policy {
 public:
  using Policy::Policy;

  TokenScores scores(const LayerView& view) const override {
    const std::size_t d = view.keys.head_dim;
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      const MatrixView<const float> keys = view.keys.head(head);
      std::vector<double> norms(view.n), anchor(d);
      for (std::size_t j = 0; j < view.n; ++j) {
        norms[j] = std::max(norm2(keys.row(j), d), kSmallestNorm);
        for (std::size_t i = 0; i < d; ++i) anchor[i] += keys.row(j)[i] / norms[j];
      }
      const double anchor_norm =
          std::max(std::sqrt(std::inner_product(anchor.begin(), anchor.end(), anchor.begin(), 0.0)),
                   kSmallestNorm);
      for (std::size_t j = 0; j < view.n; ++j) {
        double product = 0;
        for (std::size_t i = 0; i < d; ++i) product += keys.row(j)[i] * anchor[i];
        scores.head(head)[j] = -product / (norms[j] * anchor_norm);
      }
    }
    return scores;
  }

 private:
  static constexpr double kSmallestNorm = 1e-12;  // a zero key is like no other
};

}  // namespace

/// Options: n_sink 0.
std::unique_ptr<Policy> make_keydiff(PolicyOptions& options) {
  return std::make_unique<KeyDiff>(PolicyTraits{.n_sink = options.whole("n_sink", 0)});
}

}  // namespace longshadow
