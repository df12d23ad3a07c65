#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "engine/cuda/launch.h"
#include "engine/cuda/product.h"
#include "engine/ops/attention/attention.h"
#include "engine/ops/attention/removed_columns_cuda.h"
#include "engine/ops/attention/scoring_cuda.h"
#include "engine/ops/common/column_tiles.h"

// Parts, each one head of up to kPartRows rows of one stream, walk over their columns tile by tile,
// many parts at once: a batched product makes a tile of scores of each, a kernel turns them into
// softmax weights under a running maximum, and a batched product adds the weighted values. In a
// batch of counterfactuals that is hundreds of equal products a call, which fills a card whatever
// the size of one.
namespace longshadow {
namespace {

constexpr std::size_t kPartRows = 512;

/// The most bytes that the scores of the parts in work take.
constexpr std::size_t kScoreBytes = std::size_t{256} << 20;

/// The columns that a part sees of one tile.
struct Tile {
  unsigned part;             ///< among the parts in work
  std::size_t first_column;  ///< prefix: of the stream; own: within the stream
  std::size_t used;          ///< prefix: columns that are real
  std::size_t first_row;     ///< own: of the part, within the stream
  bool own;
  ColumnRanges removed;  ///< prefix
  std::size_t window;    ///< own: as AttentionShape::window
  /// prefix: [rows of the part], the first column that each sees; null: all see all.
  const std::uint32_t* first_seen;

  /// Whether the part's row r sees the tile's column c.
  __device__ bool is_visible(std::size_t r, std::size_t c) const {
    const std::size_t column = first_column + c;
    if (own) {
      const std::size_t row = first_row + r;
      return column <= row && (window == 0 || row < column + window);
    }
    return c < used && (first_seen == nullptr || column >= first_seen[r]) && !removed.hold(column);
  }
};

/// Softmax of the parts' rows as far as their tiles have been seen: [parts, rows], and the weighted
/// sums of values [parts, rows, d].
template <class T>
struct Running {
  T* maxima;
  double* sums;
  T* values;
};

template <class T>
__global__ void begin_kernel(Running<T> running, std::size_t n) {
  const std::size_t i = global_thread();
  if (i >= n) return;
  running.maxima[i] = -std::numeric_limits<T>::infinity();
  running.sums[i] = 0;
}

/// A warp a row: products q.k -> exp(score - maximum), and what the row has gathered so far is
/// multiplied with what the new maximum leaves of it.
template <class T>
__global__ void absorb_kernel(const Tile* tiles, std::size_t n_tiles, std::size_t rows,
                              std::size_t width, std::size_t head_dim, Scoring<T> scoring,
                              T* scores, Running<T> running) {
  constexpr T kNothing = -std::numeric_limits<T>::infinity();
  const std::size_t index = global_warp();
  if (index >= n_tiles * rows) return;
  const Tile& tile = tiles[index / rows];
  const std::size_t r = index % rows;
  T* const row = scores + index * width;
  T highest = kNothing;
  for (std::size_t c = lane(); c < width; c += kWarp) {
    row[c] = tile.is_visible(r, c) ? scoring.score(row[c]) : kNothing;
    highest = row[c] > highest ? row[c] : highest;
  }
  highest = warp_max(highest);

  // One lane reads and writes what the row keeps; the others get it by shuffles.
  const std::size_t at = tile.part * rows + r;
  const T before = __shfl_sync(kAllLanes, lane() == 0 ? running.maxima[at] : T{0}, 0);
  const T maximum = highest > before ? highest : before;
  if (maximum == kNothing) {  // nothing is visible yet: nothing to subtract a maximum from
    for (std::size_t c = lane(); c < width; c += kWarp) row[c] = 0;
    return;
  }
  T total = 0;
  for (std::size_t c = lane(); c < width; c += kWarp) {
    row[c] = exp(row[c] - maximum);
    total += row[c];
  }
  const double sum = warp_sum(static_cast<double>(total));
  const T rescale = exp(before - maximum);
  if (lane() == 0) {
    running.maxima[at] = maximum;
    running.sums[at] = running.sums[at] * static_cast<double>(rescale) + sum;
  }
  if (before == kNothing || rescale == 1) return;
  T* const values = running.values + at * head_dim;
  for (std::size_t i = lane(); i < head_dim; i += kWarp) values[i] *= rescale;
}

/// Where a part's rows go.
struct Place {
  std::size_t first_row;  ///< of the batch
  std::size_t head;
};

/// A warp a row.
template <class T>
__global__ void finish_kernel(const Place* places, std::size_t n_parts, std::size_t rows,
                              std::size_t head_dim, Running<T> running, MatrixView<T> out,
                              MatrixView<T> log_normalisers) {
  const std::size_t at = global_warp();
  if (at >= n_parts * rows) return;
  const Place place = places[at / rows];
  const std::size_t row = place.first_row + at % rows;
  const T inverse = static_cast<T>(1 / running.sums[at]);
  T* const to = out.row(row) + place.head * head_dim;
  for (std::size_t i = lane(); i < head_dim; i += kWarp) {
    to[i] = running.values[at * head_dim + i] * inverse;
  }
  if (lane() == 0) {
    log_normalisers.row(row)[place.head] =
        static_cast<T>(static_cast<double>(running.maxima[at]) + log(running.sums[at]));
  }
}

/// One head of up to kPartRows rows of one stream, and the tiles that it has to see.
template <class T>
struct Part {
  struct Columns {
    Tile tile;
    std::size_t width;
    const T* keys;
    const T* values;
  };

  Place place;
  std::size_t n_rows;
  const T* queries;
  std::vector<Columns> columns;
  std::size_t first_seen;  ///< where its rows' first seen columns begin among all parts'

  /// Gives the prefix's tiles the columns that the rows see first.
  void see_from(const std::uint32_t* columns_there) {
    for (Columns& one : columns) {
      if (!one.tile.own) one.tile.first_seen = columns_there;
    }
  }
};

/// The products and kernels of parts that have equally many rows.
template <class T>
class PartsInWork {
 public:
  PartsInWork(Cuda& device, const AttentionShape& shape, std::span<const Part<T>> parts)
      : device_(device),
        d_(shape.head_dim),
        rows_(parts.front().n_rows),
        scoring_(shape),
        parts_(parts),
        maxima_(device, parts.size() * rows_),
        sums_(device, parts.size() * rows_),
        values_(device, parts.size() * rows_ * d_),
        scores_(device, parts.size() * rows_ * widest_tile()) {}

  void run(MatrixView<T> out, MatrixView<T> log_normalisers) {
    const std::size_t n = parts_.size() * rows_;
    launch_elements(device_, begin_kernel<T>, n, running(), n);
    std::size_t rounds = 0;
    for (const Part<T>& part : parts_) rounds = std::max(rounds, part.columns.size());
    for (std::size_t round = 0; round < rounds; ++round) absorb(round);
    std::vector<Place> places;
    for (const Part<T>& part : parts_) places.push_back(part.place);
    const DeviceArray<Place> places_there(device_, std::span<const Place>(places));
    launch_rows(device_, finish_kernel<T>, n, places_there.data(), parts_.size(), rows_, d_,
                running(), out, log_normalisers);
  }

 private:
  std::size_t widest_tile() const {
    std::size_t widest = 0;
    for (const Part<T>& part : parts_) {
      for (const auto& columns : part.columns) widest = std::max(widest, columns.width);
    }
    return widest;
  }

  Running<T> running() const { return {maxima_.data(), sums_.data(), values_.data()}; }

  /// Tile number `round` of every part that has so many, those of one width together.
  void absorb(std::size_t round) {
    std::map<std::size_t, std::vector<std::size_t>> by_width;
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      if (round < parts_[p].columns.size()) {
        by_width[parts_[p].columns[round].width].push_back(p);
      }
    }
    for (const auto& [width, members] : by_width) absorb(round, width, members);
  }

  void absorb(std::size_t round, std::size_t width, const std::vector<std::size_t>& members) {
    std::vector<Tile> tiles;
    std::vector<const T*> queries, keys, values;
    std::vector<T*> scores, sums;
    for (const std::size_t p : members) {
      typename Part<T>::Columns columns = parts_[p].columns[round];
      columns.tile.part = static_cast<unsigned>(p);
      scores.push_back(scores_.data() + tiles.size() * rows_ * width);
      tiles.push_back(columns.tile);
      queries.push_back(parts_[p].queries);
      keys.push_back(columns.keys);
      values.push_back(columns.values);
      sums.push_back(values_.data() + p * rows_ * d_);
    }
    const MatrixBatch<T> of_scores(scores, rows_, width);
    const DeviceArray<Tile> tiles_there(device_, std::span<const Tile>(tiles));
    batched_product<T, T>(device_, {queries, rows_, d_}, {keys, width, d_}, RightFactor::by_output,
                          of_scores, false);
    launch_rows(device_, absorb_kernel<T>, members.size() * rows_, tiles_there.data(),
                members.size(), rows_, width, d_, scoring_, scores_.data(), running());
    batched_product<T, T>(device_, of_scores, {values, width, d_}, RightFactor::by_input,
                          {sums, rows_, d_}, round != 0);
  }

  Cuda& device_;
  std::size_t d_;
  std::size_t rows_;
  Scoring<T> scoring_;
  std::span<const Part<T>> parts_;
  DeviceArray<T> maxima_;
  DeviceArray<double> sums_;
  DeviceArray<T> values_;
  DeviceArray<T> scores_;
};

/// The first prefix column that each row of a part sees; empty where there is no window.
std::vector<std::uint32_t> first_seen_columns(const AttentionShape& shape, const Stream& stream,
                                              std::size_t kv_head, const Range& rows,
                                              std::size_t head_rows) {
  std::vector<std::uint32_t> columns;
  if (shape.window == 0) return columns;
  for (std::size_t r = rows.begin; r < rows.end; ++r) {
    columns.push_back(
        static_cast<std::uint32_t>(first_seen_column(shape, stream, kv_head, r, head_rows)));
  }
  return columns;
}

/// The tiles that rows `rows` of the stream look at, in one KV head. `first_seen` as
/// first_seen_columns(); its copy on the device is not known yet.
template <class T>
std::vector<typename Part<T>::Columns> columns_of(const AttentionShape& shape, const Stream& stream,
                                                  std::size_t kv_head, const Range& rows,
                                                  KeysValues<const T> prefix,
                                                  KeysValues<const T> own, ColumnRanges removed,
                                                  std::span<const std::uint32_t> first_seen,
                                                  ColumnOrder order) {
  std::vector<typename Part<T>::Columns> columns;
  const Range seen = prefix_rows(stream, kv_head, prefix.keys.rows);
  const std::size_t first = first_seen.empty() ? 0 : first_seen.front();
  const bool reversed = order == ColumnOrder::reversed;
  for (const ColumnTile& tile :
       column_tiles(seen.size(), reversed ? kMinColumnTile : kMaxColumnTile)) {
    if (tile.begin + tile.used <= first) continue;
    columns.push_back({{0, tile.begin, tile.used, rows.begin, false, removed, 0, nullptr},
                       tile.width,
                       prefix.keys.all().row(seen.begin + tile.begin),
                       prefix.values.all().row(seen.begin + tile.begin)});
  }
  if (reversed) std::reverse(columns.begin(), columns.end());
  for (const ColumnTile& tile : column_tiles(rows.end)) {
    if (tile.begin + tile.used <= shape.first_seen(rows.begin)) continue;
    const std::size_t row = stream.first_row + tile.begin;
    columns.push_back({{0, tile.begin, tile.used, rows.begin, true, {}, shape.window, nullptr},
                       tile.width,
                       own.keys.head(kv_head).row(row),
                       own.values.head(kv_head).row(row)});
  }
  return columns;
}

template <class T>
void attention_on_cuda(Cuda& device, const AttentionShape& shape, HeadRows<const T> queries,
                       KeysValues<const T> prefix, KeysValues<const T> own,
                       std::span<const Stream> streams, MatrixView<T> out,
                       MatrixView<T> log_normalisers, ColumnOrder order) {
  const RemovedOnDevice removed(device, streams, shape.n_kv_heads);
  std::map<std::size_t, std::vector<Part<T>>> by_rows;
  std::vector<std::uint32_t> first_seen;  // of all parts' rows, part by part
  for (std::size_t s = 0; s < streams.size(); ++s) {
    for (std::size_t first = 0; first < streams[s].n_rows; first += kPartRows) {
      const std::size_t n_rows = std::min(kPartRows, streams[s].n_rows - first);
      const std::size_t row = streams[s].first_row + first;
      for (std::size_t head = 0; head < shape.n_heads; ++head) {
        const std::size_t kv_head = shape.kv_head_of(head);
        const Range rows{first, first + n_rows};
        const auto of_part = first_seen_columns(shape, streams[s], kv_head, rows, prefix.keys.rows);
        by_rows[n_rows].push_back({{row, head},
                                   n_rows,
                                   queries.head(head).row(row),
                                   columns_of(shape, streams[s], kv_head, rows, prefix, own,
                                              removed.of(s, kv_head), std::span(of_part), order),
                                   first_seen.size()});
        first_seen.insert(first_seen.end(), of_part.begin(), of_part.end());
      }
    }
  }
  const DeviceArray<std::uint32_t> first_seen_there(device,
                                                    std::span<const std::uint32_t>(first_seen));
  if (shape.window != 0) {
    for (auto& [n_rows, parts] : by_rows) {
      for (Part<T>& part : parts) part.see_from(first_seen_there.data() + part.first_seen);
    }
  }
  for (const auto& [n_rows, parts] : by_rows) {
    const std::size_t at_once = std::clamp<std::size_t>(
        kScoreBytes / (n_rows * kMaxColumnTile * sizeof(T)), 1, parts.size());
    for (std::size_t first = 0; first < parts.size(); first += at_once) {
      const std::size_t count = std::min(at_once, parts.size() - first);
      PartsInWork<T>(device, shape, std::span(parts).subspan(first, count))
          .run(out, log_normalisers);
    }
  }
}

}  // namespace

void implement_attention() {
  AttentionKernel::implement([](Cuda& device, const AttentionShape& shape, ConstHeadsView queries,
                                const KeysValuesView& prefix, const KeysValuesView& own,
                                std::span<const Stream> streams, TensorView out,
                                TensorView log_normalisers, ColumnOrder order) {
    with_element<float, double>("attention", queries.element, [&]<class T>() {
      attention_on_cuda<T>(device, shape, queries.as<T>(), prefix.as<T>(), own.as<T>(), streams,
                           out.as<T>(), log_normalisers.as<T>(), order);
    });
  });
}

}  // namespace longshadow
