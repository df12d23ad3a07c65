#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/backend/transfer.h"
#include "engine/config/config.h"
#include "engine/core/tensor.h"
#include "engine/parts/norm.h"
#include "engine/parts/weight_loader.h"

namespace longshadow {

/// The end of the model, behind the layers: hidden = norm(x), logits = hidden outputᵀ, which
/// capped_logit() may cap. What is asked of the logits (predict(), kl_divergence(),
/// fisher_probes()) never holds them as a whole.
struct Head {
  Norm norm;
  Tensor untied_output;         ///< [V, D], or [0, 0] where it is the embedding's table
  ConstTensorView output;       ///< [V, D], of either
  PackedWeights packed_output;  ///< output
  double logit_cap;             ///< 0: none

  static void add_names(const ModelConfig& config, std::vector<WeightName>& table) {
    table.push_back({WeightKind::final_norm, 0, 1, config.hidden_size, "output_norm.weight",
                     "model.norm.weight"});
    if (config.tied_embeddings) return;
    table.push_back({WeightKind::output, 0, config.vocab_size, config.hidden_size, "output.weight",
                     "lm_head.weight"});
  }

  /// `embedding` [V, D] must outlive the head where the output is tied to it.
  static Head load(const WeightLoader& load, const ModelConfig& config, ConstTensorView embedding) {
    Tensor untied = load.plain(WeightKind::output);
    const ConstTensorView output = config.tied_embeddings ? embedding : untied.view();
    return {{load.norm_weight(WeightKind::final_norm), config.norm_epsilon},
            std::move(untied),
            output,
            pack_view(load.device(), output),
            config.logit_cap};
  }
};

}  // namespace longshadow
