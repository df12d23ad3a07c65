#include <algorithm>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/backend/tile_product.h"
#include "engine/ops/attention/attention_backward.h"
#include "engine/ops/attention/score_cap.h"
#include "engine/ops/attention/softmax_weights.h"
#include "engine/ops/common/column_tiles.h"
#include "engine/ops/common/dot.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/rounded_tile.h"

namespace longshadow {
namespace {

/// odds[c] = p / (1 - p)
template <class T>
LONGSHADOW_PER_CPU void to_odds(const T* p, std::size_t cols, T* odds) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const Lanes<T> kept = maximum<T>(1 - load(p + c), broadcast<T>(kLeastKept<T>));
    store<T>(odds + c, load(p + c) / kept);
  }
}

/// ds = p (dp - dout.o) of one row, p times the slope of a cap if there is one, and sums += odds
/// (dp - dout.o).
template <class T, class P>
LONGSHADOW_PER_CPU void score_gradients(const T* p, const T* odds, const T* dp, std::size_t cols,
                                        T dout_dot_o, P* ds, T* sums) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const Lanes<T> above_mean = load(dp + c) - dout_dot_o;
    store<T>(ds + c, load(p + c) * above_mean);
    store<T>(sums + c, load(sums + c) + load(odds + c) * above_mean);
  }
}

/// ds = p (dp - dout.o) of one row.
template <class T, class P>
LONGSHADOW_PER_CPU void score_gradients(const T* p, const T* dp, std::size_t cols, T dout_dot_o,
                                        P* ds) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    store<T>(ds + c, load(p + c) * (load(dp + c) - dout_dot_o));
  }
}

/// ds = p (dp - dout.o) where rows lie along the lanes: dout_dot_o [cols].
template <class T, class P>
LONGSHADOW_PER_CPU void score_gradients(const T* p, const T* dp, std::size_t cols,
                                        const T* dout_dot_o, P* ds) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    store<T>(ds + c, load(p + c) * (load(dp + c) - load(dout_dot_o + c)));
  }
}

/// scores -> p where rows lie along the lanes; only the `seeing` rows see the column.
template <class T>
LONGSHADOW_PER_CPU void to_column_weights(T* scores, const Range& seeing, std::size_t cols, T scale,
                                          const T* log_normalisers) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    store<T>(scores + c, exp<T>(load(scores + c) * scale - load(log_normalisers + c)));
  }
  for (std::size_t c = 0; c < seeing.begin; ++c) scores[c] = 0;
  for (std::size_t c = seeing.end; c < cols; ++c) scores[c] = 0;
}

/// slopes *= p
template <class T>
LONGSHADOW_PER_CPU void multiply(const T* p, std::size_t cols, T* slopes) {
  for (std::size_t c = 0; c < cols; ++c) slopes[c] *= p[c];
}

/// An entry of a tile whose column holds much of its row's attention.
struct HeavyEntry {
  std::size_t row, column;
};

template <class T>
LONGSHADOW_PER_CPU T dot(const T* a, const T* b, std::size_t size) {
  T total = 0;
  for (std::size_t i = 0; i < size; ++i) total += a[i] * b[i];
  return total;
}

template <class T, class P>
void scale_into(MatrixView<const T> from, std::size_t rows, T scale, MatrixView<P> to) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < from.cols; ++i) to.row(r)[i] = rounded<P>(from.row(r)[i] * scale);
  }
}

/// Up to kRowTile of every stream's rows.
struct RowPart {
  std::size_t first;  ///< within each stream
  std::size_t used_rows;
  std::size_t tile_rows;  ///< as computed
};

std::vector<RowPart> row_parts(std::size_t n_rows) {
  std::vector<RowPart> parts;
  const std::size_t tile_rows = std::min(kRowTile, round_up(n_rows, 16));
  for (std::size_t first = 0; first < n_rows; first += tile_rows) {
    parts.push_back({first, std::min(tile_rows, n_rows - first), tile_rows});
  }
  return parts;
}

template <class T, class P>
class BackwardPass {
 public:
  BackwardPass(Cpu& cpu, const AttentionShape& shape, const FullAttention<T, P>& full,
               std::size_t prefix, HeadRows<const T> dout, std::span<const PairedRows> streams,
               const AttentionGradients<T, P>& gradients)
      : cpu_(cpu),
        shape_(shape),
        full_(full),
        prefix_(prefix),
        dout_(dout),
        streams_(streams),
        gradients_(gradients),
        d_(shape.head_dim),
        cap_(shape),
        scale_(shape.score_scale<T>()),
        parts_(row_parts(streams.front().n_rows)),
        padded_rows_(parts_.back().first + parts_.back().tile_rows),
        log_normalisers_(cpu.memory(), shape.n_heads, padded_rows_),
        dout_dot_o_(cpu.memory(), shape.n_heads * streams.size(), padded_rows_),
        removal_sums_(cpu.memory(), shape.n_heads * parts_.size() * streams.size(),
                      round_up(prefix, kMinColumnTile)) {}

  void run() {
    cpu_.parallel_for(shape_.n_heads, [&](std::size_t head) { prepare(head); });
    cpu_.parallel_for(shape_.n_heads * parts_.size(), [&](std::size_t task) {
      to_queries_and_removals(task / parts_.size(), task % parts_.size());
    });
    cpu_.parallel_for(shape_.n_kv_heads * parts_.size(), [&](std::size_t task) {
      to_keys_and_values(task / parts_.size(), parts_[task % parts_.size()]);
    });
    cpu_.parallel_for(streams_.size() * shape_.n_kv_heads, [&](std::size_t task) {
      add_up_removals(task / shape_.n_kv_heads, task % shape_.n_kv_heads);
    });
  }

 private:
  template <class Tag, class Element = T>
  MatrixView<Element> scratch(std::size_t rows, std::size_t cols) {
    return tile_scratch<Element, Tag>(cpu_, rows, cols);
  }

  std::size_t full_row(const RowPart& part) const { return streams_.front().full_row + part.first; }

  MatrixView<const T> queries(std::size_t head, const RowPart& part) const {
    return full_.queries.head(head).row_range(full_row(part), part.tile_rows);
  }

  /// dout of one stream's part of one head, for products.
  template <class Tag>
  MatrixView<const P> dout(std::size_t head, std::size_t b, const RowPart& part) {
    return rounded_tile<P, Tag>(
        cpu_, dout_.head(head).row_range(streams_[b].first_row + part.first, part.tile_rows));
  }

  T* dout_dot_o(std::size_t head, std::size_t b, const RowPart& part) {
    return dout_dot_o_.row(head * streams_.size() + b) + part.first;
  }

  MatrixView<T> removal_sums(std::size_t head, std::size_t part) {
    return removal_sums_.view().row_range((head * parts_.size() + part) * streams_.size(),
                                          streams_.size());
  }

  /// Lays log normalisers and dout.o out head by head. Rows past the used ones keep 0.
  void prepare(std::size_t head) {
    const PairedRows& first = streams_.front();
    for (std::size_t r = 0; r < first.n_rows; ++r) {
      log_normalisers_.row(head)[r] = full_.log_normalisers.row(first.full_row + r)[head];
      const T* o = full_.attended.row(first.full_row + r) + head * d_;
      for (std::size_t b = 0; b < streams_.size(); ++b) {
        const T* d = dout_.head(head).row(streams_[b].first_row + r);
        dout_dot_o_.row(head * streams_.size() + b)[r] = static_cast<T>(dot_in_f64(d, o, d_));
      }
    }
  }

  /// One head's row part looks at all its columns: its queries' gradients, and the prefix's
  /// removals.
  void to_queries_and_removals(std::size_t head, std::size_t part_index) {
    struct QueryGradients;
    const RowPart& part = parts_[part_index];
    const MatrixView<T> sums = scratch<QueryGradients>(streams_.size() * part.tile_rows, d_);
    std::fill_n(sums.data, sums.rows * d_, T{0});
    const std::size_t first_seen = shape_.first_seen(prefix_ + part.first);
    for (const ColumnTile& tile : column_tiles(prefix_)) {
      if (tile.begin + tile.used <= first_seen) continue;
      absorb_columns(head, part, tile.begin, tile.width, tile.used,
                     removal_sums(head, part_index).column_range(tile.begin, tile.width), sums);
    }
    for (const ColumnTile& tile : column_tiles(part.first + part.used_rows)) {
      if (prefix_ + tile.begin + tile.used <= first_seen) continue;
      absorb_columns(head, part, prefix_ + tile.begin, tile.width, tile.width, MatrixView<T>{},
                     sums);
    }
    for (std::size_t b = 0; b < streams_.size(); ++b) {
      scale_into(MatrixView<const T>(sums.row_range(b * part.tile_rows, part.tile_rows)),
                 part.used_rows, shape_.product_scale<T>(),
                 gradients_.queries.row_range(streams_[b].first_row + part.first, part.used_rows)
                     .column_range(head * d_, d_));
    }
  }

  /// Selects those of the columns [begin, begin + used) that row r of the part sees, counted from
  /// `begin`.
  Range visible_columns(const RowPart& part, std::size_t r, std::size_t begin,
                        std::size_t used) const {
    const std::size_t position = prefix_ + part.first + r;
    const auto within = [&](std::size_t column) {
      return column > begin ? std::min(column - begin, used) : 0;
    };
    return {within(shape_.first_seen(position)), within(position + 1)};
  }

  /// Columns [begin, begin + width) of the cache, of which `used` are to be seen: for every stream,
  /// sums += ds k, and removals, where there are any, += the columns' sums of ds / (1 - p).
  void absorb_columns(std::size_t head, const RowPart& part, std::size_t begin, std::size_t width,
                      std::size_t used, MatrixView<T> removals, MatrixView<T> sums) {
    struct Weights;
    struct Odds;
    struct Slopes;
    struct WeightGradients;
    struct ScoreGradients;
    struct RoundedOut;
    const std::size_t kv_head = shape_.kv_head_of(head);
    const MatrixView<T> p = scratch<Weights>(part.tile_rows, width);
    tile_product<T, T>(queries(head, part), full_.cache.keys.head(kv_head).row_range(begin, width),
                       RightFactor::by_output, p, false);
    const MatrixView<T> slopes = capped_slopes<Slopes>(p);
    for (std::size_t r = 0; r < part.tile_rows; ++r) {
      to_softmax_weights(p.row(r),
                         r < part.used_rows ? visible_columns(part, r, begin, used) : Range{},
                         width, scale_, log_normalisers_.row(head)[part.first + r]);
    }
    const MatrixView<const T> sloped = multiplied(slopes, p);
    const MatrixView<T> odds = scratch<Odds>(part.tile_rows, width);
    std::vector<HeavyEntry> heavy;
    if (removals.data != nullptr) {
      for (std::size_t r = 0; r < part.tile_rows; ++r) to_odds(p.row(r), width, odds.row(r));
      if (!std::is_same_v<T, P>) heavy = heavy_entries(p);
    }
    const auto keys = full_.rounded_cache.keys.head(kv_head).row_range(begin, width);
    const auto values = full_.rounded_cache.values.head(kv_head).row_range(begin, width);
    const MatrixView<T> dp = scratch<WeightGradients>(part.tile_rows, width);
    const auto ds = scratch<ScoreGradients, P>(part.tile_rows, width);
    for (std::size_t b = 0; b < streams_.size(); ++b) {
      tile_product<P, T>(dout<RoundedOut>(head, b, part), values, RightFactor::by_output, dp,
                         false);
      const T* shift = dout_dot_o(head, b, part);
      for (const auto& [r, c] : heavy) {
        dp.row(r)[c] = dot(dout_.head(head).row(streams_[b].first_row + part.first + r),
                           full_.cache.values.head(kv_head).row(begin + c), d_);
      }
      for (std::size_t r = 0; r < part.tile_rows; ++r) {
        if (removals.data != nullptr) {
          score_gradients(sloped.row(r), odds.row(r), dp.row(r), width, shift[r], ds.row(r),
                          removals.row(b));
        } else {
          score_gradients(sloped.row(r), dp.row(r), width, shift[r], ds.row(r));
        }
      }
      tile_product<P, T>(MatrixView<const P>(ds), keys, RightFactor::by_input,
                         sums.row_range(b * part.tile_rows, part.tile_rows), true);
    }
  }

  /// Where scores are capped, products become what ScoreCap::apply() leaves of them; returns its
  /// slopes, shaped like them. Else they stay, and there are none.
  template <class Tag>
  MatrixView<T> capped_slopes(MatrixView<T> products) {
    if (!cap_) return {};
    const MatrixView<T> slopes = scratch<Tag>(products.rows, products.cols);
    for (std::size_t r = 0; r < products.rows; ++r) {
      cap_.apply(products.row(r), products.cols);
      cap_.slopes(products.row(r), slopes.row(r), products.cols);
    }
    return slopes;
  }

  /// p times the slopes, in their place; p itself where there are none.
  static MatrixView<const T> multiplied(MatrixView<T> slopes, MatrixView<const T> p) {
    if (slopes.rows == 0) return p;
    for (std::size_t r = 0; r < p.rows; ++r) multiply(p.row(r), p.cols, slopes.row(r));
    return slopes;
  }

  static std::vector<HeavyEntry> heavy_entries(MatrixView<const T> p) {
    std::vector<HeavyEntry> heavy;
    for (std::size_t r = 0; r < p.rows; ++r) {
      for (std::size_t c = 0; c < p.cols; ++c) {
        if (p.row(r)[c] > kHeavy<T>) heavy.push_back({r, c});
      }
    }
    return heavy;
  }

  /// One KV head's own columns `columns` look at all rows from their first on.
  void to_keys_and_values(std::size_t kv_head, const RowPart& columns) {
    struct KeyGradients;
    struct ValueGradients;
    const std::size_t n = columns.tile_rows;
    const MatrixView<T> dk = scratch<KeyGradients>(streams_.size() * n, d_);
    const MatrixView<T> dv = scratch<ValueGradients>(streams_.size() * n, d_);
    std::fill_n(dk.data, dk.rows * d_, T{0});
    std::fill_n(dv.data, dv.rows * d_, T{0});
    const std::size_t group = shape_.group_size();
    for (std::size_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (const RowPart& part : parts_) {
        if (part.first < columns.first) continue;
        if (shape_.first_seen(part.first) >= columns.first + columns.used_rows) continue;
        absorb_rows(head, columns, part, dk, dv);
      }
    }
    const auto finish = [&](MatrixView<const T> sums, std::size_t b, T scale, auto to) {
      scale_into(sums.row_range(b * n, n), columns.used_rows, scale,
                 to.row_range(streams_[b].first_row + columns.first, columns.used_rows)
                     .column_range(kv_head * d_, d_));
    };
    for (std::size_t b = 0; b < streams_.size(); ++b) {
      finish(dk, b, shape_.product_scale<T>(), gradients_.keys);
      finish(dv, b, T{1}, gradients_.values);
    }
  }

  /// The part's rows, counted within it, that see own column `column`.
  Range seeing_rows(const RowPart& part, std::size_t column) const {
    const auto within = [&](std::size_t row) {
      return row > part.first ? std::min(row - part.first, part.used_rows) : 0;
    };
    const std::size_t end =
        shape_.window != 0 ? column + shape_.window : part.first + part.used_rows;
    return {within(column), within(end)};
  }

  /// Everything transposed, rows along the lanes: dk += dsᵀ q, dv += pᵀ dout.
  void absorb_rows(std::size_t head, const RowPart& columns, const RowPart& part, MatrixView<T> dk,
                   MatrixView<T> dv) {
    struct Weights;
    struct Slopes;
    struct WeightGradients;
    struct ScoreGradients;
    struct RoundedWeights;
    struct RoundedQueries;
    struct RoundedOut;
    const std::size_t kv_head = shape_.kv_head_of(head);
    const std::size_t n = columns.tile_rows;
    const std::size_t position = prefix_ + columns.first;
    const MatrixView<T> p = scratch<Weights>(n, part.tile_rows);
    tile_product<T, T>(full_.cache.keys.head(kv_head).row_range(position, n), queries(head, part),
                       RightFactor::by_output, p, false);
    const MatrixView<T> slopes = capped_slopes<Slopes>(p);
    for (std::size_t c = 0; c < n; ++c) {
      to_column_weights(p.row(c), seeing_rows(part, columns.first + c), part.tile_rows, scale_,
                        log_normalisers_.row(head) + part.first);
    }
    const MatrixView<const T> sloped = multiplied(slopes, p);
    const auto q = rounded_tile<P, RoundedQueries>(cpu_, queries(head, part));
    const auto weights = rounded_tile<P, RoundedWeights>(cpu_, MatrixView<const T>(p));
    const auto values = full_.rounded_cache.values.head(kv_head).row_range(position, n);
    const MatrixView<T> dp = scratch<WeightGradients>(n, part.tile_rows);
    const auto ds = scratch<ScoreGradients, P>(n, part.tile_rows);
    for (std::size_t b = 0; b < streams_.size(); ++b) {
      const MatrixView<const P> d = dout<RoundedOut>(head, b, part);
      tile_product<P, T>(values, d, RightFactor::by_output, dp, false);
      for (std::size_t c = 0; c < n; ++c) {
        score_gradients(sloped.row(c), dp.row(c), part.tile_rows, dout_dot_o(head, b, part),
                        ds.row(c));
      }
      tile_product<P, T>(MatrixView<const P>(ds), q, RightFactor::by_input, dk.row_range(b * n, n),
                         true);
      tile_product<P, T>(weights, d, RightFactor::by_input, dv.row_range(b * n, n), true);
    }
  }

  /// Over the KV head's query heads and the row parts, in their order.
  void add_up_removals(std::size_t b, std::size_t kv_head) {
    T* to = gradients_.removals.row(b * shape_.n_kv_heads + kv_head);
    std::fill_n(to, prefix_, T{0});
    const std::size_t group = shape_.group_size();
    for (std::size_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (std::size_t part = 0; part < parts_.size(); ++part) {
        const T* from = removal_sums(head, part).row(b);
        for (std::size_t c = 0; c < prefix_; ++c) to[c] += from[c];
      }
    }
  }

  Cpu& cpu_;
  const AttentionShape& shape_;
  const FullAttention<T, P>& full_;
  std::size_t prefix_;
  HeadRows<const T> dout_;
  std::span<const PairedRows> streams_;
  const AttentionGradients<T, P>& gradients_;
  std::size_t d_;
  ScoreCap<T> cap_;
  T scale_;  ///< of scores, capped or not
  std::vector<RowPart> parts_;
  std::size_t padded_rows_;    ///< of a stream
  Matrix<T> log_normalisers_;  ///< [H, padded rows]
  Matrix<T> dout_dot_o_;       ///< [H streams, padded rows]
  Matrix<T> removal_sums_;     ///< [H parts streams, prefix, rounded up]
};

void check_attention_backward(const AttentionShape& shape, const FullAttentionView& full,
                              std::size_t prefix, ConstHeadsView dout,
                              std::span<const PairedRows> streams,
                              const AttentionGradientsView& gradients) {
  if constexpr (kContracts) {
    constexpr const char* kName = "attention_backward";
    require_same_full_rows(kName, streams);
    require_full_attention(kName, shape, full, prefix + streams.front().n_rows);
    const std::size_t rows = gradients.queries.rows;
    const std::size_t kv_width = shape.n_kv_heads * shape.head_dim;
    require_pairs(kName, streams, full.attended.rows, rows);
    for (const PairedRows& stream : streams) {
      require_heads(kName, "dout", dout, shape.n_heads, stream.first_row + stream.n_rows + kRowTile,
                    shape.head_dim);
    }
    require_shape(kName, "gradients.queries", gradients.queries, rows,
                  shape.n_heads * shape.head_dim);
    require_shape(kName, "gradients.keys", gradients.keys, rows, kv_width);
    require_shape(kName, "gradients.values", gradients.values, rows, kv_width);
    require_shape(kName, "gradients.removals", gradients.removals,
                  streams.size() * shape.n_kv_heads, prefix);
  }
}

template <class T, class P>
void attention_backward_on_cpu(Cpu& device, const AttentionShape& shape,
                               const FullAttention<T, P>& full, std::size_t prefix,
                               HeadRows<const T> dout, std::span<const PairedRows> streams,
                               const AttentionGradients<T, P>& gradients) {
  BackwardPass<T, P>(device, shape, full, prefix, dout, streams, gradients).run();
}

}  // namespace

void attention_backward(Device& device, const AttentionShape& shape, const FullAttentionView& full,
                        std::size_t prefix, ConstHeadsView dout,
                        std::span<const PairedRows> streams,
                        const AttentionGradientsView& gradients) {
  check_attention_backward(shape, full, prefix, dout, streams, gradients);
  if (AttentionBackwardKernel::ran_elsewhere(device, shape, full, prefix, dout, streams, gradients))
    return;
  with_precisions("attention_backward", full.pass(), full.product(), [&]<class T, class P>() {
    attention_backward_on_cpu<T, P>(cpu_of(device), shape, full.as<T, P>(), prefix, dout.as<T>(),
                                    streams, gradients.as<T, P>());
  });
}

}  // namespace longshadow
