#include <algorithm>
#include <type_traits>

#include "engine/cuda/launch.h"
#include "engine/cuda/product.h"
#include "engine/ops/common/logit_cap_cuda.h"
#include "engine/ops/common/paired_rows_cuda.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/common/vocabulary_tile_cuda.h"
#include "engine/ops/divergence/fisher_probes.h"
#include "engine/ops/divergence/random_bits.h"

// A tile of the vocabulary at a time: the probabilities of all rows, shared by the streams, and of
// each stream the same with its signs, become two products with the tile's outputs.
namespace longshadow {
namespace {

/// The most bytes that a tile's probabilities and signed roots take.
constexpr std::size_t kScratchBytes = std::size_t{256} << 20;

/// Tokens whose p is also summed, for the search for a sampled token.
constexpr std::size_t kMassTokens = 512;
static_assert(kVocabularyTile % kMassTokens == 0);

std::size_t mass_tiles(std::size_t tokens) { return (tokens + kMassTokens - 1) / kMassTokens; }

/// A warp for kMassTokens of a row: logits -> sqrt(p), and p apart; masses [rows, all mass tiles].
template <class T>
__global__ void probability_kernel(MatrixView<T> logits, MatrixView<T> p,
                                   const double* log_normalisers, MatrixView<double> masses,
                                   std::size_t first_mass) {
  const std::size_t parts = (logits.cols + kMassTokens - 1) / kMassTokens;
  const std::size_t r = global_warp() / parts, part = global_warp() % parts;
  if (r >= logits.rows) return;
  const T log_normaliser = static_cast<T>(log_normalisers[r]);
  const std::size_t begin = part * kMassTokens;
  const std::size_t end = begin + kMassTokens < logits.cols ? begin + kMassTokens : logits.cols;
  T mass = 0;
  for (std::size_t c = begin + lane(); c < end; c += kWarp) {
    const T root = exp((logits.row(r)[c] - log_normaliser) * T(0.5));
    logits.row(r)[c] = root;
    p.row(r)[c] = root * root;
    mass += root * root;
  }
  const double sum = warp_sum(static_cast<double>(mass));
  if (lane() == 0) masses.row(r)[first_mass + part] = sum;
}

/// Full rows [full_row, full_row + n) of streams, at [first, first + n) of each.
struct StreamRows {
  NumberedPairs streams;
  std::size_t first;
  std::size_t n;
  std::size_t full_row;

  __device__ std::size_t batch_row(std::size_t stream, std::size_t r) const {
    return streams.pairs[stream].rows.first_row + first + r;
  }
  __device__ RandomBits random_bits(const ProbeDraws& draws, std::size_t stream,
                                    std::size_t r) const {
    return {draws.seed, draws.first_draw + stream, full_row + r};
  }
};

/// A thread an element: x [rows, tokens] times the derivative of the capped logit.
template <class T>
__global__ void slope_kernel(MatrixView<const T> tanhs, MatrixView<T> x) {
  const std::size_t i = global_thread();
  if (i >= x.rows * x.cols) return;
  x.row(i / x.cols)[i % x.cols] *= cap_slope(tanhs.row(i / x.cols)[i % x.cols]);
}

/// A warp a row of signed_roots [streams n, tokens]: roots [n, tokens] with each stream's signs.
/// totals [streams n] gain their sums. Where tanhs has rows, signed_roots are multiplied by the
/// derivatives of the capped logits.
template <class T, class P>
__global__ void sign_kernel(MatrixView<const T> roots, MatrixView<const T> tanhs, StreamRows rows,
                            ProbeDraws draws, std::size_t first_token, MatrixView<P> signed_roots,
                            double* totals) {
  const std::size_t index = global_warp();
  if (index >= signed_roots.rows) return;
  const T* const row = roots.row(index % rows.n);
  const RandomBits random = rows.random_bits(draws, index / rows.n, index % rows.n);
  T total = 0;
  for (std::size_t c = lane(); c < roots.cols; c += kWarp) {
    const std::size_t token = first_token + c;
    const bool negative = (random.word(token / 64) >> (token % 64) & 1) != 0;
    const T value = negative ? -row[c] : row[c];
    const T slope = tanhs.rows == 0 ? T{1} : cap_slope(tanhs.row(index % rows.n)[c]);
    signed_roots.row(index)[c] = rounded<P>(slope * value);
    total += value;
  }
  const double sum = warp_sum(static_cast<double>(total));
  if (lane() == 0) totals[index] += sum;
}

/// to = sums - totals means, a thread an element of sums [streams n, D].
template <class T>
__global__ void finish_signs_kernel(MatrixView<const T> sums, MatrixView<const T> means,
                                    const double* totals, StreamRows rows, MatrixView<T> to) {
  const std::size_t i = global_thread();
  if (i >= sums.rows * sums.cols) return;
  const std::size_t index = i / sums.cols, c = i % sums.cols;
  to.row(rows.batch_row(index / rows.n, index % rows.n))[c] =
      sums.row(index)[c] - static_cast<T>(totals[index]) * means.row(index % rows.n)[c];
}

/// The token at which the cumulative sum of p passes `unit` of its total, for a whole warp.
template <class T>
__device__ std::size_t sampled_token(MatrixView<const T> output, const T* hidden, double cap,
                                     double log_normaliser, const double* masses,
                                     std::size_t n_masses, double unit) {
  double total = 0;
  for (std::size_t tile = 0; tile < n_masses; ++tile) total += masses[tile];
  double left = unit * total;
  std::size_t tile = 0;
  while (tile + 1 < n_masses && left >= masses[tile]) left -= masses[tile++];
  const std::size_t begin = tile * kMassTokens;
  const std::size_t end = begin + kMassTokens < output.rows ? begin + kMassTokens : output.rows;
  std::size_t likeliest = begin;
  double highest = 0;
  for (std::size_t token = begin; token < end; ++token) {
    double logit = warp_dot(hidden, output.row(token), output.cols);
    if (cap != 0) logit = cap * tanh(logit / cap);
    const double p = exp(logit - log_normaliser);
    if (left < p) return token;
    left -= p;
    if (p > highest) {
      highest = p;
      likeliest = token;
    }
  }
  return likeliest;  // rounding left a little over
}

/// to = ±(the sampled token's output - means), a warp a row of each stream.
template <class T>
__global__ void sample_kernel(MatrixView<const T> output, MatrixView<const T> hidden, double cap,
                              const double* log_normalisers, MatrixView<const double> masses,
                              MatrixView<const T> means, StreamRows rows, ProbeDraws draws,
                              MatrixView<T> to) {
  const std::size_t stream = global_warp() / rows.n, r = global_warp() % rows.n;
  if (stream >= rows.streams.n_pairs) return;
  const RandomBits random = rows.random_bits(draws, stream, r);
  const std::size_t token = sampled_token(output, hidden.row(r), cap, log_normalisers[r],
                                          masses.row(r), masses.cols, random.unit(0));
  const double logit = cap == 0 ? 0 : warp_dot(hidden.row(r), output.row(token), output.cols) / cap;
  const T slope = static_cast<T>(cap_slope(tanh(logit)));
  const T sign = random.word(1) % 2 == 0 ? T{1} : T{-1};
  for (std::size_t c = lane(); c < output.cols; c += kWarp) {
    to.row(rows.batch_row(stream, r))[c] = sign * (slope * output.row(token)[c] - means.row(r)[c]);
  }
}

template <class T, class P>
class RowsInWork {
 public:
  /// Rows [rows.begin, rows.end) of each stream.
  RowsInWork(Cuda& device, const ProbedOutput<T>& output, const FullPredictions<T>& full,
             const ProbeDraws& draws, std::span<const PairedRows> streams, Range rows)
      : device_(device),
        output_(output),
        draws_(draws),
        n_rows_(rows.size()),
        n_signed_(draws.kind == ProbeKind::signs ? streams.size() * n_rows_ : 0),
        streams_(device, streams),
        rows_{streams_.view(), rows.begin, n_rows_, streams.front().full_row + rows.begin},
        hidden_(full.hidden.row_range(rows_.full_row, n_rows_)),
        log_normalisers_(device, full.log_normalisers.subspan(rows_.full_row, n_rows_)),
        roots_(device, tile_elements(n_rows_)),
        p_(device, tile_elements(n_rows_)),
        tanhs_(device, output.logit_cap == 0 ? 0 : tile_elements(n_rows_)),
        rounded_p_(device, std::is_same_v<T, P> ? 0 : tile_elements(n_rows_)),
        signed_roots_(device, tile_elements(n_signed_)),
        masses_(device, n_rows_ * mass_tiles(output.rows.rows)),
        means_(device.memory(), n_rows_, hidden_.cols),
        sums_(device.memory(), n_signed_, hidden_.cols),
        totals_(device.memory(), n_signed_, 1) {}

  void run(MatrixView<T> to) {
    for_each_vocabulary_tile(output_.rows.rows, [&](const Range& tokens) { absorb(tokens); });
    const MatrixView<const T> means = std::as_const(means_).view();
    if (draws_.kind == ProbeKind::signs) {
      launch_elements(device_, finish_signs_kernel<T>, n_signed_ * hidden_.cols,
                      std::as_const(sums_).view(), means,
                      static_cast<const double*>(totals_.data()), rows_, to);
    } else {
      launch_rows(device_, sample_kernel<T>, rows_.streams.n_pairs * n_rows_, output_.rows, hidden_,
                  output_.logit_cap, static_cast<const double*>(log_normalisers_.data()),
                  MatrixView<const double>(masses()), means, rows_, draws_, to);
    }
  }

 private:
  std::size_t tile_elements(std::size_t rows) const {
    return rows * std::min(kVocabularyTile, output_.rows.rows);
  }
  MatrixView<double> masses() const { return masses_.rows(n_rows_, mass_tiles(output_.rows.rows)); }

  /// Adds a tile of the vocabulary to the mean output E_p[output] and, for signs, to the sums of
  /// sqrt(p) r output.
  void absorb(const Range& tokens) {
    const MatrixView<T> roots = roots_.rows(n_rows_, tokens.size());
    const MatrixView<T> p = p_.rows(n_rows_, tokens.size());
    product(device_, hidden_,
            output_.packed.rows().row_range(tokens.begin, tokens.size()).template as<T>(),
            RightFactor::by_output, roots, false);
    const bool capped = output_.logit_cap != 0;
    const MatrixView<T> tanhs = tanhs_.rows(capped ? n_rows_ : 0, tokens.size());
    cap_logits(device_, roots, output_.logit_cap, tanhs);
    launch_rows(device_, probability_kernel<T>, n_rows_ * mass_tiles(tokens.size()), roots, p,
                static_cast<const double*>(log_normalisers_.data()), masses(),
                tokens.begin / kMassTokens);
    if (capped) {
      launch_elements(device_, slope_kernel<T>, p.rows * p.cols, MatrixView<const T>(tanhs), p);
    }
    add_product(rounded_rows(device_, p, rounded_p_.rows(p.rows, p.cols)).template as<P>(), tokens,
                means_);
    if (draws_.kind != ProbeKind::signs) return;
    const MatrixView<P> signed_roots = signed_roots_.rows(n_signed_, tokens.size());
    launch_rows(device_, sign_kernel<T, P>, n_signed_, MatrixView<const T>(roots),
                MatrixView<const T>(tanhs), rows_, draws_, tokens.begin, signed_roots,
                totals_.data());
    add_product(signed_roots, tokens, sums_);
  }

  /// sums [rows, D] += weights [rows, tokens] times the tokens' outputs.
  void add_product(MatrixView<const P> weights, const Range& tokens, Matrix<T>& sums) {
    product(
        device_, weights,
        output_.transposed.front().rows().row_range(tokens.begin, tokens.size()).template as<P>(),
        RightFactor::by_input, sums.view(), true);
  }

  Cuda& device_;
  const ProbedOutput<T>& output_;
  ProbeDraws draws_;
  std::size_t n_rows_;
  std::size_t n_signed_;  ///< rows of all streams, of signs
  PairsOnDevice streams_;
  StreamRows rows_;
  MatrixView<const T> hidden_;  ///< [rows, D]
  DeviceArray<double> log_normalisers_;
  DeviceArray<T> roots_;  ///< [rows, tokens], and so on
  DeviceArray<T> p_;
  DeviceArray<T> tanhs_;         ///< of capped logits
  DeviceArray<P> rounded_p_;     ///< where P is not T
  DeviceArray<P> signed_roots_;  ///< [streams rows, tokens]
  DeviceArray<double> masses_;   ///< [rows, mass tiles of the vocabulary]
  Matrix<T> means_;              ///< [rows, D]: E_p[output]
  Matrix<T> sums_;               ///< [streams rows, D]: sums of sqrt(p) r output
  Matrix<double> totals_;        ///< [streams rows]: sqrt(p).r
};

template <class T, class P>
void fisher_probes_on_cuda(Cuda& device, const ProbedOutput<T>& output,
                           const FullPredictions<T>& full, const ProbeDraws& draws,
                           std::span<const PairedRows> streams, MatrixView<T> to) {
  const std::size_t n_rows = streams.front().n_rows;
  const std::size_t bytes_of_row =
      kVocabularyTile * (2 * sizeof(T) + (streams.size() + 1) * sizeof(P));
  const std::size_t rows_at_once = std::clamp<std::size_t>(kScratchBytes / bytes_of_row, 1, n_rows);
  for (std::size_t first = 0; first < n_rows; first += rows_at_once) {
    const Range rows{first, std::min(first + rows_at_once, n_rows)};
    RowsInWork<T, P>(device, output, full, draws, streams, rows).run(to);
  }
}

}  // namespace

void implement_fisher_probes() {
  FisherProbesKernel::implement([](Cuda& device, const ProbedOutputView& output,
                                   const FullPredictionsView& full, const ProbeDraws& draws,
                                   std::span<const PairedRows> streams, TensorView to) {
    with_precisions("fisher_probes", to.element, output.transposed.front().element(),
                    [&]<class T, class P>() {
                      fisher_probes_on_cuda<T, P>(device, output.as<T>(), full.as<T>(), draws,
                                                  streams, to.as<T>());
                    });
  });
}

}  // namespace longshadow
