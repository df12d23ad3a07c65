#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/backend/cpu.h"
#include "engine/backend/parallel_for.h"
#include "engine/backend/tile_product.h"
#include "engine/ops/attention/score_cap.h"
#include "engine/ops/attention_statistics/window_statistics.h"
#include "engine/ops/common/column_tiles.h"
#include "engine/ops/common/dot.h"
#include "engine/ops/common/lanes.h"

namespace longshadow {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

LONGSHADOW_PER_CPU float largest_of(const float* scores, std::size_t cols) {
  Lanes<float> highest = broadcast<float>(kHidden);
  for (std::size_t c = 0; c < cols; c += kLanes<float>) {
    highest = maximum<float>(highest, load(scores + c));
  }
  return largest<float>(highest);
}

/// scores = exp((score - highest) scale); returns their sum.
LONGSHADOW_PER_CPU double exponentiate(float* scores, std::size_t cols, float highest,
                                       float scale) {
  Lanes<float> total{};
  for (std::size_t c = 0; c < cols; c += kLanes<float>) {
    const Lanes<float> weight = exp<float>((load(scores + c) - highest) * scale);
    store<float>(scores + c, weight);
    total += weight;
  }
  return sum<float>(total);
}

/// The sums over the window's rows for a tile's columns.
struct ColumnSums {
  float *mean, *latest, *largest, *removal;  ///< [width]
};

/// One query's part: weights as exponentiate() leaves them, products v_j . o_i and squares |v_j|².
LONGSHADOW_PER_CPU void add_query(const float* weights, const float* products, const float* squares,
                                  std::size_t cols, float per_total, float output_square,
                                  bool is_late, const ColumnSums& into) {
  const float late = is_late ? 1.0f : 0.0f;
  for (std::size_t c = 0; c < cols; c += kLanes<float>) {
    const Lanes<float> p = load(weights + c) * per_total;
    const Lanes<float> odds = p / (1.0f - p);
    const Lanes<float> distance = maximum<float>(
        Lanes<float>{}, load(squares + c) - 2.0f * load(products + c) + output_square);
    store<float>(into.mean + c, load(into.mean + c) + p);
    store<float>(into.latest + c, load(into.latest + c) + late * p);
    store<float>(into.largest + c, maximum<float>(load(into.largest + c), p));
    store<float>(into.removal + c, load(into.removal + c) + odds * odds * distance);
  }
}

/// One query head's window.
class Window {
 public:
  Window(const ScoreForm& score, MatrixView<const float> queries, MatrixView<const float> keys,
         MatrixView<const float> values, std::size_t n, std::size_t n_latest)
      : shape_{1, 1, queries.cols, 0, score},
        cap_(shape_),
        queries_(queries),
        keys_(keys),
        values_(values),
        n_(n),
        n_latest_(n_latest),
        d_(queries.cols),
        tiles_(column_tiles(n)),
        part_(host_memory(), kMaxColumnTile, d_),
        weights_(host_memory(), 1, queries.rows * (tiles_.back().begin + tiles_.back().width)),
        outputs_(host_memory(), queries.rows, d_),
        rows_(queries.rows) {}

  WindowStatistics statistics() {
    score();
    weigh();
    attend();
    WindowStatistics sums{std::vector<double>(n_), std::vector<double>(n_), std::vector<double>(n_),
                          std::vector<double>(n_)};
    gather(sums);
    add_tops(sums);
    divide(sums);
    return sums;
  }

 private:
  /// The state of one query, whose most attended token is kept out of weights_.
  struct Row {
    std::size_t top = 0;        ///< that token; its weight, not yet divided, is 1
    double others = 0;          ///< the sum of the others' weights
    double output_square = 0;   ///< |o|²
    double removal_of_top = 0;  ///< |o without the top - o|²
  };

  /// The tile's rows of keys or values, [width, d]; of a last tile that is not full a copy.
  MatrixView<const float> rows_of(MatrixView<const float> all, const ColumnTile& tile) {
    if (tile.used == tile.width) return all.row_range(tile.begin, tile.width);
    std::copy_n(all.row(tile.begin), tile.used * d_, part_.data());
    std::fill_n(part_.data() + tile.used * d_, (tile.width - tile.used) * d_, 0.0f);
    return {part_.data(), tile.width, d_, d_};
  }
  /// [window, width], dense.
  MatrixView<float> weights_of(const ColumnTile& tile) {
    return {weights_.data() + queries_.rows * tile.begin, queries_.rows, tile.width, tile.width};
  }
  /// The number of the tile's columns that the window's query `row` sees.
  std::size_t seen(const ColumnTile& tile, std::size_t row) const {
    const std::size_t end = n_ - queries_.rows + row + 1;
    return end <= tile.begin ? 0 : std::min(end - tile.begin, tile.used);
  }

  void score() {
    for (const ColumnTile& tile : tiles_) {
      const MatrixView<float> scores = weights_of(tile);
      tile_product<float, float>(queries_, rows_of(keys_, tile), RightFactor::by_output, scores,
                                 false);
      for (std::size_t r = 0; r < queries_.rows; ++r) {
        if (cap_) cap_.apply(scores.row(r), scores.cols);
        std::fill(scores.row(r) + seen(tile, r), scores.row(r) + tile.width, kHidden);
      }
    }
  }

  void weigh() {
    const auto scale = shape_.score_scale<float>();
    for (std::size_t r = 0; r < queries_.rows; ++r) {
      const ColumnTile* top_tile = &tiles_.front();
      float highest = kHidden;
      for (const ColumnTile& tile : tiles_) {
        const float here = largest_of(weights_of(tile).row(r), tile.width);
        if (!(here > highest)) continue;
        highest = here;
        top_tile = &tile;
      }
      float* const of_top = weights_of(*top_tile).row(r);
      float* const top = std::max_element(of_top, of_top + top_tile->used);
      rows_[r].top = top_tile->begin + static_cast<std::size_t>(top - of_top);
      *top = kHidden;
      for (const ColumnTile& tile : tiles_) {
        rows_[r].others += exponentiate(weights_of(tile).row(r), tile.width, highest, scale);
      }
    }
  }

  void attend() {
    Matrix<float> tile_sum(host_memory(), queries_.rows, d_);
    Matrix<double> others(host_memory(), queries_.rows, d_);
    for (const ColumnTile& tile : tiles_) {
      tile_product<float, float>(weights_of(tile), rows_of(values_, tile), RightFactor::by_input,
                                 tile_sum.view(), false);
      for (std::size_t i = 0; i < queries_.rows * d_; ++i) others.data()[i] += tile_sum.data()[i];
    }
    for (std::size_t r = 0; r < queries_.rows; ++r) {
      Row& row = rows_[r];
      const float* const top = values_.row(row.top);
      for (std::size_t i = 0; i < d_; ++i) {
        const double without = row.others > 0 ? others.row(r)[i] / row.others : 0;
        const double with = (others.row(r)[i] + top[i]) / (row.others + 1);
        outputs_.row(r)[i] = static_cast<float>(with);
        row.output_square += with * with;
        row.removal_of_top += (without - with) * (without - with);
      }
    }
  }

  /// All but the tops' part.
  void gather(WindowStatistics& sums) {
    Matrix<float> products(host_memory(), 1, queries_.rows * kMaxColumnTile);
    for (const ColumnTile& tile : tiles_) {
      const MatrixView<const float> values = rows_of(values_, tile);
      const MatrixView<float> of_tile{products.data(), queries_.rows, tile.width, tile.width};
      tile_product<float, float>(std::as_const(outputs_).view(), values, RightFactor::by_output,
                                 of_tile, false);
      Matrix<float> columns(host_memory(), 5, tile.width);
      float* const squares = columns.row(4);
      for (std::size_t c = 0; c < tile.width; ++c) {
        squares[c] = static_cast<float>(dot_in_f64(values.row(c), values.row(c), d_));
      }
      const ColumnSums into{columns.row(0), columns.row(1), columns.row(2), columns.row(3)};
      for (std::size_t r = 0; r < queries_.rows; ++r) {
        add_query(weights_of(tile).row(r), of_tile.row(r), squares, tile.width,
                  static_cast<float>(1 / (rows_[r].others + 1)),
                  static_cast<float>(rows_[r].output_square), r + n_latest_ >= queries_.rows, into);
      }
      std::copy_n(into.mean, tile.used, sums.mean.begin() + tile.begin);
      std::copy_n(into.latest, tile.used, sums.latest.begin() + tile.begin);
      std::copy_n(into.largest, tile.used, sums.largest.begin() + tile.begin);
      std::copy_n(into.removal, tile.used, sums.removal.begin() + tile.begin);
    }
  }

  void add_tops(WindowStatistics& sums) const {
    for (std::size_t r = 0; r < queries_.rows; ++r) {
      const Row& row = rows_[r];
      const double p = 1 / (row.others + 1);
      sums.mean[row.top] += p;
      if (r + n_latest_ >= queries_.rows) sums.latest[row.top] += p;
      if (!(sums.largest[row.top] >= p)) sums.largest[row.top] = p;
      sums.removal[row.top] += row.removal_of_top;
    }
  }

  /// By the numbers of queries that see a token.
  void divide(WindowStatistics& sums) const {
    for (std::size_t j = 0; j < n_; ++j) {
      const std::size_t see = n_ - std::max(j, n_ - queries_.rows);
      sums.mean[j] /= static_cast<double>(see);
      sums.removal[j] /= static_cast<double>(see);
      sums.latest[j] /= static_cast<double>(std::min(see, n_latest_));
    }
  }

  AttentionShape shape_;  ///< of this head alone
  ScoreCap<float> cap_;
  MatrixView<const float> queries_, keys_, values_;
  std::size_t n_, n_latest_, d_;
  std::vector<ColumnTile> tiles_;
  Matrix<float> part_;
  Matrix<float> weights_;  ///< a tile's [window, width] behind the other
  Matrix<float> outputs_;  ///< [window, d]
  std::vector<Row> rows_;
};

void add(std::vector<double>& sums, const std::vector<double>& more, double share) {
  for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += share * more[j];
}

}  // namespace

std::vector<WindowStatistics> window_statistics(const ScoreForm& score,
                                                HeadRows<const float> queries,
                                                HeadRows<const float> keys,
                                                HeadRows<const float> values, std::size_t n,
                                                std::size_t n_latest) {
  check_window_statistics(queries, keys, values, n, n_latest);
  const std::size_t group = queries.n_heads / keys.n_heads;
  std::vector<WindowStatistics> of_queries(queries.n_heads);
  parallel_for(queries.n_heads, [&](std::size_t head) {
    const std::size_t kv_head = head / group;
    of_queries[head] =
        Window(score, queries.head(head), keys.head(kv_head), values.head(kv_head), n, n_latest)
            .statistics();
  });
  std::vector<WindowStatistics> of_heads(keys.n_heads);
  const double share = 1 / static_cast<double>(group);
  for (std::size_t head = 0; head < queries.n_heads; ++head) {
    WindowStatistics& sums = of_heads[head / group];
    const WindowStatistics& one = of_queries[head];
    if (head % group == 0) {
      sums = {std::vector<double>(n), std::vector<double>(n), one.largest, std::vector<double>(n)};
    }
    add(sums.mean, one.mean, share);
    add(sums.latest, one.latest, share);
    add(sums.removal, one.removal, share);
    for (std::size_t j = 0; j < n; ++j) {
      if (!(sums.largest[j] >= one.largest[j])) sums.largest[j] = one.largest[j];
    }
  }
  return of_heads;
}

}  // namespace longshadow
