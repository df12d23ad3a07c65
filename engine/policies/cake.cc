#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "engine/core/error.h"
#include "engine/ops/attention_statistics/window_spread.h"
#include "engine/policies/policies.h"
#include "engine/policy/top_slots.h"
#include "engine/policy/window_attention.h"

namespace longshadow {
namespace {

/// More slots to the layers whose window spreads its attention widely and shifts it often, and
/// within a layer to tokens of much or changing attention (Qin et al. 2025, CAKE: Cascading and
/// Adaptive KV Cache Eviction with Layer Preferences, arXiv 2503.12491). What the paper's cascade
/// cuts step by step is cut at once here, which keeps the same.
class Cake final : public Policy {
 public:
  struct Settings {
    std::size_t kernel;
    double gamma, tau1, tau2;
  };

  Cake(const PolicyTraits& traits, const Settings& settings)
      : Policy(traits), settings_(settings) {}

  /// A layer's scores are its preference H^(1 / tau1) V^(1 / tau2), shared out over the tokens that
  /// nothing protects in proportion to the paper's scores: H is the entropy of the window's
  /// attention and V the sum of its variances. So the ranking is the paper's, and select() finds
  /// the preference as their sum.
  TokenScores scores(const LayerView& view) const override {
    const auto spreads = window_spread(view.score, view.window_queries, view.keys, view.n);
    const auto group = static_cast<double>(view.window_queries.n_heads / view.keys.n_heads);
    TokenScores scores(view.keys.n_heads, view.n);
    double entropy = 0, variance = 0;
    for (std::size_t head = 0; head < spreads.size(); ++head) {
      const WindowSpread& of_head = spreads[head];
      entropy += of_head.entropy;
      for (const double one : of_head.variance) variance += group * one;
      std::vector<double> raw = of_head.mean;
      for (std::size_t j = 0; j < raw.size(); ++j) raw[j] += settings_.gamma * of_head.variance[j];
      // Not divided by the kernel: only the scores' ratios count.
      sum_neighbours(raw, settings_.kernel, scores.head(head));
    }
    share_out(std::pow(entropy, 1 / settings_.tau1) * std::pow(variance, 1 / settings_.tau2),
              scores);
    return scores;
  }

  std::vector<KeptSlots> select(std::span<const TokenScores> layers,
                                const SlotBudget& budget) const override {
    const std::size_t n = layers.front().n(), n_kv_heads = layers.front().n_kv_heads();
    const std::size_t kept = budget.slots.front(), protect = traits().n_sink + traits().n_recent;
    if (kept <= protect) return Policy::select(layers, budget);
    std::vector<double> preferences;
    for (const TokenScores& scores : layers) preferences.push_back(sum_unprotected(scores));
    std::vector<std::size_t> slots;
    for (const std::size_t of_layer :
         shared_slots(preferences, (kept - protect) * layers.size(), n - protect)) {
      slots.insert(slots.end(), n_kv_heads, protect + of_layer);
    }
    return top_slots_by_head(layers, slots);
  }

 private:
  std::span<const double> unprotected(const TokenScores& scores, std::size_t head) const {
    const std::size_t n_protected = traits().n_sink + traits().n_recent;
    return scores.head(head).subspan(traits().n_sink, scores.n() - n_protected);
  }

  double sum_unprotected(const TokenScores& scores) const {
    double sum = 0;
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (const double score : unprotected(scores, head)) sum += score;
    }
    return sum;
  }

  void share_out(double preference, TokenScores& scores) const {
    const double sum = sum_unprotected(scores);
    if (!(sum > 0)) return;  // attention that underflows, to nothing but what is protected
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (double& score : scores.head(head)) score *= preference / sum;
    }
  }

  /// `total` slots to layers in proportion to their preferences, `most` to each at most; what is
  /// cut off of one, and then what whole numbers leave over, goes to the others alike, to earlier
  /// ones first, as in the paper's code.
  static std::vector<std::size_t> shared_slots(const std::vector<double>& preferences,
                                               std::size_t total, std::size_t most) {
    const double sum = std::accumulate(preferences.begin(), preferences.end(), 0.0);
    std::vector<std::size_t> slots;
    std::size_t given = 0, cut_off = 0;
    for (const double preference : preferences) {
      const double share = sum > 0 ? preference / sum : 1 / static_cast<double>(preferences.size());
      const auto whole = static_cast<std::size_t>(share * static_cast<double>(total));
      given += whole;
      cut_off += whole - std::min(whole, most);
      slots.push_back(std::min(whole, most));
    }
    std::size_t left = spread(slots, cut_off, most) + total - std::min(given, total);
    while (left > 0 && *std::min_element(slots.begin(), slots.end()) < most) {
      left = spread(slots, left, most);
    }
    return slots;
  }

  /// Returns what did not fit.
  static std::size_t spread(std::vector<std::size_t>& slots, std::size_t more, std::size_t most) {
    std::size_t n_open = 0;
    for (const std::size_t one : slots) n_open += one < most ? 1 : 0;
    if (n_open == 0) return more;
    const std::size_t each = more / n_open;
    std::size_t firsts = more % n_open, left = 0;
    for (std::size_t& one : slots) {
      if (one >= most) continue;
      const std::size_t wanted = one + each + (firsts > 0 ? 1 : 0);
      if (firsts > 0) --firsts;
      one = std::min(wanted, most);
      left += wanted - one;
    }
    return left;
  }

  Settings settings_;
};

}  // namespace

/// Options: window 32, kernel 5, n_sink 0; gamma 200, what a variance counts beside a mean; tau1 1
/// and tau2 1, which the paper's code tunes for each model and budget, from 0.4 to 2.3.
std::unique_ptr<Policy> make_cake(PolicyOptions& options) {
  const WindowAttention window(options, 32);
  if (window.window < 2) {
    throw UsageError("policy cake: window=1: a variance is of 2 queries at least");
  }
  PolicyTraits traits = window.traits(options.whole("n_sink", 0));
  traits.window_queries = std::exchange(traits.attention_queries, 0);
  traits.across_layers = true;
  const Cake::Settings settings{window.kernel, options.real("gamma", 200, 0),
                                options.real("tau1", 1, 0.01), options.real("tau2", 1, 0.01)};
  return std::make_unique<Cake>(traits, settings);
}

}  // namespace longshadow
