#include <algorithm>
#include <optional>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/backend/tile_product.h"
#include "engine/ops/attention/attention_delta.h"
#include "engine/ops/attention/score_cap.h"
#include "engine/ops/attention/softmax_weights.h"
#include "engine/ops/common/column_tiles.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/common/tile_scratch.h"

namespace longshadow {
namespace {

/// The weight of a column in the sums: p e, or p (1 + e).
enum class Form { change, whole };

/// A score change that expm1 turns into -1.
constexpr double kGone = -1e6;

/// The sum of a row's weights, and whether its score changes were all small.
struct Weighed {
  double total;
  bool all_small;
};

template <class T, class P, bool small>
LONGSHADOW_INLINE Weighed weigh_columns(const T* p, const T* ds, std::size_t cols, T scale,
                                        Form form, P* weights, P* kept) {
  Lanes<T> total{};
  Lanes<T> widest{};
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const Lanes<T> probability = load(p + c);
    const Lanes<T> x = load(ds + c) * scale;
    const Lanes<T> change = probability * (small ? expm1_of_small<T>(x) : expm1<T>(x));
    const Lanes<T> weight = form == Form::change ? change : probability + change;
    if (small) widest = maximum<T>(widest, magnitude<T>(x));
    store<T>(weights + c, weight);
    if (kept != nullptr) store<T>(kept + c, probability + change);
    total += weight;
  }
  return {sum<T>(total), largest<T>(widest) <= T(0.25)};
}

/// weights[c] = p (1 + e) or p e by `form`, and kept[c] = p (1 + e) where asked for. Returns the
/// sum of the weights. Tries the cheaper series first, which most rows allow.
template <class T, class P>
LONGSHADOW_PER_CPU double weigh(const T* p, const T* ds, std::size_t cols, T scale, Form form,
                                P* weights, P* kept) {
  const Weighed row = weigh_columns<T, P, true>(p, ds, cols, scale, form, weights, kept);
  if (row.all_small) return row.total;
  return weigh_columns<T, P, false>(p, ds, cols, scale, form, weights, kept).total;
}

/// to = (dk, k + dk), 2 d elements.
template <class T, class P>
LONGSHADOW_PER_CPU void join_row(const T* k, const T* dk, std::size_t d, P* to) {
  std::size_t i = 0;
  for (; i + kLanes<T> <= d; i += kLanes<T>) {
    const Lanes<T> change = load(dk + i);
    store<T>(to + i, change);
    store<T>(to + d + i, load(k + i) + change);
  }
  for (; i < d; ++i) {
    to[i] = rounded<P>(dk[i]);
    to[d + i] = rounded<P>(k[i] + dk[i]);
  }
}

/// to = (sums - drop o) scale, in f64 on the way.
template <class T, class P>
LONGSHADOW_PER_CPU void finish_row(const T* sums, const T* o, std::size_t d, double drop,
                                   double scale, P* to) {
  for (std::size_t i = 0; i < d; ++i) {
    const double change = (static_cast<double>(sums[i]) - drop * static_cast<double>(o[i])) * scale;
    to[i] = rounded<P>(static_cast<T>(change));
  }
}

/// Rows of one stream that fall into a tile of kRowTile full rows.
struct Member {
  const DeltaStream& stream;
  std::size_t tile_row;   ///< of its first row, within the tile
  std::size_t batch_row;  ///< of its first row
  std::size_t used_rows;
  std::size_t rows;  ///< as computed

  Member(const DeltaStream& of, std::size_t first_full_row, std::size_t end_full_row) : stream(of) {
    const std::size_t begin = std::max(of.full_row, first_full_row);
    tile_row = begin - first_full_row;
    batch_row = of.first_row + (begin - of.full_row);
    used_rows = std::min(of.full_row + of.n_rows, end_full_row) - begin;
    rows = round_up(used_rows, 16);
  }
};

/// A tile of full rows in one head: p is computed once for all streams with rows there. Columns
/// before any stream's start come in wide tiles, those that may be a stream's own in tiles of
/// kRowTile, at places that depend on the positions alone.
template <class T, class P>
class RowTileTask {
 public:
  RowTileTask(Cpu& cpu, const AttentionShape& shape, const FullAttention<T, P>& full,
              HeadRows<const P> dq, HeadRows<const T> dk, HeadRows<const P> dv,
              std::span<const DeltaStream> streams, std::size_t row_tile, std::size_t head,
              MatrixView<P> out)
      : cpu_(cpu),
        shape_(shape),
        full_(full),
        head_(head),
        kv_head_(shape.kv_head_of(head)),
        d_(shape.head_dim),
        cap_(shape),
        scale_(shape.score_scale<T>()),
        full_row_(row_tile * kRowTile),
        first_start_(streams.front().prefix - streams.front().full_row),
        queries_(full.queries.head(head).row_range(full_row_, kRowTile)),
        dq_(dq.head(head)),
        dk_(dk.head(kv_head_)),
        dv_(dv.head(kv_head_)),
        out_(out) {
    tiles_ = column_tiles_with_cuts(first_start_ - full.row_tiles_before * kRowTile, kRowTile,
                                    full.row_tiles_before + row_tile + 1);
    for (const DeltaStream& stream : streams) {
      if (stream.full_row < full_row_ + kRowTile && stream.full_row + stream.n_rows > full_row_) {
        work_.push_back(
            {Member(stream, full_row_, full_row_ + kRowTile), {}, {}, {}, {}, {}, false});
      }
    }
  }

  void run() {
    prepare();
    absorb(Form::change);
    std::vector<Work> unfinished;
    for (Work& work : work_) {
      if (!finish_changes(work)) unfinished.push_back(work);
    }
    work_ = std::move(unfinished);
    if (work_.empty()) return;
    absorb(Form::whole);
    for (const Work& work : work_) finish_wholes(work);
  }

 private:
  /// A member, its rounded queries and what its rows have summed up.
  struct Work {
    Member member;
    MatrixView<const P> dq;  ///< [rows, d]
    MatrixView<P> joint;     ///< [rows, 2 d], (q, dq): own scores change by q.dk + dq.(k + dk)
    MatrixView<T> sums;      ///< [rows, d]
    std::vector<double> totals;
    std::vector<bool> lost_most;  ///< rows that the removal left with less than half of attention
    bool still;                   ///< nothing that the rows see has changed but by removal
  };

  template <class Tag, class Element = T>
  MatrixView<Element> scratch(std::size_t rows, std::size_t cols) {
    return tile_scratch<Element, Tag>(cpu_, rows, cols);
  }

  void prepare() {
    struct Sums;
    struct JointQueries;
    const std::size_t rows = work_.size() * kRowTile;
    const MatrixView<T> sums = scratch<Sums>(rows, d_);
    const auto joint = scratch<JointQueries, P>(rows, 2 * d_);
    for (std::size_t i = 0; i < work_.size(); ++i) {
      Work& work = work_[i];
      const Member& member = work.member;
      work.dq = dq_.row_range(member.batch_row, member.rows);
      work.joint = joint.row_range(i * kRowTile, member.rows);
      work.sums = sums.row_range(i * kRowTile, member.rows);
      round_rows(queries_.row_range(member.tile_row, member.used_rows),
                 work.joint.row_range(0, member.used_rows).column_range(0, d_));
      for (std::size_t r = 0; r < member.rows; ++r) {
        std::copy_n(work.dq.row(r), d_, work.joint.row(r) + d_);
      }
      const std::size_t own = member.stream.first_row;
      const std::size_t n_own = member.batch_row + member.used_rows - own;
      work.still = is_zero(dq_.row_range(member.batch_row, member.used_rows)) &&
                   is_zero(dk_.row_range(own, n_own)) && is_zero(dv_.row_range(own, n_own));
    }
  }

  template <class Element>
  static bool is_zero(MatrixView<const Element> dense) {
    return std::all_of(dense.data, dense.data + dense.rows * dense.cols,
                       [](Element value) { return widened<T>(value) == 0; });
  }

  void absorb(Form form) {
    for (Work& work : work_) {
      work.totals.assign(work.member.used_rows, 0.0);
      std::fill_n(work.sums.data, work.sums.rows * d_, T{0});
    }
    for (const ColumnTile& tile : tiles_) {
      std::optional<FullTile> full;
      for (Work& work : work_) {
        if (!is_seen(tile, work.member)) continue;
        const std::vector<Range> removed = removed_columns(work.member.stream, tile);
        if (work.still && form == Form::change && removed.empty()) continue;
        if (!full) full = full_tile(tile);
        if (tile.begin + tile.used <= work.member.stream.prefix) {
          absorb_prefix(form, tile, *full, removed, work);
        } else {
          absorb_own(form, tile, *full, removed, work);
        }
      }
    }
  }

  std::size_t position(std::size_t tile_row) const { return first_start_ + full_row_ + tile_row; }

  bool is_seen(const ColumnTile& tile, const Member& member) const {
    return tile.begin < position(member.tile_row + member.used_rows) &&
           tile.begin + tile.used > shape_.first_seen(position(member.tile_row));
  }

  /// Columns of the tile, counted within it, that the stream has lost.
  std::vector<Range> removed_columns(const DeltaStream& stream, const ColumnTile& tile) const {
    std::vector<Range> columns;
    for (const Range& range : reaching_into(tile, removed_from(kv_head_, stream.removed))) {
      const std::size_t begin = std::max(range.begin, tile.begin);
      const std::size_t end = std::min(range.end, tile.begin + tile.used);
      if (begin < end) columns.push_back({begin - tile.begin, end - tile.begin});
    }
    return columns;
  }

  /// The columns, counted within the tile, that row `r` of the row tile sees.
  Range visible_columns(const ColumnTile& tile, std::size_t r) const {
    const auto within = [&](std::size_t column) {
      return column > tile.begin ? std::min(column - tile.begin, tile.used) : 0;
    };
    return {within(shape_.first_seen(position(r))), within(position(r) + 1)};
  }

  /// A tile as the full pass computed it.
  struct FullTile {
    MatrixView<const T> p;       ///< [kRowTile, width]
    MatrixView<const T> capped;  ///< [kRowTile, width], as ScoreCap::apply() leaves it; or empty
  };

  FullTile full_tile(const ColumnTile& tile) {
    struct Probabilities;
    struct Capped;
    const MatrixView<T> p = scratch<Probabilities>(kRowTile, tile.width);
    MatrixView<T> capped{};
    tile_product<T, T>(queries_, full_.cache.keys.head(kv_head_).row_range(tile.begin, tile.width),
                       RightFactor::by_output, p, false);
    if (cap_) {
      capped = scratch<Capped>(kRowTile, tile.width);
      for (std::size_t r = 0; r < kRowTile; ++r) {
        cap_.apply(p.row(r), tile.width);
        std::copy_n(p.row(r), tile.width, capped.row(r));
      }
    }
    const std::size_t known_rows = std::min(kRowTile, full_.attended.rows - full_row_);
    for (std::size_t r = 0; r < known_rows; ++r) {
      to_softmax_weights(p.row(r), visible_columns(tile, r), tile.width, scale_,
                         full_.log_normalisers.row(full_row_ + r)[head_]);
    }
    return {p, capped};
  }

  void absorb_prefix(Form form, const ColumnTile& tile, const FullTile& full,
                     std::span<const Range> removed, Work& work) {
    struct ScoreChanges;
    struct Weights;
    const MatrixView<T> ds = scratch<ScoreChanges>(work.member.rows, tile.width);
    const auto weights = scratch<Weights, P>(work.member.rows, tile.width);
    tile_product<P, T>(work.dq, rounded_rows(full_.rounded_cache.keys, tile),
                       RightFactor::by_output, ds, false);
    weigh_rows(form, tile, full, removed, ds, weights, {}, work);
    tile_product<P, T>(MatrixView<const P>(weights), rounded_rows(full_.rounded_cache.values, tile),
                       RightFactor::by_input, work.sums, true);
  }

  /// A tile of which some columns, or all, are the stream's own.
  void absorb_own(Form form, const ColumnTile& tile, const FullTile& full,
                  std::span<const Range> removed, Work& work) {
    struct ScoreChanges;
    struct Weights;
    struct Kept;
    struct JointKeys;
    struct ValueChanges;
    const auto joint_keys = scratch<JointKeys, P>(tile.width, 2 * d_);
    const auto dv = scratch<ValueChanges, P>(tile.width, d_);
    join_changes(tile, work.member.stream, joint_keys, dv);
    const MatrixView<T> ds = scratch<ScoreChanges>(work.member.rows, tile.width);
    const auto weights = scratch<Weights, P>(work.member.rows, tile.width);
    const auto kept = scratch<Kept, P>(work.member.rows, tile.width);
    tile_product<P, T>(MatrixView<const P>(work.joint), MatrixView<const P>(joint_keys),
                       RightFactor::by_output, ds, false);
    weigh_rows(form, tile, full, removed, ds, weights, kept, work);
    tile_product<P, T>(MatrixView<const P>(weights), rounded_rows(full_.rounded_cache.values, tile),
                       RightFactor::by_input, work.sums, true);
    tile_product<P, T>(MatrixView<const P>(kept), MatrixView<const P>(dv), RightFactor::by_input,
                       work.sums, true);
  }

  MatrixView<const P> rounded_rows(HeadRows<const P> heads, const ColumnTile& tile) const {
    return heads.head(kv_head_).row_range(tile.begin, tile.width);
  }

  /// ds -> weights, and kept where it has rows. A removed column weighs -p or nothing.
  void weigh_rows(Form form, const ColumnTile& tile, const FullTile& full,
                  std::span<const Range> removed, MatrixView<T> ds, MatrixView<P> weights,
                  MatrixView<P> kept, Work& work) {
    for (std::size_t r = 0; r < work.member.used_rows; ++r) {
      const std::size_t tile_row = work.member.tile_row + r;
      const T* row_p = full.p.row(tile_row);
      if (cap_) cap_.apply_to_changes(full.capped.row(tile_row), ds.row(r), tile.width);
      // Behind what the row sees lie another stream's changes: they must not choose its series.
      const Range visible = visible_columns(tile, tile_row);
      std::fill(ds.row(r), ds.row(r) + visible.begin, T{0});
      std::fill(ds.row(r) + visible.end, ds.row(r) + tile.width, T{0});
      // As -p, a sink would drown the row's other changes in an f32 sum; as nothing, it must not
      // enter the sum at all.
      const T change_of_removed = form == Form::change ? T{0} : static_cast<T>(kGone);
      for (const Range& range : removed) {
        std::fill(ds.row(r) + range.begin, ds.row(r) + range.end, change_of_removed);
      }
      work.totals[r] += weigh(row_p, ds.row(r), ds.cols, scale_, form, weights.row(r),
                              kept.rows != 0 ? kept.row(r) : nullptr);
      if (form == Form::whole) continue;
      for (const Range& range : removed) {
        for (std::size_t c = range.begin; c < range.end; ++c) {
          weights.row(r)[c] = rounded<P>(-row_p[c]);
          work.totals[r] -= static_cast<double>(row_p[c]);
        }
      }
    }
  }

  /// keys [width, 2 d] = (dk, k + dk) and values [width, d] = dv, without changes before the start.
  void join_changes(const ColumnTile& tile, const DeltaStream& stream, MatrixView<P> keys,
                    MatrixView<P> values) const {
    const MatrixView<const T> k = full_.cache.keys.head(kv_head_).row_range(tile.begin, tile.width);
    for (std::size_t c = 0; c < tile.width; ++c) {
      const std::size_t position = tile.begin + c;
      P* joint = keys.row(c);
      if (position < stream.prefix) {
        std::fill_n(joint, d_, P{});
        std::copy_n(rounded_rows(full_.rounded_cache.keys, tile).row(c), d_, joint + d_);
        std::fill_n(values.row(c), d_, P{});
        continue;
      }
      const std::size_t own = stream.first_row + (position - stream.prefix);
      join_row<T, P>(k.row(c), dk_.row(own), d_, joint);
      std::copy_n(dv_.row(own), d_, values.row(c));
    }
  }

  /// Writes the rows that kept half of their attention; says whether all did.
  bool finish_changes(Work& work) {
    work.lost_most.assign(work.member.used_rows, false);
    bool all = true;
    for (std::size_t r = 0; r < work.member.used_rows; ++r) {
      const double z = work.totals[r];
      if (1 + z < 0.5) {
        work.lost_most[r] = true;
        all = false;
        continue;
      }
      // (sums - z o) / (1 + z)
      finish(work, r, z, 1 / (1 + z));
    }
    return all;
  }

  /// Writes the rows that finish_changes left.
  void finish_wholes(const Work& work) {
    for (std::size_t r = 0; r < work.member.used_rows; ++r) {
      if (!work.lost_most[r]) continue;
      // sums / total - o
      finish(work, r, work.totals[r], 1 / work.totals[r]);
    }
  }

  void finish(const Work& work, std::size_t r, double drop, double scale) {
    const T* o = full_.attended.row(full_row_ + work.member.tile_row + r) + head_ * d_;
    P* to = out_.row(work.member.batch_row + r) + head_ * d_;
    finish_row<T, P>(work.sums.row(r), o, d_, drop, scale, to);
  }

  Cpu& cpu_;
  const AttentionShape& shape_;
  const FullAttention<T, P>& full_;
  std::size_t head_;
  std::size_t kv_head_;
  std::size_t d_;
  ScoreCap<T> cap_;
  T scale_;                      ///< of scores, capped or not
  std::size_t full_row_;         ///< first of the tile
  std::size_t first_start_;      ///< position of full row 0
  MatrixView<const T> queries_;  ///< [kRowTile, d] of the full pass
  MatrixView<const P> dq_;       ///< [rows, d] of this head
  MatrixView<const T> dk_;
  MatrixView<const P> dv_;
  MatrixView<P> out_;
  std::vector<ColumnTile> tiles_;
  std::vector<Work> work_;
};

void check_attention_delta(const AttentionShape& shape, const FullAttentionView& full,
                           ConstHeadsView dq, ConstHeadsView dk, ConstHeadsView dv,
                           std::span<const DeltaStream> streams, TensorView out) {
  if constexpr (kContracts) {
    constexpr const char* kName = "attention_delta";
    require_at_least(kName, "streams.size()", streams.size(), 1);
    std::size_t end = 0, columns = 0;
    for (const DeltaStream& stream : streams) {
      end = std::max(end, stream.first_row + stream.n_rows);
      columns = std::max(columns, stream.prefix + stream.n_rows);
      require_at_most(kName, "the end of a stream's full rows", stream.full_row + stream.n_rows,
                      full.attended.rows);
      require_at_least(kName, "a stream's prefix", stream.prefix,
                       stream.full_row + full.row_tiles_before * kRowTile);
      require_equal(kName, "a stream's prefix - full_row", stream.prefix - stream.full_row,
                    streams.front().prefix - streams.front().full_row);
      require_removed(kName, stream.removed, shape.n_kv_heads, stream.prefix);
    }
    require_full_attention(kName, shape, full, columns);
    require_heads(kName, "dq", dq, shape.n_heads, end, shape.head_dim);
    require_heads(kName, "dk", dk, shape.n_kv_heads, end, shape.head_dim);
    require_heads(kName, "dv", dv, shape.n_kv_heads, end, shape.head_dim);
    require_rows(kName, "out", out, end, shape.n_heads * shape.head_dim);
  }
}

template <class T, class P>
void attention_delta_on_cpu(Cpu& device, const AttentionShape& shape,
                            const FullAttention<T, P>& full, HeadRows<const P> dq,
                            HeadRows<const T> dk, HeadRows<const P> dv,
                            std::span<const DeltaStream> streams, MatrixView<P> out) {
  std::size_t first_tile = full.attended.rows;
  std::size_t end_row = 0;
  for (const DeltaStream& stream : streams) {
    first_tile = std::min(first_tile, stream.full_row / kRowTile);
    end_row = std::max(end_row, stream.full_row + stream.n_rows);
  }
  const std::size_t n_tiles = round_up(end_row, kRowTile) / kRowTile - first_tile;
  device.parallel_for(n_tiles * shape.n_heads, [&](std::size_t task) {
    RowTileTask<T, P>(device, shape, full, dq, dk, dv, streams, first_tile + task % n_tiles,
                      task / n_tiles, out)
        .run();
  });
}

}  // namespace

void attention_delta(Device& device, const AttentionShape& shape, const FullAttentionView& full,
                     ConstHeadsView dq, ConstHeadsView dk, ConstHeadsView dv,
                     std::span<const DeltaStream> streams, TensorView out) {
  check_attention_delta(shape, full, dq, dk, dv, streams, out);
  if (AttentionDeltaKernel::ran_elsewhere(device, shape, full, dq, dk, dv, streams, out)) return;
  with_precisions("attention_delta", full.pass(), full.product(), [&]<class T, class P>() {
    attention_delta_on_cpu<T, P>(cpu_of(device), shape, full.as<T, P>(), dq.as<P>(), dk.as<T>(),
                                 dv.as<P>(), streams, out.as<P>());
  });
}

}  // namespace longshadow
