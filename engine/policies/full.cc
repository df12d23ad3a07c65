#include "engine/policies/policies.h"

namespace longshadow {
namespace {

/// Keeps everything, whatever the budget: what the others are compared with.
class Full final : public Policy {
 public:
  Full() : Policy({}) {}

  TokenScores scores(const LayerView& view) const override { return {view.keys.n_heads, view.n}; }
  std::vector<std::size_t> budget(const CacheShape& shape, std::size_t n, double) const override {
    return std::vector<std::size_t>(shape.n_layers * shape.n_kv_heads, n);
  }
};

}  // namespace

std::unique_ptr<Policy> make_full(PolicyOptions&) { return std::make_unique<Full>(); }

}  // namespace longshadow
