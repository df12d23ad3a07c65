#include "probes/measure/counterfactual.h"

#include <algorithm>

namespace longshadow {

BatchRemovals::BatchRemovals(std::span<const Counterfactual> batch, std::size_t n_layers,
                             std::size_t n_kv_heads)
    : n_kv_heads_(n_kv_heads), first_layer_(n_layers) {
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    for (const Counterfactual& one : batch) {
      for (std::size_t kv_head = 0; kv_head < n_kv_heads; ++kv_head) {
        columns_.push_back(one.removed.ranges(layer, kv_head));
        if (!columns_.back().empty()) first_layer_ = std::min(first_layer_, layer);
      }
    }
  }
}

}  // namespace longshadow
