#include <algorithm>
#include <vector>

#include "engine/policy/policies.h"
#include "engine/policy/window_attention.h"

namespace longshadow {
namespace {

enum class AttentionScale { maximum, rank };
enum class EntropyReading { before, at };

struct Options {
  AttentionScale attention;
  EntropyReading entropy;
  double lambda;
};

/// values [n] over their maximum; all zero where that is.
std::vector<double> over_maximum(std::vector<double> values) {
  const double highest = *std::max_element(values.begin(), values.end());
  for (double& value : values) value = highest > 0 ? value / highest : 0;
  return values;
}

/// InfoKV: SnapKV's attention, and beside it the model's uncertainty about a token times how far
/// the token's representation is still to move from this layer on:
///   score(i) = a(i) + lambda e(i) r(i).
/// The paper published no code; this is Longshadow's reading, and every choice is an option.
///   a: window attention over its largest in the layer outside sinks and window, which would
///      squeeze all others to zero; or the share of the layer's scores there that are lower;
///   e: entropy of the prediction before token i (of token i itself), or at it (of token i + 1),
///      over its largest in the context; the first token has none before it;
///   r: drift, over its largest in the layer.
class InfoKv final : public Policy {
 public:
  InfoKv(const PolicyTraits& traits, const WindowAttention& attention, const Options& options)
      : Policy(traits), attention_(attention), options_(options) {}

  TokenScores scores(const LayerView& view) const override {
    TokenScores scores = attention_.scores(view);
    scale(scores);
    std::vector<double> entropy(view.n), drift(view.n);
    const std::size_t shift = options_.entropy == EntropyReading::before ? 1 : 0;
    for (std::size_t i = 0; i < view.n; ++i) {
      const std::size_t token = view.token(i);
      if (token >= shift) entropy[i] = view.entropy[token - shift];
      drift[i] = view.drift[token];
    }
    entropy = over_maximum(std::move(entropy));
    drift = over_maximum(std::move(drift));
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (std::size_t i = 0; i < view.n; ++i) {
        scores.head(head)[i] += options_.lambda * entropy[i] * drift[i];
      }
    }
    return scores;
  }

 private:
  /// Brings the attention of all tokens but the protected ones into [0, 1].
  void scale(TokenScores& scores) const {
    const std::size_t n_sink = traits().n_sink;
    const std::size_t n_others = scores.n() - n_sink - traits().n_recent;
    std::vector<double> others;  // of all KV heads
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      const auto of_head = scores.head(head).subspan(n_sink, n_others);
      others.insert(others.end(), of_head.begin(), of_head.end());
    }
    const bool by_rank = options_.attention == AttentionScale::rank;
    if (by_rank) std::sort(others.begin(), others.end());
    const double highest = *std::max_element(others.begin(), others.end());
    const auto scaled = [&](double score) {
      if (!by_rank) return highest > 0 ? score / highest : 0;
      const auto lower = std::lower_bound(others.begin(), others.end(), score) - others.begin();
      return static_cast<double>(lower) / static_cast<double>(others.size());
    };
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (double& score : scores.head(head)) score = scaled(score);
    }
  }

  WindowAttention attention_;
  Options options_;
};

}  // namespace

/// Options: window 64, kernel 5, n_sink 4; lambda 1; attention maximum or rank; entropy before or
/// at.
std::unique_ptr<Policy> make_infokv(PolicyOptions& options) {
  static constexpr std::string_view kAttention[] = {"maximum", "rank"};
  static constexpr std::string_view kEntropy[] = {"before", "at"};
  const WindowAttention attention(options);
  PolicyTraits traits = attention.traits(options.whole("n_sink", 4));
  traits.entropy = true;
  traits.drift = true;
  const Options chosen{
      .attention = static_cast<AttentionScale>(options.choice("attention", kAttention)),
      .entropy = static_cast<EntropyReading>(options.choice("entropy", kEntropy)),
      .lambda = options.real("lambda", 1, 0)};
  return std::make_unique<InfoKv>(traits, attention, chosen);
}

}  // namespace longshadow
