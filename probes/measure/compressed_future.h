#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/kv/compressed_cache.h"
#include "engine/model/full_pass.h"
#include "engine/model/weights.h"

namespace longshadow {

/// The predictions of the future on one compressed cache, H positions long.
struct FutureOnCache {
  std::vector<double> kl;          ///< [H] nats, KL(full || compressed)
  std::vector<std::uint8_t> top1;  ///< [H] 1 where both have the same likeliest next token
  std::vector<float> surprisal;  ///< [H] nats, of the next token; NaN for the last, which has none
  std::size_t bytes = 0;         ///< of the cache's keys and values
};

/// Runs the tokens behind a context on compressions of the context's cache: the caches hold what
/// was kept and nothing else. Compressions share the rows of every matrix product.
class CompressedFuture {
 public:
  /// References must outlive it. The full pass is over `context` tokens and the horizon's behind
  /// them; at most `max_batch` compressions run at once.
  CompressedFuture(Device& device, const Weights& weights, const FullPass& full,
                   std::size_t context, std::size_t horizon, std::size_t max_batch);

  std::vector<FutureOnCache> run(std::span<const Compression> batch);

 private:
  Device& device_;
  const Weights& weights_;
  const FullPass& full_;
  std::size_t context_;
  std::size_t horizon_;
  LayerWalk walk_;
  Tensor hidden_;  ///< [padded rows + kRowTile, D]
};

}  // namespace longshadow
