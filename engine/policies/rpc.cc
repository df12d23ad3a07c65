#include "engine/policies/policies.h"
#include "engine/policy/window_attention.h"

namespace longshadow {
namespace {

/// Reasoning Path Compression (Song et al. 2025, Reasoning Path Compression: Compressing Generation
/// Trajectories for Efficient LLM Reasoning, arXiv 2505.13866): what the last written tokens look
/// at among the tokens written before them. Each time P tokens were written, cut number t = 1, 2,
/// ... keeps t P / ratio of these, the window and the whole prompt, the same in every KV head. The
/// softmax goes over the written tokens before the window alone, so that it says nothing of how
/// much the prompt drew. As in the paper's code, the window is counted neither among the P tokens
/// nor among those kept, and the first cut waits for it. That code takes the last query twice and
/// the window's first not at all; here, as in the paper, the window's queries count once each.
class Rpc final : public Policy {
 public:
  Rpc(const PolicyTraits& traits, const WindowAttention& attention, double ratio)
      : Policy(traits), attention_(attention), ratio_(ratio) {}

  TokenScores scores(const LayerView& view) const override {
    TokenScores scores = attention_.scores(view);
    scores.average_heads();
    return scores;
  }

  std::optional<std::size_t> kept_while_writing(std::size_t every, std::size_t cut) const override {
    return (cut + 1) * static_cast<std::size_t>(static_cast<double>(every) / ratio_);
  }

 private:
  WindowAttention attention_;
  double ratio_;
};

}  // namespace

/// Options: window 32, kernel 7; ratio 4, of the tokens written to those kept.
std::unique_ptr<Policy> make_rpc(PolicyOptions& options) {
  const WindowAttention attention(options, 32, 7);
  PolicyTraits traits = attention.traits(0);
  traits.keeps_prompt = true;
  traits.joint_heads = true;
  traits.softmax_over = SoftmaxOver::unprotected;
  return std::make_unique<Rpc>(traits, attention, options.real("ratio", 4, 1));
}

}  // namespace longshadow
