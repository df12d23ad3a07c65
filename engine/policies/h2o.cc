#include "engine/policies/policies.h"

namespace longshadow {
namespace {

/// Heavy hitters: the mean attention that a token receives from the queries that see it (Zhang et
/// al. 2023, H2O: Heavy-Hitter Oracle, arXiv 2306.14048; the mean, in place of the paper's sum, is
/// kvpress's, without which early tokens win for being seen more often).
class H2o final : public Policy {
 public:
  using Policy::Policy;

  TokenScores scores(const LayerView& view) const override {
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      const double* received = view.attention.row(head);
      for (std::size_t j = 0; j < view.n; ++j) {
        scores.head(head)[j] = received[j] / static_cast<double>(view.n - j);
      }
    }
    return scores;
  }
};

}  // namespace

/// Options: n_sink 0; recent 0, the last tokens, which the paper keeps for half the budget.
std::unique_ptr<Policy> make_h2o(PolicyOptions& options) {
  return std::make_unique<H2o>(PolicyTraits{.n_sink = options.whole("n_sink", 0),
                                            .n_recent = options.whole("recent", 0),
                                            .attention_queries = kAllQueries});
}

}  // namespace longshadow
