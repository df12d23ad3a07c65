#include "engine/policies/learned/learned.h"

#include <algorithm>
#include <utility>

#include "engine/core/sha256.h"
#include "engine/io/mapped_file.h"
#include "engine/policies/learned/ranking_file.h"

namespace longshadow {
namespace {

/// A linear function of what a cache tells of a token, learnt for every layer and KV head from
/// measured Forward Influence: an estimate of the log of the influence of removing the token from
/// that head alone.
class Learned final : public Policy {
 public:
  Learned(const PolicyTraits& traits, Ranking ranking)
      : Policy(traits), ranking_(std::move(ranking)) {}

  TokenScores scores(const LayerView& view) const override {
    const std::vector<Matrix<double>> features = head_features(view, ranking_.features);
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      const std::span<const double> weights =
          ranking_.of_head(view.place.layer, view.first_kv_head + head);
      const std::span<double> of_head = scores.head(head);
      std::fill(of_head.begin(), of_head.end(), weights.back());
      for (std::size_t f = 0; f < ranking_.features.size(); ++f) {
        const double* feature = features[head].row(f);
        for (std::size_t j = 0; j < view.n; ++j) of_head[j] += weights[f] * feature[j];
      }
    }
    return scores;
  }

 private:
  Ranking ranking_;
};

}  // namespace

/// Options: FILE, of `longshadow learn ranking`; by default the one that it left for the model;
/// n_sink 4, which are not learnt from; recent 0, the last tokens.
std::unique_ptr<Policy> make_learned(PolicyOptions& options) {
  const std::filesystem::path path = options.file("ranking.json");
  Ranking ranking = read_ranking(path, options.model());
  PolicyTraits traits = traits_for(ranking.features);
  traits.n_sink = options.whole("n_sink", 4);
  traits.n_recent = options.whole("recent", 0);
  traits.files_sha256.push_back(sha256_hex(MappedFile(path).bytes()));
  return std::make_unique<Learned>(traits, std::move(ranking));
}

}  // namespace longshadow
