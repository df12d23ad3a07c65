#include <random>

#include "engine/policies/policies.h"

namespace longshadow {
namespace {

/// Uniform scores: what a policy has to beat. Those of a KV head are the upper 53 bits, over 2^53,
/// of std::mt19937_64 seeded by std::seed_seq{seed, layer, head}, whose values the standard fixes;
/// seed is the run's and the policy's own together, so that one run may draw several times.
class Random final : public Policy {
 public:
  Random(const PolicyTraits& traits, std::size_t seed) : Policy(traits), seed_(seed) {}

  TokenScores scores(const LayerView& view) const override {
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      std::seed_seq seeds{seed_ + view.seed, view.place.layer, head};
      std::mt19937_64 random(seeds);
      for (double& score : scores.head(head)) score = static_cast<double>(random() >> 11) * 0x1p-53;
    }
    return scores;
  }

 private:
  std::size_t seed_;
};

}  // namespace

/// Options: seed, n_sink 0.
std::unique_ptr<Policy> make_random(PolicyOptions& options) {
  const std::size_t seed = options.whole("seed", 0);
  return std::make_unique<Random>(PolicyTraits{.n_sink = options.whole("n_sink", 0)}, seed);
}

}  // namespace longshadow
