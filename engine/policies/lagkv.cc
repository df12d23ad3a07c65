#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/policies/policies.h"
#include "engine/policy/vectors.h"

namespace longshadow {
namespace {

/// For every row of `block` [lag, d]: how unevenly it lies between the least and the largest of
/// each channel in the next block, as a softmax over the block of the deviation over channels. A
/// channel that the next block holds constant says nothing and counts as zero.
std::vector<double> spread(MatrixView<const float> block, MatrixView<const float> next) {
  const std::size_t d = block.cols;
  std::vector<double> least(next.row(0), next.row(0) + d), most = least;
  for (std::size_t r = 1; r < next.rows; ++r) {
    for (std::size_t i = 0; i < d; ++i) {
      least[i] = std::min<double>(least[i], next.row(r)[i]);
      most[i] = std::max<double>(most[i], next.row(r)[i]);
    }
  }
  std::vector<double> deviations(block.rows), normalised(d);
  for (std::size_t r = 0; r < block.rows; ++r) {
    for (std::size_t i = 0; i < d; ++i) {
      const double range = most[i] - least[i];
      normalised[i] = range > 0 ? (block.row(r)[i] - least[i]) / range : 0;
    }
    const double mean =
        std::accumulate(normalised.begin(), normalised.end(), 0.0) / static_cast<double>(d);
    double squares = 0;
    for (const double x : normalised) squares += (x - mean) * (x - mean);
    deviations[r] = std::sqrt(squares / static_cast<double>(d - 1));
  }
  softmax(deviations);
  return deviations;
}

/// Tokens that stand out from the block of text that follows theirs (Liang et al. 2025, LagKV:
/// Lag-Relative Information of the KV Cache Tells Which Tokens Are Important, arXiv 2504.04704).
/// The score is a token's rank within its block, so that every block but the last keeps the same
/// share; the sinks, the last whole block and the rest behind it score 1.
class LagKv final : public Policy {
 public:
  LagKv(std::size_t n_sink, std::size_t lag) : Policy({}), n_sink_(n_sink), lag_(lag) {}

  TokenScores scores(const LayerView& view) const override {
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      std::fill(scores.head(head).begin(), scores.head(head).end(), 1.0);
      if (view.n < n_sink_ + 2 * lag_) {
        score_by_recency(scores.head(head));
      } else {
        const std::size_t n_blocks = (view.n - n_sink_) / lag_;
        for (std::size_t block = 0; block + 1 < n_blocks; ++block) {
          rank_block(view, head, n_sink_ + block * lag_, scores.head(head));
        }
      }
    }
    return scores;
  }

 private:
  /// For a prompt too short to have a block and the next.
  void score_by_recency(std::span<double> scores) const {
    for (std::size_t i = n_sink_; i < scores.size(); ++i) {
      scores[i] = static_cast<double>(i - n_sink_) / static_cast<double>(scores.size() - n_sink_);
    }
  }

  void rank_block(const LayerView& view, std::size_t head, std::size_t begin,
                  std::span<double> scores) const {
    const auto spread_in = [&](HeadRows<const float> rows) {
      return spread(rows.head(head).row_range(begin, lag_),
                    rows.head(head).row_range(begin + lag_, lag_));
    };
    std::vector<double> sum = spread_in(view.keys);
    const std::vector<double> of_values = spread_in(view.values);
    for (std::size_t r = 0; r < lag_; ++r) sum[r] += of_values[r];

    std::vector<std::size_t> ascending(lag_);
    std::iota(ascending.begin(), ascending.end(), std::size_t{0});
    std::stable_sort(ascending.begin(), ascending.end(),
                     [&](std::size_t a, std::size_t b) { return sum[a] < sum[b]; });
    for (std::size_t rank = 0; rank < lag_; ++rank) {
      scores[begin + ascending[rank]] = static_cast<double>(rank) / static_cast<double>(lag_);
    }
  }

  std::size_t n_sink_;
  std::size_t lag_;
};

}  // namespace

/// Options: n_sink 4, lag 128.
std::unique_ptr<Policy> make_lagkv(PolicyOptions& options) {
  return std::make_unique<LagKv>(options.whole("n_sink", 4), options.whole("lag", 128, 1));
}

}  // namespace longshadow
