#include <algorithm>
#include <vector>

#include "engine/cuda/launch.h"
#include "engine/cuda/product.h"
#include "engine/ops/common/logit_cap.h"
#include "engine/ops/common/logit_cap_cuda.h"
#include "engine/ops/common/vocabulary_tile_cuda.h"
#include "engine/ops/vocabulary/prediction.h"
#include "engine/ops/vocabulary/top_k_cuda.h"

namespace longshadow {
namespace {

/// The sums of each row over the logits seen so far.
template <class T>
struct Partial {
  T* maxima;
  double* sums;           ///< of e^(l - maximum)
  double* weighted_sums;  ///< of (l - maximum) e^(l - maximum)
  std::int32_t* likeliest;
  T* top;  ///< [rows, k], as offer_top_k() keeps them
};

template <class T>
__global__ void begin_kernel(Partial<T> partial, std::size_t rows) {
  const std::size_t r = global_thread();
  if (r >= rows) return;
  partial.maxima[r] = kNothing<T>;
  partial.sums[r] = 0;
  partial.weighted_sums[r] = 0;
  partial.likeliest[r] = 0;
}

/// A warp a row: a tile of logits of the tokens from first_token on.
template <class T>
__global__ void absorb_kernel(MatrixView<const T> logits, int first_token, int k,
                              Partial<T> partial) {
  const std::size_t r = global_warp();
  if (r >= logits.rows) return;
  const T* const row = logits.row(r);
  const int width = static_cast<int>(logits.cols);
  Entry<T> best{kNothing<T>, 2147483647};
  for (int c = static_cast<int>(lane()); c < width; c += kWarp) {
    if (row[c] > best.value) best = {row[c], c};
  }
  best = warp_first_largest(best);
  const T before = __shfl_sync(kAllLanes, lane() == 0 ? partial.maxima[r] : T{0}, 0);
  const T maximum = best.value > before ? best.value : before;
  double sum = 0, weighted = 0;
  for (int c = static_cast<int>(lane()); c < width; c += kWarp) {
    const T shifted = row[c] - maximum;
    const T weight = row[c] == kNothing<T> ? T{0} : exp(shifted);
    sum += static_cast<double>(weight);
    if (weight > 0) weighted += static_cast<double>(shifted * weight);
  }
  sum = warp_sum(sum);
  weighted = warp_sum(weighted);
  if (lane() == 0) {
    if (best.value > before) partial.likeliest[r] = first_token + best.index;
    if (before != kNothing<T> || partial.sums[r] != 0) {  // a sum that is NaN stays
      const double shift = static_cast<double>(before) - static_cast<double>(maximum);
      weighted += exp(shift) * (partial.weighted_sums[r] + shift * partial.sums[r]);
      sum += exp(shift) * partial.sums[r];
    }
    partial.maxima[r] = maximum;
    partial.sums[r] = sum;
    partial.weighted_sums[r] = weighted;
  }
  offer_top_k(row, width, first_token, k, partial.top + r * static_cast<std::size_t>(k));
}

/// A warp a row: the target's logit.
template <class T>
__global__ void target_kernel(MatrixView<const T> hidden, MatrixView<const T> output,
                              const std::int32_t* targets, std::size_t rows, double* logits) {
  const std::size_t r = global_warp();
  if (r >= rows) return;
  const double logit =
      warp_dot(hidden.row(r), output.row(static_cast<std::size_t>(targets[r])), hidden.cols);
  if (lane() == 0) logits[r] = logit;
}

template <class T>
void predict_on_cuda(Cuda& device, MatrixView<const T> hidden, MatrixView<const T> output,
                     const PackedWeights& packed_output, double logit_cap,
                     std::span<const std::int32_t> targets, std::size_t k,
                     std::span<Prediction> predictions) {
  const std::size_t rows = predictions.size();
  const DeviceArray<T> maxima(device, rows), top(device, rows * k);
  const DeviceArray<double> sums(device, rows), weighted_sums(device, rows);
  const DeviceArray<std::int32_t> likeliest(device, rows);
  const Partial<T> partial{maxima.data(), sums.data(), weighted_sums.data(), likeliest.data(),
                           top.data()};
  launch_elements(device, begin_kernel<T>, rows, partial, rows);

  const DeviceArray<T> logits(device, rows * std::min(kVocabularyTile, output.rows));
  for_each_vocabulary_tile(output.rows, [&](const Range& tokens) {
    const MatrixView<T> tile = logits.rows(rows, tokens.size());
    product(device, hidden.row_range(0, rows),
            packed_output.rows().row_range(tokens.begin, tokens.size()).template as<T>(),
            RightFactor::by_output, tile, false);
    cap_logits(device, tile, logit_cap);
    launch_rows(device, absorb_kernel<T>, rows, MatrixView<const T>(tile),
                static_cast<int>(tokens.begin), static_cast<int>(k), partial);
  });
  const DeviceArray<std::int32_t> targets_there(device, targets.first(rows));
  const DeviceArray<double> target_logits(device, rows);
  launch_rows(device, target_kernel<T>, rows, hidden, output, targets_there.data(), rows,
              target_logits.data());

  const std::vector<T> maximum = maxima.on_host(), tops = top.on_host();
  const std::vector<double> sum = sums.on_host(), weighted_sum = weighted_sums.on_host();
  const std::vector<double> target_logit = target_logits.on_host();
  const std::vector<std::int32_t> token = likeliest.on_host();
  for (std::size_t r = 0; r < rows; ++r) {
    Prediction& prediction = predictions[r];
    prediction.log_normaliser = static_cast<double>(maximum[r]) + std::log(sum[r]);
    prediction.entropy = std::log(sum[r]) - weighted_sum[r] / sum[r];
    prediction.entropy_top_k = entropy_of_top_k(std::span(tops).subspan(r * k, k), k);
    prediction.likeliest = token[r];
    prediction.target_surprisal =
        prediction.log_normaliser - capped_logit(target_logit[r], logit_cap);
  }
}

}  // namespace

void implement_predict() {
  PredictKernel::implement([](Cuda& device, ConstTensorView hidden, ConstTensorView output,
                              const PackedWeights& packed_output, double logit_cap,
                              std::span<const std::int32_t> targets, std::size_t k,
                              std::span<Prediction> predictions) {
    with_element<float, double>("predict", hidden.element, [&]<class T>() {
      predict_on_cuda<T>(device, hidden.as<T>(), output.as<T>(), packed_output, logit_cap, targets,
                         k, predictions);
    });
  });
}

}  // namespace longshadow
