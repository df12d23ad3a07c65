#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/kv/kv_cache.h"
#include "engine/model/layer_walk.h"
#include "engine/model/weights.h"
#include "engine/ops/vocabulary/prediction.h"

namespace longshadow {

/// Document tokens that the full pass takes through the layers at a time.
inline constexpr std::size_t kPrefillChunk = 512;

/// The teacher-forced run over a whole document with nothing removed.
struct FullPass {
  std::vector<std::int32_t> tokens;  ///< n
  /// [L] of [d / 2], radians per position: keys were rotated by them.
  std::vector<std::vector<double>> frequencies;
  RotaryTables rotary;  ///< n positions
  KvCache cache;        ///< n positions
  Tensor hidden;        ///< [n + padding, D], after the final norm
  /// n, zeros where none was asked for; the last one's target is token 0 for want of another.
  std::vector<Prediction> predictions;
  std::vector<double> log_normalisers;  ///< n, the predictions'
  std::vector<std::int32_t> likeliest;  ///< n, the predictions'
  /// [L] of [n, k], the experts that each position goes to, empty in layers without experts; [0]
  /// where the model has none.
  std::vector<std::vector<std::int32_t>> experts;
};

struct FullPassOptions {
  std::size_t entropy_top_k = 20;
  /// Positions a row tile and more before it get no prediction, which saves their product with the
  /// output matrix.
  std::size_t predict_from = 0;
  /// The length of the whole text where more is to follow, else 0: dynamic rotary scaling and
  /// longrope go by it.
  std::size_t text_tokens = 0;
  /// Called after each chunk with the number of tokens done.
  std::function<void(std::size_t)> progress = [](std::size_t) {};
};

/// Memory grows linearly with n: 2 L n K d + n D elements stay, and chunks have a fixed size.
FullPass run_full_pass(Device& device, const Weights& weights, std::span<const std::int32_t> tokens,
                       std::span<LayerObserver* const> observers, const FullPassOptions& options);

}  // namespace longshadow
