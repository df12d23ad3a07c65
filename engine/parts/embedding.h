#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/config/config.h"
#include "engine/core/tensor.h"
#include "engine/ops/common/rows.h"
#include "engine/parts/weight_loader.h"

namespace longshadow {

/// Where a token's residual stream begins.
struct Embedding {
  Tensor table;  ///< [V, D]
  double scale;  ///< what the tokens' rows are multiplied with, in the table's type

  static void add_names(const ModelConfig& config, std::vector<WeightName>& table) {
    table.push_back({WeightKind::token_embedding, 0, config.vocab_size, config.hidden_size,
                     "token_embd.weight", "model.embed_tokens.weight"});
  }

  /// The first rows of x [tokens.size() or more, D] become the tokens'.
  void forward(Device& device, std::span<const std::int32_t> tokens, TensorView x) const {
    gather_rows(device, table.view(), tokens, x);
    if (scale != 1) scale_rows(device, scale, x.row_range(0, tokens.size()));
  }
};

}  // namespace longshadow
