#include <algorithm>
#include <map>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/ops/common/dot.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/logit_cap.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/common/tile_scratch.h"
#include "engine/ops/divergence/kl_divergence.h"

namespace longshadow {
namespace {

/// logits -> p. cols is a multiple of the lanes; columns past `used` get p = 0.
template <class T>
LONGSHADOW_PER_CPU void to_probabilities(T* logits, std::size_t used, std::size_t cols,
                                         double log_normaliser) {
  const T shift = static_cast<T>(log_normaliser);
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    store<T>(logits + c, exp<T>(load(logits + c) - shift));
  }
  for (std::size_t c = used; c < cols; ++c) logits[c] = 0;
}

/// Whether all c were small enough for the series that the sums are then from.
template <class T, bool small>
LONGSHADOW_INLINE bool sum_moments(const T* p, const T* d, std::size_t cols, T a, KlMoments* sums) {
  Lanes<T> mass{};
  Lanes<T> linear{};
  Lanes<T> remainder{};
  Lanes<T> widest{};
  for (std::size_t i = 0; i < cols; i += kLanes<T>) {
    const Lanes<T> weight = load(p + i);
    const Lanes<T> c = load(d + i) - a;
    mass += weight;
    linear += weight * c;
    remainder += weight * (small ? small_exp_minus_linear<T>(c) : exp_minus_linear<T>(c));
    if (small) widest = maximum<T>(widest, magnitude<T>(c));
  }
  *sums = {sum<T>(mass), sum<T>(linear), sum<T>(remainder)};
  return largest<T>(widest) < T(0.5);
}

/// The moments of one row of a tile, by the cheaper series where the whole row allows it.
template <class T>
LONGSHADOW_PER_CPU void add_moments(const T* p, const T* d, std::size_t cols, T a,
                                    KlMoments* into) {
  KlMoments sums;
  if (!sum_moments<T, true>(p, d, cols, a, &sums)) sum_moments<T, false>(p, d, cols, a, &sums);
  *into += sums;
}

/// Rows [full_row, full_row + count) of the full pass meet rows [delta_row, ...) of one stream;
/// tile_begin is where the kRowTile rows of delta that are multiplied begin.
struct Meeting {
  std::size_t full_row;
  std::size_t delta_row;
  std::size_t count;
  std::size_t tile_begin;
};

/// For each tile of kRowTile full rows, the streams' rows that need it.
std::map<std::size_t, std::vector<Meeting>> meetings(std::span<const PairedRows> streams,
                                                     std::size_t delta_rows) {
  std::map<std::size_t, std::vector<Meeting>> by_tile;
  for (const PairedRows& stream : streams) {
    const std::size_t begin = stream.full_row;
    const std::size_t end = begin + stream.n_rows;
    for (std::size_t row = begin; row < end;) {
      const std::size_t tile = row / kRowTile;
      const std::size_t next = std::min((tile + 1) * kRowTile, end);
      const std::size_t delta_row = stream.first_row + (row - begin);
      by_tile[tile].push_back(
          {row, delta_row, next - row, std::min(delta_row, delta_rows - kRowTile)});
      row = next;
    }
  }
  return by_tile;
}

void check_kl_divergence(const OutputWeightsView& output, const FullPredictionsView& full,
                         ConstTensorView delta, std::span<const PairedRows> streams,
                         std::span<double> kl_nats) {
  if constexpr (kContracts) {
    constexpr const char* kName = "kl_divergence";
    const std::size_t vocab_size = output.rows.rows, hidden_size = output.rows.cols;
    require_weights(kName, "output.packed", output.packed, vocab_size, hidden_size);
    require_weights(kName, "output.delta_packed", output.delta_packed, vocab_size, hidden_size);
    require_equal(kName, "output.delta_packed.n_tiles()", output.delta_packed.n_tiles(),
                  output.packed.n_tiles());
    require_full_predictions(kName, full, hidden_size);
    require_equal(kName, "full.likeliest.size()", full.likeliest.size(),
                  full.log_normalisers.size());
    require_below(kName, "full.likeliest", full.likeliest, vocab_size);
    require_rows(kName, "delta", delta, kRowTile, hidden_size);
    require_equal(kName, "kl_nats.size()", kl_nats.size(), delta.rows);
    require_at_least(kName, "streams.size()", streams.size(), 1);
    require_pairs(kName, streams, full.log_normalisers.size(), delta.rows - kRowTile);
  }
}

template <class T, class P>
void kl_divergence_on_cpu(Cpu& device, const OutputWeights<T>& output,
                          const FullPredictions<T>& full, MatrixView<const P> delta,
                          std::span<const PairedRows> streams, std::span<double> kl_nats) {
  struct Probabilities;
  struct LogitChanges;
  struct CapTanhs;
  const double cap = output.logit_cap;
  std::vector<std::vector<Meeting>> row_tiles;
  for (auto& [tile, parts] : meetings(streams, delta.rows)) {
    row_tiles.push_back(std::move(parts));
  }

  // a, per row of delta.
  std::vector<T> shifts(delta.rows);
  for (const PairedRows& stream : streams) {
    device.parallel_for(stream.n_rows, [&](std::size_t r) {
      const auto token = static_cast<std::size_t>(full.likeliest[stream.full_row + r]);
      const std::size_t row = stream.first_row + r;
      const T* direction = output.rows.row(token);
      const double change = dot_in_f64(direction, delta.row(row), delta.cols);
      const T* hidden = full.hidden.row(stream.full_row + r);
      shifts[row] =
          static_cast<T>(output.logit_cap == 0
                             ? change
                             : capped_logit_change(dot_in_f64(direction, hidden, full.hidden.cols),
                                                   change, output.logit_cap));
    });
  }

  const std::size_t n_tiles = output.packed.n_tiles();
  std::vector<KlMoments> moments(n_tiles * delta.rows);
  device.parallel_for(n_tiles * row_tiles.size(), [&](std::size_t task) {
    const std::size_t tile = task / row_tiles.size();
    const std::vector<Meeting>& parts = row_tiles[task % row_tiles.size()];
    const std::size_t full_tile = parts.front().full_row / kRowTile * kRowTile;
    const std::size_t used = output.packed.tile_width(tile);
    const std::size_t cols = output.packed.padded_width(tile);

    const MatrixView<T> p = tile_scratch<T, Probabilities>(device, kRowTile, cols);
    output.packed.multiply_tile(tile, full.hidden.row_range(full_tile, kRowTile), p);
    const MatrixView<T> tanhs = tile_scratch<T, CapTanhs>(device, cap == 0 ? 0 : kRowTile, cols);
    const std::size_t known_rows = full.log_normalisers.size();
    for (std::size_t r = 0; r < kRowTile && full_tile + r < known_rows; ++r) {
      if (cap != 0) cap_logits(p.row(r), cols, cap, tanhs.row(r));
      to_probabilities(p.row(r), used, cols, full.log_normalisers[full_tile + r]);
    }

    const MatrixView<T> d = tile_scratch<T, LogitChanges>(device, kRowTile, cols);
    for (const Meeting& part : parts) {
      output.delta_packed.multiply_tile(tile, delta.row_range(part.tile_begin, kRowTile), d);
      for (std::size_t r = 0; r < part.count; ++r) {
        const std::size_t full_row = part.full_row - full_tile + r;
        T* const changes = d.row(part.delta_row - part.tile_begin + r);
        if (cap != 0) cap_logit_changes(tanhs.row(full_row), cols, cap, changes);
        add_moments<T>(p.row(full_row), changes, cols, shifts[part.delta_row + r],
                       &moments[tile * delta.rows + part.delta_row + r]);
      }
    }
  });

  for (const PairedRows& stream : streams) {
    device.parallel_for(stream.n_rows, [&](std::size_t r) {
      const std::size_t row = stream.first_row + r;
      KlMoments total;
      for (std::size_t tile = 0; tile < n_tiles; ++tile) {
        total += moments[tile * delta.rows + row];
      }
      kl_nats[row] = total.kl_nats();
    });
  }
}

}  // namespace

void kl_divergence(Device& device, const OutputWeightsView& output, const FullPredictionsView& full,
                   ConstTensorView delta, std::span<const PairedRows> streams,
                   std::span<double> kl_nats) {
  check_kl_divergence(output, full, delta, streams, kl_nats);
  if (KlDivergenceKernel::ran_elsewhere(device, output, full, delta, streams, kl_nats)) return;
  with_precisions("kl_divergence", full.hidden.element, delta.element, [&]<class T, class P>() {
    kl_divergence_on_cpu<T, P>(cpu_of(device), output.as<T>(), full.as<T>(), delta.as<P>(), streams,
                               kl_nats);
  });
}

}  // namespace longshadow
