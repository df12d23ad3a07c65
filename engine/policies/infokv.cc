#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "engine/policies/policies.h"
#include "engine/policy/vectors.h"
#include "engine/policy/window_attention.h"

namespace longshadow {
namespace {

enum class EntropyReading { before, at };
enum class SoftmaxRange { unprotected, all };

struct Options {
  double alpha;
  double tau;
  EntropyReading entropy;
  SoftmaxRange softmax;
};

/// InfoKV (Information-Aware KV Cache Compression for Long Reasoning, arXiv 2606.26875): attention,
/// and beside it the model's uncertainty about a token, which weighs more the farther the layer's
/// hidden state is from the last layer's:
///   E(i) = (D(i) + tau) H(i),   S(i) = alpha A(i) + (1 - alpha) softmax(E)(i).
/// From the paper:
///   A: the attention of the method that InfoKV builds on, here SnapKV's window attention; it sums
///      to at most one over the tokens, as the softmax does, so the two are on one scale;
///   D: drift, 1 - cos(the layer's hidden state, the last layer's); tau keeps the last layer's
///      scores from being zero;
///   H: entropy of the k likeliest tokens of the distribution that produced token i; k is the
///      run's (--entropy-top-k);
///   while text is written: a cut each 1,024 tokens, for which tokens of prompt and text are scored
///      alike, by the D and H of the steps themselves.
/// The paper's code is not public. Left open by it, and options here: A's pooling (kernel), which
/// tokens the softmax of E goes over, and whether H is read before the token or at it.
class InfoKv final : public Policy {
 public:
  InfoKv(const PolicyTraits& traits, const WindowAttention& attention, const Options& options)
      : Policy(traits), attention_(attention), options_(options) {}

  TokenScores scores(const LayerView& view) const override {
    const std::vector<double> uncertainty = softmax_of_uncertainty(view);
    TokenScores scores = attention_.scores(view);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (std::size_t i = 0; i < view.n; ++i) {
        double& score = scores.head(head)[i];
        score = options_.alpha * score + (1 - options_.alpha) * uncertainty[i];
      }
    }
    return scores;
  }

 private:
  /// [n] softmax(E), 0 for tokens that it does not go over.
  std::vector<double> softmax_of_uncertainty(const LayerView& view) const {
    std::vector<double> uncertainty(view.n);
    for (std::size_t i = 0; i < view.n; ++i) {
      const std::size_t token = view.token(i);
      uncertainty[i] = (view.drift[token] + options_.tau) * entropy(view, token);
    }
    if (options_.softmax == SoftmaxRange::unprotected) {
      const std::size_t n_sink = traits().n_sink, n_recent = traits().n_recent;
      std::fill_n(uncertainty.begin(), n_sink, 0.0);
      std::fill_n(uncertainty.rbegin(), n_recent, 0.0);
      softmax(std::span(uncertainty).subspan(n_sink, view.n - n_sink - n_recent));
    } else {
      softmax(uncertainty);
    }
    return uncertainty;
  }

  /// Nothing predicted the first token, whose entropy before is 0.
  double entropy(const LayerView& view, std::size_t token) const {
    if (options_.entropy == EntropyReading::at) return view.entropy[token];
    return token == 0 ? 0 : view.entropy[token - 1];
  }

  WindowAttention attention_;
  Options options_;
};

}  // namespace

/// Options: window 64, kernel 5 (1: no pooling), n_sink 4; alpha 0.9, tau 1; entropy before or at;
/// softmax over unprotected tokens (all but sinks and window) or all.
std::unique_ptr<Policy> make_infokv(PolicyOptions& options) {
  static constexpr std::string_view kEntropy[] = {"before", "at"};
  static constexpr std::string_view kSoftmax[] = {"unprotected", "all"};
  const WindowAttention attention(options);
  PolicyTraits traits = attention.traits(options.whole("n_sink", 4));
  traits.entropy = true;
  traits.drift = true;
  const Options chosen{.alpha = options.real("alpha", 0.9, 0, 1),
                       .tau = options.real("tau", 1, 0),
                       .entropy = static_cast<EntropyReading>(options.choice("entropy", kEntropy)),
                       .softmax = static_cast<SoftmaxRange>(options.choice("softmax", kSoftmax))};
  return std::make_unique<InfoKv>(traits, attention, chosen);
}

}  // namespace longshadow
