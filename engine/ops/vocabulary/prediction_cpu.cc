#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/core/range.h"
#include "engine/ops/common/dot.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/logit_cap.h"
#include "engine/ops/common/tile_scratch.h"
#include "engine/ops/vocabulary/largest_seen.h"
#include "engine/ops/vocabulary/prediction.h"

namespace longshadow {
namespace {

/// Parts of the vocabulary that tasks work on beside one another.
constexpr std::size_t kSegments = 16;

/// Sums over the logits seen so far, relative to their maximum m.
struct PartialPrediction {
  double maximum = -std::numeric_limits<double>::infinity();
  double sum = 0;           ///< of e^(l - m)
  double weighted_sum = 0;  ///< of (l - m) e^(l - m)
  std::int32_t likeliest = 0;
  LargestSeen<double> top;  ///< logits

  explicit PartialPrediction(std::size_t k) : top(k, maximum) {}

  void rescale(double new_maximum) {
    if (maximum == -std::numeric_limits<double>::infinity()) {
      maximum = new_maximum;
      return;
    }
    const double shift = maximum - new_maximum;
    const double factor = std::exp(shift);
    weighted_sum = factor * (weighted_sum + shift * sum);
    sum *= factor;
    maximum = new_maximum;
  }

  void merge(const PartialPrediction& later) {
    if (later.maximum > maximum) {
      likeliest = later.likeliest;
      rescale(later.maximum);
    }
    const double shift = later.maximum - maximum;
    const double factor = std::exp(shift);
    weighted_sum += factor * (later.weighted_sum + shift * later.sum);
    sum += factor * later.sum;
    top.offer(later.top);
  }
};

template <class T>
LONGSHADOW_PER_CPU T row_maximum(const T* logits, std::size_t cols) {
  Lanes<T> highest = load(logits);
  for (std::size_t c = kLanes<T>; c < cols; c += kLanes<T>) {
    highest = maximum<T>(highest, load(logits + c));
  }
  return largest<T>(highest);
}

/// Adds e^(l - m) and (l - m) e^(l - m) over a row; a logit of -infinity adds nothing.
template <class T>
LONGSHADOW_PER_CPU void add_exponentials(const T* logits, std::size_t cols, T row_maximum,
                                         double* total, double* weighted_total) {
  Lanes<T> plain{};
  Lanes<T> weighted{};
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const Lanes<T> shifted = load(logits + c) - row_maximum;
    const Lanes<T> weight = exp<T>(shifted);
    plain += weight;
    weighted += weight > 0 ? shifted * weight : Lanes<T>{};
  }
  *total += sum<T>(plain);
  *weighted_total += sum<T>(weighted);
}

template <class T>
void absorb(const T* logits, std::size_t cols, std::size_t first_token, PartialPrediction& into) {
  const T tile_maximum = row_maximum(logits, cols);
  if (static_cast<double>(tile_maximum) > into.maximum) {
    const T* at = std::find(logits, logits + cols, tile_maximum);
    into.likeliest = static_cast<std::int32_t>(first_token + (at - logits));
    into.rescale(static_cast<double>(tile_maximum));
  }
  if (into.maximum == -std::numeric_limits<double>::infinity()) {  // nothing to be relative to
    if (std::any_of(logits, logits + cols, [](T logit) { return std::isnan(logit); })) {
      into.sum = std::numeric_limits<double>::quiet_NaN();
    }
    return;
  }
  add_exponentials(logits, cols, static_cast<T>(into.maximum), &into.sum, &into.weighted_sum);
  if (static_cast<double>(tile_maximum) > into.top.threshold()) {
    for (std::size_t c = 0; c < cols; ++c) into.top.offer(static_cast<double>(logits[c]));
  }
}

double entropy_of(std::vector<double> logits) {
  if (logits.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double maximum = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  double weighted_sum = 0;
  std::sort(logits.begin(), logits.end());
  for (const double logit : logits) {
    sum += std::exp(logit - maximum);
    weighted_sum += (logit - maximum) * std::exp(logit - maximum);
  }
  return std::log(sum) - weighted_sum / sum;
}

void check_predict(ConstTensorView hidden, ConstTensorView output,
                   const PackedWeights& packed_output, std::span<const std::int32_t> targets,
                   std::size_t k, std::span<Prediction> predictions) {
  constexpr const char* kName = "predict";
  require_shape(kName, "hidden", hidden, hidden.rows, output.cols);
  require_multiple(kName, "hidden.rows", hidden.rows, kRowTile);
  require_weights(kName, "packed_output", packed_output, output.rows, output.cols);
  require_at_most(kName, "predictions.size()", predictions.size(), hidden.rows);
  require_equal(kName, "targets.size()", targets.size(), predictions.size());
  require_below(kName, "targets", targets, output.rows);
  require_at_least(kName, "k", k, 1);
  require_at_most(kName, "k", k, output.rows);
}

template <class T>
void predict_on_cpu(Cpu& device, MatrixView<const T> hidden, MatrixView<const T> output,
                    const PackedWeights& packed_output, double logit_cap,
                    std::span<const std::int32_t> targets, std::size_t k,
                    std::span<Prediction> predictions) {
  struct Logits;
  const std::size_t row_tiles = round_up(predictions.size(), kRowTile) / kRowTile;
  const std::size_t n_tiles = packed_output.n_tiles();
  std::vector<PartialPrediction> partial(kSegments * row_tiles * kRowTile, PartialPrediction(k));
  device.parallel_for(kSegments * row_tiles, [&](std::size_t task) {
    const std::size_t segment = task / row_tiles;
    const std::size_t first_row = task % row_tiles * kRowTile;
    const std::size_t used_rows = std::min(kRowTile, predictions.size() - first_row);
    for (std::size_t tile = segment * n_tiles / kSegments;
         tile < (segment + 1) * n_tiles / kSegments; ++tile) {
      const std::size_t cols = packed_output.padded_width(tile);
      const MatrixView<T> logits = tile_scratch<T, Logits>(device, kRowTile, cols);
      packed_output.multiply_tile(tile, hidden.row_range(first_row, kRowTile), logits);
      for (std::size_t r = 0; r < used_rows; ++r) {
        if (logit_cap != 0) cap_logits(logits.row(r), cols, logit_cap);
        std::fill(logits.row(r) + packed_output.tile_width(tile), logits.row(r) + cols,
                  -std::numeric_limits<T>::infinity());
        absorb(logits.row(r), cols, packed_output.tile_begin(tile),
               partial[(segment * row_tiles * kRowTile) + first_row + r]);
      }
    }
  });
  device.parallel_for(predictions.size(), [&](std::size_t row) {
    PartialPrediction total = std::move(partial[row]);
    for (std::size_t segment = 1; segment < kSegments; ++segment) {
      const PartialPrediction& part = partial[segment * row_tiles * kRowTile + row];
      if (part.sum != 0) total.merge(part);  // NaN is one
    }
    Prediction& prediction = predictions[row];
    prediction.log_normaliser = total.maximum + std::log(total.sum);
    prediction.entropy = std::log(total.sum) - total.weighted_sum / total.sum;
    prediction.entropy_top_k = entropy_of(std::move(total.top).finish());
    prediction.likeliest = total.likeliest;
    const T* target = output.row(static_cast<std::size_t>(targets[row]));
    prediction.target_surprisal =
        prediction.log_normaliser -
        capped_logit(dot_in_f64(hidden.row(row), target, hidden.cols), logit_cap);
  });
}

}  // namespace

template <class T>
double entropy_of_top_k(std::span<const T> logits, std::size_t k) {
  require_at_least("entropy_of_top_k", "k", k, 1);
  std::vector<double> top;
  for (const T logit : logits) {
    if (!std::isnan(logit)) top.push_back(static_cast<double>(logit));
  }
  if (top.empty()) return entropy_of({});
  const auto end = top.begin() + static_cast<std::ptrdiff_t>(std::min(k, top.size()));
  std::nth_element(top.begin(), end - 1, top.end(), std::greater<>());
  return entropy_of({top.begin(), end});
}

template double entropy_of_top_k(std::span<const float>, std::size_t);
template double entropy_of_top_k(std::span<const double>, std::size_t);

void predict(Device& device, ConstTensorView hidden, ConstTensorView output,
             const PackedWeights& packed_output, double logit_cap,
             std::span<const std::int32_t> targets, std::size_t k,
             std::span<Prediction> predictions) {
  check_predict(hidden, output, packed_output, targets, k, predictions);
  if (PredictKernel::ran_elsewhere(device, hidden, output, packed_output, logit_cap, targets, k,
                                   predictions)) {
    return;
  }
  with_element<float, double>("predict", hidden.element, [&]<class T>() {
    predict_on_cpu<T>(cpu_of(device), hidden.as<T>(), output.as<T>(), packed_output, logit_cap,
                      targets, k, predictions);
  });
}

}  // namespace longshadow
