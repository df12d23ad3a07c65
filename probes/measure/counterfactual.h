#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/ops/attention/removed_columns.h"
#include "probes/measure/removal.h"

namespace longshadow {

/// The question what would have been predicted had the tokens `removed`, all below `start`,
/// vanished from the KV cache before position `start`. The keys that stay keep their rotary
/// positions, and the positions from start on keep their true ones.
struct Counterfactual {
  Removal removed;
  std::size_t start;
};

/// The columns that the counterfactuals of a batch remove, as attention takes them. Refers to the
/// batch.
class BatchRemovals {
 public:
  BatchRemovals(std::span<const Counterfactual> batch, std::size_t n_layers,
                std::size_t n_kv_heads);

  /// Gives stream b of each layer the columns that counterfactual b removes there.
  template <class StreamType>
  void apply(std::size_t layer, std::vector<StreamType>& streams) const {
    const std::span<const RemovedColumns> columns(columns_);
    for (std::size_t b = 0; b < streams.size(); ++b) {
      streams[b].removed = columns.subspan((layer * streams.size() + b) * n_kv_heads_, n_kv_heads_);
    }
  }

  /// The first layer in which any of them removes a token; L where none does.
  std::size_t first_layer() const { return first_layer_; }

 private:
  std::size_t n_kv_heads_;
  std::size_t first_layer_;
  std::vector<RemovedColumns> columns_;  ///< [L, batch, K]
};

/// Runs counterfactuals in batches that share the full pass's keys and values: B counterfactuals of
/// horizon H are B H rows of every matrix product.
class CounterfactualEngine {
 public:
  virtual ~CounterfactualEngine() = default;

  /// kl_nats [batch.size(), H]: KL(full || evicted) at position start + h. rerouted, empty or
  /// [batch.size(), L]: the share of a counterfactual's rows that go to other experts of the layer
  /// than in the full pass; 0 in a layer without experts.
  virtual void run(std::span<const Counterfactual> batch, std::span<double> kl_nats,
                   std::span<double> rerouted) = 0;
  void run(std::span<const Counterfactual> batch, std::span<double> kl_nats) {
    run(batch, kl_nats, {});
  }
};

}  // namespace longshadow
