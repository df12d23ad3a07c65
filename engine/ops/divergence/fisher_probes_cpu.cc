#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/range.h"
#include "engine/ops/common/dot.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/logit_cap.h"
#include "engine/ops/common/rounded_tile.h"
#include "engine/ops/divergence/fisher_probes.h"
#include "engine/ops/divergence/random_bits.h"

namespace longshadow {
namespace {

/// Streams that share a task's probabilities.
constexpr std::size_t kStreamsAtOnce = 8;

/// logits -> sqrt(p), and p apart; columns past `used` get 0. Returns the sum of p.
template <class T>
LONGSHADOW_PER_CPU double to_probabilities(T* logits, T* p, std::size_t used, std::size_t cols,
                                           T log_normaliser) {
  Lanes<T> total{};
  for (std::size_t c = used; c < cols; ++c) logits[c] = -std::numeric_limits<T>::infinity();
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const Lanes<T> root = exp<T>((load(logits + c) - log_normaliser) * T(0.5));
    store<T>(logits + c, root);
    store<T>(p + c, root * root);
    total += root * root;
  }
  return sum<T>(total);
}

/// to = from with the signs that the bits from `first_bit` on give, times 1 - tanhs² unless that is
/// null; first_bit and cols are multiples of the lanes. Returns the sum of `from` with signs.
template <class T, class P>
LONGSHADOW_PER_CPU double give_signs(const T* from, const std::uint64_t* bits,
                                     std::size_t first_bit, std::size_t cols, const T* tanhs,
                                     P* to) {
  using Integers = typename LaneTypes<T>::Integers;
  Integers lane_bit;
  for (std::size_t i = 0; i < kLanes<T>; ++i) lane_bit[i] = 1 << i;
  Lanes<T> total{};
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const std::size_t bit = first_bit + c;
    const auto word = static_cast<std::uint32_t>(bits[bit / 64] >> (bit % 64));
    const auto chunk = static_cast<int>(word & ((1u << kLanes<T>)-1));
    const Lanes<T> value = load(from + c);
    const Lanes<T> with_sign = ((Integers{} + chunk) & lane_bit) != 0 ? -value : value;
    Lanes<T> slope = broadcast<T>(1);
    if (tanhs != nullptr) slope = (1 - load(tanhs + c)) * (1 + load(tanhs + c));
    store<T>(to + c, with_sign * slope);
    total += with_sign;
  }
  return sum<T>(total);
}

/// into [kRowTile, outputs] += x [kRowTile, inputs] Wᵀ, on the calling thread.
template <class T, class P>
void add_product(Cpu& cpu, MatrixView<const P> x, const PackedWeights& weights,
                 MatrixView<T> into) {
  struct Product;
  for (std::size_t tile = 0; tile < weights.n_tiles(); ++tile) {
    const MatrixView<T> product =
        tile_scratch<T, Product>(cpu, kRowTile, weights.padded_width(tile));
    weights.multiply_tile(tile, x, product);
    const MatrixView<T> to = into.column_range(weights.tile_begin(tile), weights.tile_width(tile));
    for (std::size_t r = 0; r < kRowTile; ++r) {
      for (std::size_t c = 0; c < to.cols; ++c) to.row(r)[c] += product.row(r)[c];
    }
  }
}

template <class T, class P>
class ProbeTask {
 public:
  /// Rows [first, first + used) of the streams given, at most kRowTile; stream b is draw
  /// draws.first_draw + b.
  ProbeTask(Cpu& cpu, const ProbedOutput<T>& output, const FullPredictions<T>& full,
            const ProbeDraws& draws, std::span<const PairedRows> streams, Range rows,
            MatrixView<T> to)
      : cpu_(cpu),
        output_(output),
        full_(full),
        draws_(draws),
        streams_(streams),
        rows_(rows),
        full_row_(streams.front().full_row + rows.begin),
        n_tiles_(output.packed.n_tiles()),
        masses_(rows.size() * n_tiles_),
        roots_(streams.size() * rows.size()),
        hidden_(full.hidden.row_range(full_row_, kRowTile)),
        to_(to) {}

  void run() {
    struct Means;
    struct Sums;
    const std::size_t width = hidden_.cols;
    means_ = tile_scratch<T, Means>(cpu_, kRowTile, width);
    sums_ = tile_scratch<T, Sums>(cpu_, round_up(roots_.size(), kRowTile), width);
    std::fill_n(means_.data, means_.rows * width, T{0});
    std::fill_n(sums_.data, sums_.rows * width, T{0});
    for (std::size_t tile = 0; tile < n_tiles_; ++tile) absorb(tile);
    for (std::size_t b = 0; b < streams_.size(); ++b) {
      for (std::size_t r = 0; r < rows_.size(); ++r) {
        draws_.kind == ProbeKind::signs ? finish_signs(b, r) : finish_sampled(b, r);
      }
    }
  }

 private:
  /// Adds one tile of the vocabulary to the mean output E_p[output], to the masses and, for signs,
  /// to each stream's sum of sqrt(p) r output.
  void absorb(std::size_t tile) {
    struct Roots;
    struct Probabilities;
    struct RoundedProbabilities;
    struct CapTanhs;
    const std::size_t cols = output_.packed.padded_width(tile);
    const MatrixView<T> roots = tile_scratch<T, Roots>(cpu_, kRowTile, cols);
    const MatrixView<T> p = tile_scratch<T, Probabilities>(cpu_, kRowTile, cols);
    output_.packed.multiply_tile(tile, hidden_, roots);
    const MatrixView<T> tanhs = tile_scratch<T, CapTanhs>(cpu_, capped() ? kRowTile : 0, cols);
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      if (capped()) cap_logits(roots.row(r), cols, output_.logit_cap, tanhs.row(r));
      masses_[r * n_tiles_ + tile] =
          to_probabilities(roots.row(r), p.row(r), output_.packed.tile_width(tile), cols,
                           static_cast<T>(full_.log_normalisers[full_row_ + r]));
      if (capped()) multiply_by_cap_slopes(tanhs.row(r), cols, p.row(r));
    }
    std::fill(p.row(rows_.size()), p.row(kRowTile), T{0});
    add_product(cpu_, rounded_tile<P, RoundedProbabilities>(cpu_, MatrixView<const T>(p)),
                output_.transposed[tile], means_);
    if (draws_.kind == ProbeKind::signs) absorb_signs(tile, roots, tanhs);
  }

  /// The streams' rows stand below one another, so that few rows fill whole tiles all the same.
  /// tanhs as cap_logits() leaves them, or no rows.
  void absorb_signs(std::size_t tile, MatrixView<const T> roots, MatrixView<const T> tanhs) {
    struct Signed;
    const auto with_signs = tile_scratch<P, Signed>(cpu_, kRowTile, roots.cols);
    const std::size_t first_token = output_.packed.tile_begin(tile);
    const std::size_t first_word = first_token / 64;
    std::vector<std::uint64_t> bits((first_token + roots.cols - 1) / 64 + 1 - first_word);
    for (std::size_t first = 0; first < roots_.size(); first += kRowTile) {
      const std::size_t end = std::min(first + kRowTile, roots_.size());
      for (std::size_t i = first; i < end; ++i) {
        const std::size_t b = i / rows_.size();
        const std::size_t r = i % rows_.size();
        const RandomBits random = random_bits(b, r);
        for (std::size_t word = 0; word < bits.size(); ++word) {
          bits[word] = random.word(first_word + word);
        }
        roots_[i] += give_signs(roots.row(r), bits.data(), first_token % 64, roots.cols,
                                capped() ? tanhs.row(r) : nullptr, with_signs.row(i - first));
      }
      std::fill(with_signs.row(end - first), with_signs.row(kRowTile), P{});
      add_product(cpu_, MatrixView<const P>(with_signs), output_.transposed[tile],
                  sums_.row_range(first, kRowTile));
    }
  }

  RandomBits random_bits(std::size_t b, std::size_t r) const {
    return {draws_.seed, draws_.first_draw + b, full_row_ + r};
  }

  T* target(std::size_t b, std::size_t r) const {
    return to_.row(streams_[b].first_row + rows_.begin + r);
  }

  void finish_signs(std::size_t b, std::size_t r) {
    const T along = static_cast<T>(roots_[b * rows_.size() + r]);
    const T* sum = sums_.row(b * rows_.size() + r);
    for (std::size_t i = 0; i < means_.cols; ++i) {
      target(b, r)[i] = sum[i] - along * means_.row(r)[i];
    }
  }

  void finish_sampled(std::size_t b, std::size_t r) {
    const RandomBits random = random_bits(b, r);
    const std::size_t token = sample(r, random.unit(0));
    const T* direction = output_.rows.row(token);
    const T slope = static_cast<T>(capped_logit_slope(logit(r, token), output_.logit_cap));
    const T sign = random.word(1) % 2 == 0 ? T{1} : T{-1};
    for (std::size_t i = 0; i < means_.cols; ++i) {
      target(b, r)[i] = sign * (slope * direction[i] - means_.row(r)[i]);
    }
  }

  /// The token at which the cumulative sum of row r's p passes `unit` of its total.
  std::size_t sample(std::size_t r, double unit) const {
    const double* masses = &masses_[r * n_tiles_];
    double left = unit * std::accumulate(masses, masses + n_tiles_, 0.0);
    std::size_t tile = 0;
    while (tile + 1 < n_tiles_ && left >= masses[tile]) left -= masses[tile++];
    const std::size_t begin = output_.packed.tile_begin(tile);
    std::size_t likeliest = begin;
    double highest = 0;
    for (std::size_t token = begin; token < begin + output_.packed.tile_width(tile); ++token) {
      const double p = probability(r, token);
      if (left < p) return token;
      left -= p;
      if (p > highest) {
        highest = p;
        likeliest = token;
      }
    }
    return likeliest;  // rounding left a little over
  }

  bool capped() const { return output_.logit_cap != 0; }

  /// Before it is capped.
  double logit(std::size_t r, std::size_t token) const {
    return dot_in_f64(hidden_.row(r), output_.rows.row(token), hidden_.cols);
  }

  double probability(std::size_t r, std::size_t token) const {
    return std::exp(capped_logit(logit(r, token), output_.logit_cap) -
                    full_.log_normalisers[full_row_ + r]);
  }

  Cpu& cpu_;
  const ProbedOutput<T>& output_;
  const FullPredictions<T>& full_;
  ProbeDraws draws_;
  std::span<const PairedRows> streams_;
  Range rows_;  ///< within each stream
  std::size_t full_row_;
  std::size_t n_tiles_;
  std::vector<double> masses_;  ///< [rows, tiles]: sums of p
  std::vector<double> roots_;   ///< [streams, rows]: sqrt(p).r
  MatrixView<const T> hidden_;  ///< [kRowTile, D]
  MatrixView<T> means_;         ///< [kRowTile, D]: E_p[output], each by the slope of its cap
  MatrixView<T> sums_;          ///< [streams rows, rounded up, D]
  MatrixView<T> to_;
};

void check_fisher_probes(const ProbedOutputView& output, const FullPredictionsView& full,
                         std::span<const PairedRows> streams, TensorView to) {
  if constexpr (kContracts) {
    constexpr const char* kName = "fisher_probes";
    require_weights(kName, "output.packed", output.packed, output.rows.rows, output.rows.cols);
    require_equal(kName, "output.transposed.size()", output.transposed.size(),
                  output.packed.n_tiles());
    require_full_predictions(kName, full, output.rows.cols);
    require_shape(kName, "to", to, to.rows, output.rows.cols);
    require_same_full_rows(kName, streams);
    require_pairs(kName, streams, full.log_normalisers.size(), to.rows);
  }
}

template <class T, class P>
void fisher_probes_on_cpu(Cpu& device, const ProbedOutput<T>& output,
                          const FullPredictions<T>& full, const ProbeDraws& draws,
                          std::span<const PairedRows> streams, MatrixView<T> to) {
  const std::size_t n_rows = streams.front().n_rows;
  const std::size_t row_tiles = round_up(n_rows, kRowTile) / kRowTile;
  const std::size_t chunks = round_up(streams.size(), kStreamsAtOnce) / kStreamsAtOnce;
  device.parallel_for(row_tiles * chunks, [&](std::size_t task) {
    const std::size_t first = task / chunks * kRowTile;
    const std::size_t stream = task % chunks * kStreamsAtOnce;
    ProbeDraws own = draws;
    own.first_draw += stream;
    ProbeTask<T, P>(device, output, full, own,
                    streams.subspan(stream, std::min(kStreamsAtOnce, streams.size() - stream)),
                    {first, std::min(first + kRowTile, n_rows)}, to)
        .run();
  });
}

}  // namespace

void fisher_probes(Device& device, const ProbedOutputView& output, const FullPredictionsView& full,
                   const ProbeDraws& draws, std::span<const PairedRows> streams, TensorView to) {
  check_fisher_probes(output, full, streams, to);
  if (FisherProbesKernel::ran_elsewhere(device, output, full, draws, streams, to)) return;
  with_precisions("fisher_probes", to.element, output.transposed.front().element(),
                  [&]<class T, class P>() {
                    fisher_probes_on_cpu<T, P>(cpu_of(device), output.as<T>(), full.as<T>(), draws,
                                               streams, to.as<T>());
                  });
}

}  // namespace longshadow
