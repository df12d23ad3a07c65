#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/backend/tile_product.h"
#include "engine/ops/attention_delta.h"
#include "engine/ops/column_tiles.h"
#include "engine/ops/lanes.h"
#include "engine/ops/rounding.h"
#include "engine/ops/tile_scratch.h"

namespace longshadow {
namespace {

/// What a column weighs in the sums: p e, or p (1 + e).
enum class Form { change, whole };

/// scores -> p = e^(score scale - log_normaliser), 0 from column `visible` on.
template <class T>
LONGSHADOW_PER_CPU void to_probabilities(T* scores, std::size_t visible, std::size_t cols, T scale,
                                         T log_normaliser) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    store<T>(scores + c, exp<T>(load(scores + c) * scale - log_normaliser));
  }
  for (std::size_t c = visible; c < cols; ++c) scores[c] = 0;
}

/// weights[c] = p (1 + e) or p e by `form`, and kept[c] = p (1 + e) where asked for. Returns the
/// sum of the weights.
template <class T, bool small>
LONGSHADOW_INLINE double weigh_columns(const T* p, const T* ds, std::size_t cols, T scale,
                                       Form form, T* weights, T* kept) {
  Lanes<T> total{};
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const Lanes<T> probability = load(p + c);
    const Lanes<T> x = load(ds + c) * scale;
    const Lanes<T> change = probability * (small ? expm1_of_small<T>(x) : expm1<T>(x));
    const Lanes<T> weight = form == Form::change ? change : probability + change;
    store<T>(weights + c, weight);
    if (kept != nullptr) store<T>(kept + c, probability + change);
    total += weight;
  }
  return sum<T>(total);
}

/// weigh_columns by the cheaper series where the whole row allows it, as most rows do.
template <class T>
LONGSHADOW_PER_CPU double weigh(const T* p, const T* ds, std::size_t cols, T scale, Form form,
                                T* weights, T* kept) {
  Lanes<T> highest{};
  Lanes<T> lowest{};
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    highest = maximum<T>(highest, load(ds + c));
    lowest = minimum<T>(lowest, load(ds + c));
  }
  const T limit = T(0.25) / scale;
  return largest<T>(maximum<T>(highest, -lowest)) <= limit
             ? weigh_columns<T, true>(p, ds, cols, scale, form, weights, kept)
             : weigh_columns<T, false>(p, ds, cols, scale, form, weights, kept);
}

/// Streams of one start, one head, up to kRowTile of their rows: what one task works on.
struct Part {
  std::span<const DeltaStream> streams;
  std::size_t head;
  std::size_t first_row;  ///< within each stream
  std::size_t used_rows;
  std::size_t tile_rows;  ///< as computed
};

template <class T, class P>
class PartTask {
 public:
  PartTask(Cpu& cpu, const AttentionShape& shape, const FullAttention<T, P>& full,
           HeadRows<const T> dq, KeysValues<const T> changes, const Part& part, MatrixView<T> out)
      : cpu_(cpu),
        full_(full),
        dq_(dq.head(part.head)),
        dk_(changes.keys.head(part.head / (shape.n_heads / shape.n_kv_heads))),
        dv_(changes.values.head(part.head / (shape.n_heads / shape.n_kv_heads))),
        part_(part),
        kv_head_(part.head / (shape.n_heads / shape.n_kv_heads)),
        d_(shape.head_dim),
        scale_(static_cast<T>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)))),
        out_(out) {
    const std::size_t full_row = part.streams.front().full_row + part.first_row;
    queries_ = full.queries.head(part.head).row_range(full_row, part.tile_rows);
  }

  void run() {
    accumulate(Form::change);
    bool lost_most = false;
    for (std::size_t b = 0; b < part_.streams.size(); ++b) {
      for (std::size_t r = 0; r < part_.used_rows; ++r) {
        const double z = total(b, r);
        if (1 + z < 0.5) {
          lost_most = true;
          continue;
        }
        finish(b, r, [&](T sum, T o) {
          return static_cast<T>((static_cast<double>(sum) - z * static_cast<double>(o)) / (1 + z));
        });
        total(b, r) = kFinished;
      }
    }
    if (!lost_most) return;
    std::vector<double> first_totals = totals_;
    accumulate(Form::whole);
    for (std::size_t b = 0; b < part_.streams.size(); ++b) {
      for (std::size_t r = 0; r < part_.used_rows; ++r) {
        if (first_totals[b * part_.tile_rows + r] == kFinished) continue;
        const T inverse = static_cast<T>(1 / total(b, r));
        finish(b, r, [&](T sum, T o) { return sum * inverse - o; });
      }
    }
  }

 private:
  static constexpr double kFinished = 1e300;

  template <class Tag, class Element = T>
  MatrixView<Element> scratch(std::size_t rows, std::size_t cols) {
    return tile_scratch<Element, Tag>(cpu_, rows, cols);
  }

  double& total(std::size_t stream, std::size_t row) {
    return totals_[stream * part_.tile_rows + row];
  }
  MatrixView<T> sums(std::size_t stream) {
    return sums_.row_range(stream * part_.tile_rows, part_.tile_rows);
  }

  template <class Combine>
  void finish(std::size_t b, std::size_t r, Combine&& combine) {
    const DeltaStream& stream = part_.streams[b];
    const T* o = full_.attended.row(stream.full_row + part_.first_row + r) + part_.head * d_;
    T* to = out_.row(stream.first_row + part_.first_row + r) + part_.head * d_;
    const T* from = sums(b).row(r);
    for (std::size_t i = 0; i < d_; ++i) to[i] = combine(from[i], o[i]);
  }

  void accumulate(Form form) {
    struct Sums;
    struct RoundedQueryChanges;
    struct JointQueries;
    const std::size_t rows = part_.tile_rows;
    const std::size_t n_streams = part_.streams.size();
    totals_.assign(n_streams * rows, 0.0);
    sums_ = scratch<Sums>(n_streams * rows, d_);
    std::fill_n(sums_.data, n_streams * rows * d_, T{0});

    // dq for the prefix, and (q, dq) side by side for the own columns, whose scores change by
    // q.dk + dq.(k + dk).
    const auto dq = scratch<RoundedQueryChanges, P>(n_streams * rows, d_);
    const auto joint = scratch<JointQueries, P>(n_streams * rows, 2 * d_);
    for (std::size_t b = 0; b < n_streams; ++b) {
      const std::size_t row = part_.streams[b].first_row + part_.first_row;
      round_rows(dq_.row_range(row, rows), dq.row_range(b * rows, rows));
      round_rows(queries_, joint.row_range(b * rows, rows).column_range(0, d_));
      round_rows(dq_.row_range(row, rows), joint.row_range(b * rows, rows).column_range(d_, d_));
    }
    absorb_prefix(form, dq);
    absorb_own(form, joint);
  }

  /// p of the tile's columns [begin, begin + width) of the cache; row r sees `visible(r)` of them.
  template <class Visible>
  MatrixView<T> probabilities(std::size_t begin, std::size_t width, Visible&& visible) {
    struct Probabilities;
    const MatrixView<T> p = scratch<Probabilities>(part_.tile_rows, width);
    tile_product<T, T>(queries_, full_.cache.keys.head(kv_head_).row_range(begin, width),
                       RightFactor::by_output, p, false);
    const std::size_t full_row = part_.streams.front().full_row + part_.first_row;
    for (std::size_t r = 0; r < part_.tile_rows; ++r) {
      const std::size_t seen = r < part_.used_rows ? visible(r) : 0;
      to_probabilities(p.row(r), seen, width, scale_,
                       full_.log_normalisers.row(full_row + r)[part_.head]);
    }
    return p;
  }

  void absorb_prefix(Form form, MatrixView<const P> dq) {
    struct ScoreChanges;
    struct Weights;
    for (const ColumnTile& tile : column_tiles(part_.streams.front().prefix)) {
      const MatrixView<const T> p =
          probabilities(tile.begin, tile.width, [&](std::size_t) { return tile.used; });
      for (std::size_t b = 0; b < part_.streams.size(); ++b) {
        const MatrixView<T> ds = scratch<ScoreChanges>(part_.tile_rows, tile.width);
        tile_product<P, T>(
            dq.row_range(b * part_.tile_rows, part_.tile_rows),
            full_.rounded_cache.keys.head(kv_head_).row_range(tile.begin, tile.width),
            RightFactor::by_output, ds, false);
        for (std::size_t r = 0; r < part_.used_rows; ++r) {
          remove(ds.row(r), tile, part_.streams[b].removed);
          total(b, r) +=
              weigh<T>(p.row(r), ds.row(r), tile.width, scale_, form, ds.row(r), nullptr);
        }
        add_weighted<Weights>(
            ds, full_.rounded_cache.values.head(kv_head_).row_range(tile.begin, tile.width),
            sums(b));
      }
    }
  }

  void absorb_own(Form form, MatrixView<const P> joint_queries) {
    struct ScoreChanges;
    struct Kept;
    struct JointKeys;
    struct RoundedValueChanges;
    struct Weights;
    const std::size_t prefix = part_.streams.front().prefix;
    for (const ColumnTile& tile : column_tiles(part_.first_row + part_.used_rows)) {
      const std::size_t position = prefix + tile.begin;
      const MatrixView<const T> p = probabilities(position, tile.width, [&](std::size_t r) {
        const std::size_t visible = part_.first_row + r + 1;
        return visible > tile.begin ? std::min(visible - tile.begin, tile.width) : 0;
      });
      for (std::size_t b = 0; b < part_.streams.size(); ++b) {
        const std::size_t own = part_.streams[b].first_row + tile.begin;
        const auto joint_keys = scratch<JointKeys, P>(tile.width, 2 * d_);
        join_keys(dk_.row_range(own, tile.width),
                  full_.cache.keys.head(kv_head_).row_range(position, tile.width), joint_keys);
        const MatrixView<T> ds = scratch<ScoreChanges>(part_.tile_rows, tile.width);
        const MatrixView<T> kept = scratch<Kept>(part_.tile_rows, tile.width);
        tile_product<P, T>(joint_queries.row_range(b * part_.tile_rows, part_.tile_rows),
                           MatrixView<const P>(joint_keys), RightFactor::by_output, ds, false);
        for (std::size_t r = 0; r < part_.used_rows; ++r) {
          total(b, r) +=
              weigh<T>(p.row(r), ds.row(r), tile.width, scale_, form, ds.row(r), kept.row(r));
        }
        add_weighted<Weights>(
            ds, full_.rounded_cache.values.head(kv_head_).row_range(position, tile.width), sums(b));
        const auto dv = scratch<RoundedValueChanges, P>(tile.width, d_);
        round_rows(dv_.row_range(own, tile.width), dv);
        add_weighted<Weights>(kept, MatrixView<const P>(dv), sums(b));
      }
    }
  }

  /// into += weights values, the weights rounded to P.
  template <class Tag>
  void add_weighted(MatrixView<const T> weights, MatrixView<const P> values, MatrixView<T> into) {
    if constexpr (std::is_same_v<T, P>) {
      tile_product<P, T>(weights, values, RightFactor::by_input, into, true);
    } else {
      const auto rounded = scratch<Tag, P>(weights.rows, weights.cols);
      round_rows(weights, rounded);
      tile_product<P, T>(MatrixView<const P>(rounded), values, RightFactor::by_input, into, true);
    }
  }

  /// to [width, 2 d] = (dk, k + dk).
  void join_keys(MatrixView<const T> dk, MatrixView<const T> k, MatrixView<P> to) {
    struct NewKeys;
    const MatrixView<T> changed = scratch<NewKeys>(k.rows, d_);
    for (std::size_t r = 0; r < k.rows; ++r) {
      for (std::size_t i = 0; i < d_; ++i) changed.row(r)[i] = k.row(r)[i] + dk.row(r)[i];
    }
    round_rows(dk, to.column_range(0, d_));
    round_rows(MatrixView<const T>(changed), to.column_range(d_, d_));
  }

  /// Gives the removed columns of the tile a score change that expm1 turns into -1.
  static void remove(T* ds, const ColumnTile& tile, std::span<const Range> removed) {
    for (const Range& range : removed) {
      const std::size_t begin = std::max(range.begin, tile.begin);
      const std::size_t end = std::min(range.end, tile.begin + tile.used);
      if (begin < end) std::fill(ds + (begin - tile.begin), ds + (end - tile.begin), T(-1e6));
    }
  }

  Cpu& cpu_;
  const FullAttention<T, P>& full_;
  MatrixView<const T> queries_;       ///< [tile rows, d] of the full pass
  MatrixView<const T> dq_, dk_, dv_;  ///< [rows, d] of this head
  const Part& part_;
  std::size_t kv_head_;
  std::size_t d_;
  T scale_;
  MatrixView<T> out_;
  MatrixView<T> sums_;          ///< [streams * tile rows, d]
  std::vector<double> totals_;  ///< [streams * tile rows]
};

}  // namespace

template <class Device, class T, class P>
void attention_delta(Device& device, const AttentionShape& shape, const FullAttention<T, P>& full,
                     HeadRows<const T> dq, KeysValues<const T> changes,
                     std::span<const DeltaStream> streams, MatrixView<T> out) {
  std::vector<Part> parts;
  for (std::size_t begin = 0; begin < streams.size();) {
    std::size_t end = begin + 1;
    while (end < streams.size() && streams[end].prefix == streams[begin].prefix) ++end;
    const std::size_t n_rows = streams[begin].n_rows;
    const std::size_t tile_rows = std::min(kRowTile, round_up(n_rows, 16));
    for (std::size_t head = 0; head < shape.n_heads; ++head) {
      for (std::size_t first = 0; first < n_rows; first += tile_rows) {
        parts.push_back({streams.subspan(begin, end - begin), head, first,
                         std::min(tile_rows, n_rows - first), tile_rows});
      }
    }
    begin = end;
  }
  device.parallel_for(parts.size(), [&](std::size_t i) {
    PartTask<T, P>(device, shape, full, dq, changes, parts[i], out).run();
  });
}

#define LONGSHADOW_INSTANTIATE(T, P)                                                     \
  template void attention_delta(Cpu&, const AttentionShape&, const FullAttention<T, P>&, \
                                HeadRows<const T>, KeysValues<const T>,                  \
                                std::span<const DeltaStream>, MatrixView<T>);
LONGSHADOW_INSTANTIATE(float, float)
LONGSHADOW_INSTANTIATE(float, BF16)
LONGSHADOW_INSTANTIATE(double, double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
