#include <algorithm>
#include <utility>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/cuda/launch.h"
#include "engine/cuda/product.h"
#include "engine/ops/attention/attention_delta.h"
#include "engine/ops/attention/removed_columns_cuda.h"
#include "engine/ops/attention/softmax_tile_cuda.h"
#include "engine/ops/common/column_tiles.h"
#include "engine/ops/common/rounding.h"

// As on the processor, a tile of kRowTile full rows walks over its columns, and the full pass's
// softmax of a tile is made once for all streams with rows there: it is the one product in T, ten
// times as slow as those in bf16. Here all heads and all those streams go at once: each pair of a
// stream and a head is an entry of batched products.
namespace longshadow {
namespace {

/// The weight of a column in the sums: p e, or p (1 + e).
enum class Form { change, whole };

/// The most bytes that the score changes and weights of the heads in work take.
constexpr std::size_t kScratchBytes = std::size_t{512} << 20;

/// One head of those rows of one stream that fall into the tile of full rows.
struct Entry {
  std::size_t head, kv_head;
  std::size_t tile_row;   ///< of the first row, within the tile
  std::size_t batch_row;  ///< of the first row
  std::size_t used_rows;
  std::size_t own_row;  ///< of the stream's first row, in the batch
  std::size_t prefix;
  ColumnRanges removed;
  std::size_t slot;  ///< of its sums
};

/// (q, dq) [entries, kRowTile, 2 d], by which own scores change: q.dk + dq.(k + dk).
template <class T, class P>
__global__ void joint_query_kernel(const Entry* entries, std::size_t n_entries,
                                   HeadRows<const T> queries, std::size_t full_row,
                                   HeadRows<const P> dq, P* joint) {
  const std::size_t d = dq.head_dim;
  const std::size_t i = global_thread();
  if (i >= n_entries * kRowTile * 2 * d) return;
  const Entry& entry = entries[i / (kRowTile * 2 * d)];
  const std::size_t r = i / (2 * d) % kRowTile, c = i % (2 * d);
  P value{};
  if (r < entry.used_rows) {
    value = c < d ? rounded<P>(queries.head(entry.head).row(full_row + entry.tile_row + r)[c])
                  : dq.head(entry.head).row(entry.batch_row + r)[c - d];
  }
  joint[i] = value;
}

/// (dk, k + dk) [entries, width, 2 d] and dv [entries, width, d], without changes before the
/// stream's start and behind its rows.
template <class T, class P>
__global__ void own_change_kernel(const Entry* entries, std::size_t n_entries, SoftmaxTile tile,
                                  KeysValues<const T> cache, HeadRows<const T> dk,
                                  HeadRows<const P> dv, P* joint_keys, P* value_changes) {
  const std::size_t d = dk.head_dim;
  const std::size_t i = global_thread();
  if (i >= n_entries * tile.width * d) return;
  const Entry& entry = entries[i / (tile.width * d)];
  const std::size_t position = tile.begin + i / d % tile.width, c = i % d;
  const std::size_t end = entry.prefix + (entry.batch_row - entry.own_row) + entry.used_rows;
  T change = 0;
  P value_change{};
  if (position >= entry.prefix && position < end) {
    const std::size_t row = entry.own_row + (position - entry.prefix);
    change = dk.head(entry.kv_head).row(row)[c];
    value_change = dv.head(entry.kv_head).row(row)[c];
  }
  P* const joint = joint_keys + i / d * 2 * d;
  joint[c] = rounded<P>(change);
  joint[d + c] = rounded<P>(cache.keys.head(entry.kv_head).row(position)[c] + change);
  value_changes[i] = value_change;
}

/// A warp a row of ds [entries, kRowTile, width]: score changes -> weights, by form, and where
/// `kept` is not null p (1 + e). Totals [slots, kRowTile] gain the weights' sum.
template <class T, class P>
__global__ void weigh_kernel(const Entry* entries, std::size_t n_entries, SoftmaxTile tile,
                             Form form, const T* p, const T* capped, std::size_t first_head,
                             const T* ds, Scoring<T> scoring, P* weights, P* kept, double* totals) {
  const std::size_t index = global_warp();
  if (index >= n_entries * kRowTile) return;
  const Entry& entry = entries[index / kRowTile];
  const std::size_t r = index % kRowTile;
  if (r >= entry.used_rows) return;
  const std::size_t tile_row = entry.tile_row + r;
  const std::size_t first = ((entry.head - first_head) * kRowTile + tile_row) * tile.width;
  const T* const row_p = p + first;
  T total = 0;
  double removed = 0;  // apart: a sink would drown the row's other changes in a sum of f32
  for (std::size_t c = lane(); c < tile.width; c += kWarp) {
    const std::size_t at = index * tile.width + c;
    T weight = 0, whole = 0;
    const bool is_visible = tile.is_visible(tile_row, c);
    if (is_visible && entry.removed.hold(tile.begin + c)) {
      if (form == Form::change) {
        weight = -row_p[c];
        removed += static_cast<double>(row_p[c]);
      }
    } else if (is_visible) {
      const T before = capped != nullptr ? capped[first + c] : T{0};
      const T change = row_p[c] * expm1(scoring.score_change(before, ds[at]));
      whole = row_p[c] + change;
      weight = form == Form::change ? change : whole;
      total += weight;
    }
    weights[at] = rounded<P>(weight);
    if (kept != nullptr) kept[at] = rounded<P>(whole);
  }
  const double sum = warp_sum(static_cast<double>(total) - removed);
  if (lane() == 0) totals[entry.slot * kRowTile + r] += sum;
}

/// A warp a row: from Form::change's sums [slots, kRowTile, d] the rows that kept half of their
/// attention, from Form::whole's the others. lost [slots, kRowTile] says which these are.
template <class T, class P>
__global__ void finish_kernel(const Entry* entries, std::size_t n_entries, Form form,
                              std::size_t full_row, std::size_t head_dim,
                              MatrixView<const T> attended, const T* sums, const double* totals,
                              unsigned char* lost, MatrixView<P> out) {
  const std::size_t index = global_warp();
  if (index >= n_entries * kRowTile) return;
  const Entry& entry = entries[index / kRowTile];
  const std::size_t r = index % kRowTile;
  if (r >= entry.used_rows) return;
  const std::size_t at = entry.slot * kRowTile + r;
  const double total = totals[at];
  if (form == Form::change) {
    const bool lost_most = 1 + total < 0.5;
    if (lane() == 0) lost[at] = lost_most;
    if (lost_most) return;
  } else if (lost[at] == 0) {
    return;
  }
  const T* const o = attended.row(full_row + entry.tile_row + r) + entry.head * head_dim;
  P* const to = out.row(entry.batch_row + r) + entry.head * head_dim;
  const T inverse = static_cast<T>(1 / total);
  for (std::size_t i = lane(); i < head_dim; i += kWarp) {
    const T sum = sums[at * head_dim + i];
    to[i] = rounded<P>(form == Form::change ? static_cast<T>((static_cast<double>(sum) -
                                                              total * static_cast<double>(o[i])) /
                                                             (1 + total))
                                            : sum * inverse - o[i]);
  }
}

/// The arguments of the operation.
template <class T, class P>
struct Problem {
  const AttentionShape& shape;
  const FullAttention<T, P>& full;
  HeadRows<const P> dq;
  HeadRows<const T> dk;
  HeadRows<const P> dv;
  std::span<const DeltaStream> streams;
  MatrixView<P> out;
};

/// A tile of full rows in some heads. Columns before any stream's start come in wide tiles, those
/// that may be a stream's own in tiles of kRowTile, at places that depend on the positions alone.
template <class T, class P>
class RowTile {
 public:
  RowTile(Cuda& device, const Problem<T, P>& problem, const std::vector<Entry>& entries,
          std::size_t row_tile, Range heads)
      : device_(device),
        problem_(problem),
        entries_(entries),
        full_row_(row_tile * kRowTile),
        first_start_(problem.streams.front().prefix - problem.streams.front().full_row),
        heads_(heads),
        d_(problem.shape.head_dim),
        scoring_(problem.shape),
        tiles_(column_tiles_with_cuts(first_start_ - problem.full.row_tiles_before * kRowTile,
                                      kRowTile, problem.full.row_tiles_before + row_tile + 1)),
        probabilities_(device, heads.size() * kRowTile * widest_tile()),
        capped_(device, scoring_.is_capped() ? heads.size() * kRowTile * widest_tile() : 0),
        score_changes_(device, entries.size() * kRowTile * widest_tile()),
        weights_(device, entries.size() * kRowTile * widest_tile()),
        kept_(device, entries.size() * kRowTile * kRowTile),
        joint_queries_(device, entries.size() * kRowTile * 2 * d_),
        joint_keys_(device, entries.size() * kRowTile * 2 * d_),
        value_changes_(device, entries.size() * kRowTile * d_),
        lost_(device, entries.size() * kRowTile) {}

  void run() {
    pass(Form::change, entries_);
    const std::vector<unsigned char> lost = lost_.on_host();
    std::vector<Entry> unfinished;
    for (const Entry& entry : entries_) {
      const auto first = lost.begin() + static_cast<std::ptrdiff_t>(entry.slot * kRowTile);
      const auto end = first + static_cast<std::ptrdiff_t>(entry.used_rows);
      if (std::find(first, end, 1) != end) unfinished.push_back(entry);
    }
    if (!unfinished.empty()) pass(Form::whole, unfinished);
  }

 private:
  /// Tiles become narrower from first to last, but for the cuts of kRowTile.
  std::size_t widest_tile() const { return std::max(tiles_.front().width, kRowTile); }

  T* capped() const { return scoring_.is_capped() ? capped_.data() : nullptr; }

  void pass(Form form, const std::vector<Entry>& entries) {
    sums_ = Matrix<T>(device_.memory(), entries_.size() * kRowTile, d_);
    totals_ = Matrix<double>(device_.memory(), entries_.size(), kRowTile);
    const DeviceArray<Entry> there(device_, std::span<const Entry>(entries));
    for (const ColumnTile& tile : tiles_) {
      std::vector<Entry> in_prefix, own;
      for (const Entry& entry : entries) {
        const std::size_t first = first_start_ + full_row_ + entry.tile_row;
        if (tile.begin >= first + entry.used_rows) continue;
        if (tile.begin + tile.used <= problem_.shape.first_seen(first)) continue;
        (tile.begin + tile.used <= entry.prefix ? in_prefix : own).push_back(entry);
      }
      if (in_prefix.empty() && own.empty()) continue;
      const SoftmaxTile place{tile.begin, tile.width, tile.used, first_start_ + full_row_,
                              problem_.shape.window};
      make_softmax_tile(device_, problem_.shape, problem_.full, heads_,
                        Range{full_row_, full_row_ + kRowTile}, place, probabilities_.data(),
                        capped());
      if (in_prefix.size() == entries.size()) {
        absorb_prefix(form, place, in_prefix, there);
        continue;
      }
      if (!in_prefix.empty()) {
        absorb_prefix(form, place, in_prefix, {device_, std::span<const Entry>(in_prefix)});
      }
      if (!own.empty()) absorb_own(form, place, own, {device_, std::span<const Entry>(own)});
    }
    launch_rows(device_, finish_kernel<T, P>, entries.size() * kRowTile, there.data(),
                entries.size(), form, full_row_, d_, problem_.full.attended, sums_.data(),
                totals_.data(), lost_.data(), problem_.out);
  }

  void absorb_prefix(Form form, const SoftmaxTile& tile, const std::vector<Entry>& entries,
                     const DeviceArray<Entry>& there) {
    std::vector<const P*> queries, keys;
    for (const Entry& entry : entries) {
      queries.push_back(problem_.dq.head(entry.head).row(entry.batch_row));
      keys.push_back(problem_.full.rounded_cache.keys.head(entry.kv_head).row(tile.begin));
    }
    batched_product<P, T>(device_, {queries, kRowTile, d_}, {keys, tile.width, d_},
                          RightFactor::by_output,
                          parts<T>(score_changes_, entries, kRowTile, tile.width), false);
    weigh(form, tile, entries, there, nullptr);
    add_weighted_values(tile, entries);
  }

  /// A tile of which some columns, or all, are the streams' own.
  void absorb_own(Form form, const SoftmaxTile& tile, const std::vector<Entry>& entries,
                  const DeviceArray<Entry>& there) {
    launch_elements(device_, joint_query_kernel<T, P>, entries.size() * kRowTile * 2 * d_,
                    there.data(), entries.size(), problem_.full.queries, full_row_, problem_.dq,
                    joint_queries_.data());
    launch_elements(device_, own_change_kernel<T, P>, entries.size() * tile.width * d_,
                    there.data(), entries.size(), tile, problem_.full.cache, problem_.dk,
                    problem_.dv, joint_keys_.data(), value_changes_.data());
    batched_product<P, T>(device_, parts<const P>(joint_queries_, entries, kRowTile, 2 * d_),
                          parts<const P>(joint_keys_, entries, tile.width, 2 * d_),
                          RightFactor::by_output,
                          parts<T>(score_changes_, entries, kRowTile, tile.width), false);
    weigh(form, tile, entries, there, kept_.data());
    add_weighted_values(tile, entries);
    batched_product<P, T>(device_, parts<const P>(kept_, entries, kRowTile, tile.width),
                          parts<const P>(value_changes_, entries, tile.width, d_),
                          RightFactor::by_input, sums_of(entries), true);
  }

  void weigh(Form form, const SoftmaxTile& tile, const std::vector<Entry>& entries,
             const DeviceArray<Entry>& there, P* kept) {
    launch_rows(device_, weigh_kernel<T, P>, entries.size() * kRowTile, there.data(),
                entries.size(), tile, form, static_cast<const T*>(probabilities_.data()),
                static_cast<const T*>(capped()), heads_.begin,
                static_cast<const T*>(score_changes_.data()), scoring_, weights_.data(), kept,
                totals_.data());
  }

  void add_weighted_values(const SoftmaxTile& tile, const std::vector<Entry>& entries) {
    std::vector<const P*> values;
    for (const Entry& entry : entries) {
      values.push_back(problem_.full.rounded_cache.values.head(entry.kv_head).row(tile.begin));
    }
    batched_product<P, T>(device_, parts<const P>(weights_, entries, kRowTile, tile.width),
                          {values, tile.width, d_}, RightFactor::by_input, sums_of(entries), true);
  }

  /// Equal parts of an array, a matrix [rows, cols] an entry.
  template <class Pointer, class Element>
  static MatrixBatch<Pointer> parts(const DeviceArray<Element>& array,
                                    const std::vector<Entry>& entries, std::size_t rows,
                                    std::size_t cols) {
    std::vector<Pointer*> pointers;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      pointers.push_back(array.data() + i * rows * cols);
    }
    return {std::move(pointers), rows, cols};
  }

  MatrixBatch<T> sums_of(const std::vector<Entry>& entries) {
    std::vector<T*> pointers;
    for (const Entry& entry : entries) pointers.push_back(sums_.row(entry.slot * kRowTile));
    return {std::move(pointers), kRowTile, d_};
  }

  Cuda& device_;
  const Problem<T, P>& problem_;
  const std::vector<Entry>& entries_;
  std::size_t full_row_;     ///< first of the tile
  std::size_t first_start_;  ///< position of full row 0
  Range heads_;
  std::size_t d_;
  Scoring<T> scoring_;
  std::vector<ColumnTile> tiles_;
  DeviceArray<T> probabilities_;     ///< [heads, kRowTile, width]
  DeviceArray<T> capped_;            ///< the same, of Scoring::capped(); empty where nothing is
  DeviceArray<T> score_changes_;     ///< [entries of a tile, kRowTile, width], and so on
  DeviceArray<P> weights_;           ///< [.., kRowTile, width]
  DeviceArray<P> kept_;              ///< [.., kRowTile, kRowTile]
  DeviceArray<P> joint_queries_;     ///< [.., kRowTile, 2 d]
  DeviceArray<P> joint_keys_;        ///< [.., kRowTile, 2 d]
  DeviceArray<P> value_changes_;     ///< [.., kRowTile, d]
  DeviceArray<unsigned char> lost_;  ///< [slots, kRowTile]
  Matrix<T> sums_;                   ///< [slots kRowTile, d]
  Matrix<double> totals_;            ///< [slots, kRowTile]
};

/// The streams' parts in a tile of full rows, in each of the heads.
std::vector<Entry> entries_of(std::span<const DeltaStream> streams, const AttentionShape& shape,
                              const RemovedOnDevice& removed, std::size_t first_row, Range heads) {
  std::vector<Entry> entries;
  for (std::size_t s = 0; s < streams.size(); ++s) {
    const DeltaStream& stream = streams[s];
    const std::size_t begin = std::max(stream.full_row, first_row);
    const std::size_t end = std::min(stream.full_row + stream.n_rows, first_row + kRowTile);
    if (begin >= end) continue;
    for (std::size_t head = heads.begin; head < heads.end; ++head) {
      const std::size_t kv_head = shape.kv_head_of(head);
      entries.push_back({head, kv_head, begin - first_row,
                         stream.first_row + (begin - stream.full_row), end - begin,
                         stream.first_row, stream.prefix, removed.of(s, kv_head), entries.size()});
    }
  }
  return entries;
}

template <class T, class P>
void attention_delta_on_cuda(Cuda& device, const AttentionShape& shape,
                             const FullAttention<T, P>& full, HeadRows<const P> dq,
                             HeadRows<const T> dk, HeadRows<const P> dv,
                             std::span<const DeltaStream> streams, MatrixView<P> out) {
  const RemovedOnDevice removed(device, streams, shape.n_kv_heads);
  const Problem<T, P> problem{shape, full, dq, dk, dv, streams, out};
  std::size_t end_row = 0;
  for (const DeltaStream& stream : streams) {
    end_row = std::max(end_row, stream.full_row + stream.n_rows);
  }
  const std::size_t bytes_of_head =
      streams.size() * kRowTile * kMaxColumnTile * (sizeof(T) + sizeof(P));
  const std::size_t heads_at_once =
      std::clamp<std::size_t>(kScratchBytes / bytes_of_head, 1, shape.n_heads);
  for (std::size_t row_tile = 0; row_tile * kRowTile < end_row; ++row_tile) {
    for (std::size_t head = 0; head < shape.n_heads; head += heads_at_once) {
      const Range heads{head, std::min(head + heads_at_once, shape.n_heads)};
      const std::vector<Entry> entries =
          entries_of(streams, shape, removed, row_tile * kRowTile, heads);
      if (!entries.empty()) RowTile<T, P>(device, problem, entries, row_tile, heads).run();
    }
  }
}

}  // namespace

void implement_attention_delta() {
  AttentionDeltaKernel::implement([](Cuda& device, const AttentionShape& shape,
                                     const FullAttentionView& full, ConstHeadsView dq,
                                     ConstHeadsView dk, ConstHeadsView dv,
                                     std::span<const DeltaStream> streams, TensorView out) {
    with_precisions("attention_delta", full.pass(), full.product(), [&]<class T, class P>() {
      attention_delta_on_cuda<T, P>(device, shape, full.as<T, P>(), dq.as<P>(), dk.as<T>(),
                                    dv.as<P>(), streams, out.as<P>());
    });
  });
}

}  // namespace longshadow
