#include <algorithm>
#include <numeric>

#include "engine/policies/policies.h"
#include "engine/policy/top_slots.h"
#include "engine/policy/wrapper.h"

namespace longshadow {
namespace {

/// Whole chunks of consecutive tokens, the same in every KV head, so that phrases stay together
/// (Liu et al. 2025, ChunkKV: Semantic-Preserving KV Cache Compression, arXiv 2502.00299).
class ChunkKv final : public Wrapper {
 public:
  ChunkKv(std::unique_ptr<Policy> scorer, std::size_t length)
      : Wrapper(std::move(scorer)), length_(length) {}

  std::vector<KeptSlots> select(std::span<const TokenScores> layers,
                                const SlotBudget& budget) const override {
    if (layers.front().n() < length_) return Wrapper::select(layers, budget);
    std::vector<KeptSlots> kept;
    for (const TokenScores& scores : layers) {
      kept.push_back(whole_chunks(scores, budget.compression));
    }
    return kept;
  }

 private:
  KeptSlots whole_chunks(const TokenScores& scores, double compression) const {
    const std::size_t n = scores.n();
    const std::vector<double> of_chunks = chunk_scores(scores);
    std::vector<std::uint32_t> slots;
    for (const std::size_t chunk : top_slots(of_chunks, n_kept(of_chunks.size(), compression))) {
      const std::size_t end = std::min((chunk + 1) * length_, n);
      for (std::size_t slot = chunk * length_; slot < end; ++slot) {
        slots.push_back(static_cast<std::uint32_t>(slot));
      }
    }
    return {n, std::vector<std::vector<std::uint32_t>>(scores.n_kv_heads(), slots)};
  }

  /// The mean over a chunk's tokens of the sum over KV heads; the last chunk may be shorter.
  std::vector<double> chunk_scores(const TokenScores& scores) const {
    std::vector<double> of_chunks;
    for (std::size_t begin = 0; begin < scores.n(); begin += length_) {
      const std::size_t size = std::min(length_, scores.n() - begin);
      double sum = 0;
      for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
        const auto chunk = scores.head(head).subspan(begin, size);
        sum = std::accumulate(chunk.begin(), chunk.end(), sum);
      }
      of_chunks.push_back(sum / static_cast<double>(size));
    }
    return of_chunks;
  }

  std::size_t length_;
};

}  // namespace

/// Options: length 20, tokens in a chunk.
std::unique_ptr<Policy> make_chunkkv(PolicyOptions& options, std::unique_ptr<Policy> scorer) {
  return std::make_unique<ChunkKv>(std::move(scorer), options.whole("length", 20, 1));
}

}  // namespace longshadow
