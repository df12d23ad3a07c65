#include "engine/policies/policies.h"
#include "engine/policy/window_attention.h"

namespace longshadow {
namespace {

/// What the prompt's last tokens attend to (Li et al. 2024, SnapKV: LLM Knows What You Are Looking
/// for Before Generation, arXiv 2404.14469).
class SnapKv final : public Policy {
 public:
  SnapKv(const WindowAttention& attention, std::size_t n_sink)
      : Policy(attention.traits(n_sink)), attention_(attention) {}

  TokenScores scores(const LayerView& view) const override { return attention_.scores(view); }

 private:
  WindowAttention attention_;
};

}  // namespace

/// Options: window 64, kernel 5, n_sink 0.
std::unique_ptr<Policy> make_snapkv(PolicyOptions& options) {
  const WindowAttention attention(options);
  return std::make_unique<SnapKv>(attention, options.whole("n_sink", 0));
}

}  // namespace longshadow
