#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/ops/kl_divergence.h"
#include "engine/ops/lanes.h"
#include "engine/ops/rounding.h"
#include "engine/ops/tile_scratch.h"
#include "engine/ops/vocabulary_tiles.h"

namespace longshadow {
namespace {

/// Sums over a part of the vocabulary, with c and p as in the header.
struct Moments {
  double mass = 0;       ///< of p
  double linear = 0;     ///< of p c
  double remainder = 0;  ///< of p (e^c - 1 - c)

  double kl_nats() const {
    const double r = linear / mass;
    return std::log1p(remainder / mass + r) - r;
  }
};

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

template <class T>
LONGSHADOW_PER_CPU void add_moments(const T* p, const T* d, std::size_t cols, T a, Moments* into) {
  Lanes<T> mass{};
  Lanes<T> linear{};
  Lanes<T> remainder{};
  for (std::size_t i = 0; i < cols; i += kLanes<T>) {
    const Lanes<T> weight = load(p + i);
    const Lanes<T> c = load(d + i) - a;
    mass += weight;
    linear += weight * c;
    remainder += weight * exp_minus_linear<T>(c);
  }
  into->mass += sum<T>(mass);
  into->linear += sum<T>(linear);
  into->remainder += sum<T>(remainder);
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

template <class T, class P>
MatrixView<const P> rows_for_product(Cpu& cpu, MatrixView<const T> delta, std::size_t first) {
  const MatrixView<const T> rows = delta.row_range(first, kRowTile);
  if constexpr (std::is_same_v<T, P>) {
    return rows;
  } else {
    struct RoundedDelta;
    const MatrixView<P> rounded = tile_scratch<P, RoundedDelta>(cpu, kRowTile, delta.cols);
    round_rows(rows, rounded);
    return rounded;
  }
}

}  // namespace

template <class Device, class T, class P>
void kl_divergence(Device& device, MatrixView<const T> output, MatrixView<const P> delta_output,
                   const FullPredictions<T>& full, MatrixView<const T> delta,
                   std::span<const PairedRows> streams, std::span<double> kl_nats) {
  struct Probabilities;
  struct LogitChanges;
  const std::vector<Range> tiles = vocabulary_tiles(output.rows);
  std::vector<std::vector<Meeting>> row_tiles;
  for (auto& [tile, parts] : meetings(streams, delta.rows)) {
    row_tiles.push_back(std::move(parts));
  }

  // a, per row of delta.
  std::vector<T> shifts(delta.rows);
  for (const std::vector<Meeting>& parts : row_tiles) {
    for (const Meeting& part : parts) {
      device.parallel_for(part.count, [&](std::size_t r) {
        const auto token = static_cast<std::size_t>(full.likeliest[part.full_row + r]);
        const T* direction = output.row(token);
        const T* change = delta.row(part.delta_row + r);
        double total = 0;
        for (std::size_t c = 0; c < delta.cols; ++c) {
          total += static_cast<double>(direction[c]) * static_cast<double>(change[c]);
        }
        shifts[part.delta_row + r] = static_cast<T>(total);
      });
    }
  }

  std::vector<Moments> moments(tiles.size() * delta.rows);
  device.parallel_for(tiles.size() * row_tiles.size(), [&](std::size_t task) {
    const std::size_t tile = task / row_tiles.size();
    const std::vector<Meeting>& parts = row_tiles[task % row_tiles.size()];
    const std::size_t full_tile = parts.front().full_row / kRowTile * kRowTile;

    const MatrixView<T> p = tile_scratch<T, Probabilities>(device, kRowTile, kVocabularyTile);
    multiply_vocabulary_tile(full.hidden.row_range(full_tile, kRowTile), output, tiles[tile], p);
    const std::size_t known_rows = full.log_normalisers.size();
    for (std::size_t r = 0; r < kRowTile && full_tile + r < known_rows; ++r) {
      to_probabilities(p.row(r), tiles[tile].size(), kVocabularyTile,
                       full.log_normalisers[full_tile + r]);
    }

    const MatrixView<T> d = tile_scratch<T, LogitChanges>(device, kRowTile, kVocabularyTile);
    for (const Meeting& part : parts) {
      multiply_vocabulary_tile(rows_for_product<T, P>(device, delta, part.tile_begin), delta_output,
                               tiles[tile], d);
      for (std::size_t r = 0; r < part.count; ++r) {
        T* changes = d.row(part.delta_row - part.tile_begin + r);
        std::fill(changes + tiles[tile].size(), changes + kVocabularyTile, T{0});
        add_moments(p.row(part.full_row - full_tile + r), changes, kVocabularyTile,
                    shifts[part.delta_row + r], &moments[tile * delta.rows + part.delta_row + r]);
      }
    }
  });

  for (const PairedRows& stream : streams) {
    device.parallel_for(stream.n_rows, [&](std::size_t r) {
      const std::size_t row = stream.first_row + r;
      Moments total;
      for (std::size_t tile = 0; tile < tiles.size(); ++tile) {
        const Moments& part = moments[tile * delta.rows + row];
        total.mass += part.mass;
        total.linear += part.linear;
        total.remainder += part.remainder;
      }
      kl_nats[row] = total.kl_nats();
    });
  }
}

template void kl_divergence(Cpu&, MatrixView<const float>, MatrixView<const float>,
                            const FullPredictions<float>&, MatrixView<const float>,
                            std::span<const PairedRows>, std::span<double>);
template void kl_divergence(Cpu&, MatrixView<const float>, MatrixView<const BF16>,
                            const FullPredictions<float>&, MatrixView<const float>,
                            std::span<const PairedRows>, std::span<double>);
template void kl_divergence(Cpu&, MatrixView<const double>, MatrixView<const double>,
                            const FullPredictions<double>&, MatrixView<const double>,
                            std::span<const PairedRows>, std::span<double>);

}  // namespace longshadow
