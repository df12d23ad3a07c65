#include <algorithm>
#include <vector>

#include "engine/cuda/launch.h"
#include "engine/cuda/product.h"
#include "engine/ops/common/logit_cap_cuda.h"
#include "engine/ops/common/paired_rows_cuda.h"
#include "engine/ops/common/vocabulary_tile_cuda.h"
#include "engine/ops/divergence/kl_divergence.h"

// For a tile of the vocabulary the change of all logits is one product and the full pass's logits
// are another, of rows that many streams may share; a kernel takes a row of each. Probabilities are
// made on the way, because reading logits takes longer than exp.
namespace longshadow {
namespace {

/// Full rows whose logits exist at a time.
constexpr std::size_t kFullRows = 4096;

/// Terms that a lane sums in T before it goes on in f64.
constexpr std::size_t kTermsInT = 32;

/// e^x - 1 - x without cancellation: for small x x²/2! + x³/3! + ..., whose first dropped term is
/// below 2^-26 and 2^-55 of the first. e^x is cut where it would overflow.
template <class T>
__device__ T exp_minus_linear(T x) {
  if (!(x < T(0.5) && x > T(-0.5)))
    return expm1(x < kLargestExponent<T> ? x : kLargestExponent<T>) - x;
  constexpr int kLast = sizeof(T) == 4 ? 9 : 16;
  T sum = 1;
  for (int i = kLast; i > 2; --i) sum = 1 + sum * x / static_cast<T>(i);
  return x * x / 2 * sum;
}

/// A warp a pair of rows: a near E_p[d]; hidden: full rows.
template <class T, class P>
__global__ void shift_kernel(MatrixView<const T> output, MatrixView<const P> delta,
                             MatrixView<const T> hidden, double cap, NumberedPairs pairs,
                             std::size_t n_rows, const std::int32_t* likeliest,
                             std::size_t first_full_row, T* shifts) {
  if (global_warp() >= n_rows) return;
  const NumberedPairs::Found at = pairs.find(global_warp());
  const auto token = static_cast<std::size_t>(likeliest[at.full_row - first_full_row]);
  double shift = warp_dot(output.row(token), delta.row(at.row), delta.cols);
  if (cap != 0) {
    const double logit = warp_dot(output.row(token), hidden.row(at.full_row), hidden.cols);
    shift = capped_change(tanh(logit / cap), shift, cap);
  }
  if (lane() == 0) shifts[at.row] = static_cast<T>(shift);
}

/// A warp a pair of rows, those whose full rows are [first_full_row, first_full_row + tanhs.rows):
/// changes [rows, tokens] become those of capped logits.
template <class T>
__global__ void cap_changes_kernel(MatrixView<const T> tanhs, MatrixView<T> changes,
                                   NumberedPairs pairs, std::size_t n_rows,
                                   std::size_t first_full_row, T cap) {
  if (global_warp() >= n_rows) return;
  const NumberedPairs::Found at = pairs.find(global_warp());
  if (at.full_row < first_full_row || at.full_row >= first_full_row + tanhs.rows) return;
  const T* const t = tanhs.row(at.full_row - first_full_row);
  T* const d = changes.row(at.row);
  for (std::size_t i = lane(); i < tanhs.cols; i += kWarp) d[i] = capped_change(t[i], d[i], cap);
}

/// A warp a pair of rows, those whose full rows are [first_full_row, first_full_row + logits.rows);
/// changes [rows, tokens].
template <class T>
__global__ void moments_kernel(MatrixView<const T> logits, MatrixView<const T> changes,
                               NumberedPairs pairs, std::size_t n_rows,
                               const double* log_normalisers, std::size_t first_full_row,
                               const T* shifts, KlMoments* moments) {
  if (global_warp() >= n_rows) return;
  const NumberedPairs::Found at = pairs.find(global_warp());
  if (at.full_row < first_full_row || at.full_row >= first_full_row + logits.rows) return;
  const T* const logit = logits.row(at.full_row - first_full_row);
  const T* const d = changes.row(at.row);
  const T log_normaliser = static_cast<T>(log_normalisers[at.full_row - first_full_row]);
  const T a = shifts[at.row];
  KlMoments total;
  for (std::size_t begin = 0; begin < logits.cols; begin += kWarp * kTermsInT) {
    const std::size_t end =
        begin + kWarp * kTermsInT < logits.cols ? begin + kWarp * kTermsInT : logits.cols;
    T mass = 0, linear = 0, remainder = 0;
    for (std::size_t i = begin + lane(); i < end; i += kWarp) {
      const T p = exp(logit[i] - log_normaliser);
      const T c = d[i] - a;
      mass += p;
      linear += p * c;
      remainder += p * exp_minus_linear(c);
    }
    total.mass += static_cast<double>(mass);
    total.linear += static_cast<double>(linear);
    total.remainder += static_cast<double>(remainder);
  }
  total = {warp_sum(total.mass), warp_sum(total.linear), warp_sum(total.remainder)};
  if (lane() == 0) {
    KlMoments& into = moments[at.row];
    into = {into.mass + total.mass, into.linear + total.linear, into.remainder + total.remainder};
  }
}

/// From the first full row of any pair to behind the last one.
Range full_rows_of(std::span<const PairedRows> pairs) {
  Range rows{pairs.front().full_row, 0};
  for (const PairedRows& pair : pairs) {
    rows.begin = std::min(rows.begin, pair.full_row);
    rows.end = std::max(rows.end, pair.full_row + pair.n_rows);
  }
  return rows;
}

template <class T, class P>
void kl_divergence_on_cuda(Cuda& device, const OutputWeights<T>& output,
                           const FullPredictions<T>& full, MatrixView<const P> delta,
                           std::span<const PairedRows> streams, std::span<double> kl_nats) {
  const PairsOnDevice pairs(device, streams);
  const Range full_rows = full_rows_of(streams);
  const DeviceArray<double> log_normalisers(
      device, full.log_normalisers.subspan(full_rows.begin, full_rows.size()));
  const DeviceArray<std::int32_t> likeliest(
      device, full.likeliest.subspan(full_rows.begin, full_rows.size()));
  const DeviceArray<T> shifts(device, delta.rows);
  launch_rows(device, shift_kernel<T, P>, pairs.n_rows(), output.rows, delta, full.hidden,
              output.logit_cap, pairs.view(), pairs.n_rows(), likeliest.data(), full_rows.begin,
              shifts.data());

  const std::vector<KlMoments> nothing(delta.rows);
  const DeviceArray<KlMoments> moments(device, std::span<const KlMoments>(nothing));
  const std::size_t widest = std::min(kVocabularyTile, output.rows.rows);
  const DeviceArray<T> change_tile(device, delta.rows * widest);
  const std::size_t logit_elements = std::min(kFullRows, full_rows.size()) * widest;
  const DeviceArray<T> logit_tile(device, logit_elements);
  const DeviceArray<T> tanh_tile(device, output.logit_cap == 0 ? 0 : logit_elements);
  for_each_vocabulary_tile(output.rows.rows, [&](const Range& tokens) {
    const MatrixView<T> changes = change_tile.rows(delta.rows, tokens.size());
    product(device, delta,
            output.delta_packed.rows().row_range(tokens.begin, tokens.size()).template as<P>(),
            RightFactor::by_output, changes, false);
    for (std::size_t first = full_rows.begin; first < full_rows.end; first += kFullRows) {
      const std::size_t count = std::min(kFullRows, full_rows.end - first);
      const MatrixView<T> logits = logit_tile.rows(count, tokens.size());
      product(device, full.hidden.row_range(first, count),
              output.packed.rows().row_range(tokens.begin, tokens.size()).template as<T>(),
              RightFactor::by_output, logits, false);
      if (output.logit_cap != 0) {
        const MatrixView<T> tanhs = tanh_tile.rows(count, tokens.size());
        cap_logits(device, logits, output.logit_cap, tanhs);
        launch_rows(device, cap_changes_kernel<T>, pairs.n_rows(), MatrixView<const T>(tanhs),
                    changes, pairs.view(), pairs.n_rows(), first, static_cast<T>(output.logit_cap));
      }
      launch_rows(device, moments_kernel<T>, pairs.n_rows(), MatrixView<const T>(logits),
                  MatrixView<const T>(changes), pairs.view(), pairs.n_rows(),
                  log_normalisers.data() + (first - full_rows.begin), first, shifts.data(),
                  moments.data());
    }
  });
  const std::vector<KlMoments> sums = moments.on_host();
  for (const PairedRows& stream : streams) {
    for (std::size_t row = stream.first_row; row < stream.first_row + stream.n_rows; ++row) {
      kl_nats[row] = sums[row].kl_nats();
    }
  }
}

}  // namespace

void implement_kl_divergence() {
  KlDivergenceKernel::implement([](Cuda& device, const OutputWeightsView& output,
                                   const FullPredictionsView& full, ConstTensorView delta,
                                   std::span<const PairedRows> streams, std::span<double> kl_nats) {
    with_precisions("kl_divergence", full.hidden.element, delta.element, [&]<class T, class P>() {
      kl_divergence_on_cuda<T, P>(device, output.as<T>(), full.as<T>(), delta.as<P>(), streams,
                                  kl_nats);
    });
  });
}

}  // namespace longshadow
