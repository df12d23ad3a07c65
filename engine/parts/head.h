#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/config/config.h"
#include "engine/core/matrix.h"
#include "engine/parts/norm.h"
#include "engine/parts/weight_loader.h"

namespace longshadow {

/// What comes behind the layers: hidden = norm(x), logits = hidden outputᵀ. What is asked of the
/// logits (predict(), kl_divergence(), fisher_probes()) never holds them as a whole.
template <class T>
struct Head {
  Norm<T> norm;
  Matrix<T> untied_output;         ///< [V, D], or [0, 0] where it is the embedding's table
  MatrixView<const T> output;      ///< [V, D], of either
  PackedWeights<T> packed_output;  ///< output

  static void add_names(const ModelConfig& config, std::vector<WeightName>& table) {
    table.push_back({WeightKind::final_norm, 0, 1, config.hidden_size, "output_norm.weight",
                     "model.norm.weight"});
    if (config.tied_embeddings) return;
    table.push_back({WeightKind::output, 0, config.vocab_size, config.hidden_size, "output.weight",
                     "lm_head.weight"});
  }

  /// `embedding` [V, D] must outlive the head where the output is tied to it.
  template <class Device>
  static Head load(const WeightLoader<Device, T, T>& load, const ModelConfig& config,
                   MatrixView<const T> embedding) {
    Matrix<T> untied = load.plain(WeightKind::output);
    const MatrixView<const T> output =
        config.tied_embeddings ? embedding : std::as_const(untied).view();
    return {{load.plain(WeightKind::final_norm), config.norm_epsilon},
            std::move(untied),
            output,
            pack_view(load.device(), output)};
  }
};

}  // namespace longshadow
