#include <algorithm>
#include <type_traits>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/cuda/launch.h"
#include "engine/cuda/product.h"
#include "engine/ops/attention/attention_backward.h"
#include "engine/ops/attention/softmax_tile_cuda.h"
#include "engine/ops/common/column_tiles.h"
#include "engine/ops/common/paired_rows_cuda.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/common/rows.h"
#include "engine/ops/common/vocabulary_tile_cuda.h"

// Up to kRowTile rows of every stream walk over their columns: a tile's softmax, made once for all
// streams, and dout vᵀ of each stream and head become the scores' gradients, from which products
// add to the gradients of queries, keys and values. All streams and many heads go at once.
namespace longshadow {
namespace {

/// The most bytes that the gradients of weights and scores of the heads in work take.
constexpr std::size_t kScratchBytes = std::size_t{512} << 20;

/// The shape of a block: columns, a lane each, so that a warp reads neighbours; and warps, which
/// share the rows out among themselves.
constexpr unsigned kWarpsOfRows = 8;

/// A warp for one head of a row: products [batch rows, H].
template <class T>
__global__ void dout_dot_o_kernel(HeadRows<const T> dout, MatrixView<const T> attended,
                                  NumberedPairs streams, std::size_t n_rows,
                                  MatrixView<T> products) {
  const std::size_t index = global_warp();
  if (index >= n_rows * dout.n_heads) return;
  const NumberedPairs::Found at = streams.find(index / dout.n_heads);
  const std::size_t head = index % dout.n_heads, d = dout.head_dim;
  const double product =
      warp_dot(dout.head(head).row(at.row), attended.row(at.full_row) + head * d, d);
  if (lane() == 0) products.row(at.row)[head] = static_cast<T>(product);
}

/// The heads of some KV heads at [rows.begin, rows.end) of every stream, and a tile of columns.
struct WorkTile {
  Range kv_heads;
  std::size_t group;  ///< query heads of a KV head
  Range rows;
  SoftmaxTile columns;
};

/// dp of the lanes' columns from rows that are not rounded, where p is heavy.
template <class T>
__device__ T exact_where_heavy(T p, T dp, const T* dout, MatrixView<const T> values,
                               std::size_t column) {
  unsigned heavy = __ballot_sync(kAllLanes, p > kHeavy<T>);
  while (heavy != 0) {
    const auto owner = static_cast<unsigned>(__ffs(heavy) - 1);
    heavy &= heavy - 1;
    const double exact = warp_dot(dout, values.row(column - lane() + owner), values.cols);
    if (owner == lane()) dp = static_cast<T>(exact);
  }
  return dp;
}

/// A block for kWarp columns of one KV head of one stream: ds [heads, streams, rows, width] =
/// p (dp - dout.o) scale, times the slope 1 - capped² where `capped`, shaped like p, is not null;
/// and where `removals` is not null, that gains the columns' sums of
/// p (dp - dout.o) / (1 - p).
template <class T, class P>
__global__ void score_gradient_kernel(WorkTile of, NumberedPairs streams, const T* p,
                                      const T* capped, const T* dp, HeadRows<const T> dout,
                                      MatrixView<const T> dout_dot_o, HeadRows<const T> values,
                                      T scale, P* ds, MatrixView<T> removals) {
  auto* const sums = shared_memory<double>();  // [warps, columns]
  const std::size_t width = of.columns.width, n_rows = of.rows.end - of.rows.begin;
  const std::size_t n_kv_heads = of.kv_heads.end - of.kv_heads.begin;
  const std::size_t column = blockIdx.x % (width / kWarp) * kWarp + lane();
  const std::size_t kv_index = blockIdx.x / (width / kWarp) % n_kv_heads;
  const std::size_t b = blockIdx.x / (width / kWarp) / n_kv_heads;
  const std::size_t kv_head = of.kv_heads.begin + kv_index;
  const unsigned warp = threadIdx.x / kWarp;
  T sum = 0;
  for (std::size_t i = warp; i < of.group * n_rows; i += kWarpsOfRows) {
    const std::size_t slot = kv_index * of.group + i / n_rows, r = i % n_rows;
    const std::size_t head = of.kv_heads.begin * of.group + slot;
    const std::size_t row = streams.pairs[b].rows.first_row + of.rows.begin + r;
    const std::size_t at = ((slot * streams.n_pairs + b) * n_rows + r) * width + column;
    const std::size_t at_p = (slot * n_rows + r) * width + column;
    const T weight = p[at_p];
    T dweight = dp[at];
    if (!std::is_same_v<T, P> && removals.data != nullptr) {
      dweight = exact_where_heavy(weight, dweight, dout.head(head).row(row), values.head(kv_head),
                                  of.columns.begin + column);
    }
    const T above_mean = dweight - dout_dot_o.row(row)[head];
    const T slope = capped != nullptr ? (1 - capped[at_p]) * (1 + capped[at_p]) : T{1};
    ds[at] = rounded<P>(weight * above_mean * scale * slope);
    const T kept = 1 - weight > kLeastKept<T> ? 1 - weight : kLeastKept<T>;
    sum += weight / kept * above_mean;
  }
  if (removals.data == nullptr) return;
  sums[warp * kWarp + lane()] = static_cast<double>(sum);
  __syncthreads();
  if (warp != 0 || column >= of.columns.used) return;
  double total = 0;
  for (unsigned other = 0; other < kWarpsOfRows; ++other) total += sums[other * kWarp + lane()];
  const std::size_t n_all_kv_heads = removals.rows / streams.n_pairs;
  removals.row(b * n_all_kv_heads + kv_head)[of.columns.begin + column] += static_cast<T>(total);
}

/// Head rows in the precision P of products.
template <class T, class P>
class RoundedHeads {
 public:
  RoundedHeads(Cuda& device, HeadRows<const T> heads)
      : there_(device, std::is_same_v<T, P> ? 0 : heads.n_heads * heads.rows * heads.head_dim),
        view_(as_heads(rounded_rows(device, heads.all(),
                                    there_.rows(heads.n_heads * heads.rows, heads.head_dim)),
                       heads.n_heads)
                  .template as<P>()) {}

  HeadRows<const P> view() const { return view_; }

 private:
  DeviceArray<P> there_;
  HeadRows<const P> view_;
};

/// Sums of gradients in T that become rows of a matrix in P.
template <class T, class P>
class SumsOfRows {
 public:
  SumsOfRows(Cuda& device, MatrixView<P> to)
      : device_(device), to_(to), there_(device, std::is_same_v<T, P> ? 0 : to.rows * to.cols) {}

  MatrixView<T> view() const {
    if constexpr (std::is_same_v<T, P>) {
      return to_;
    } else {
      return there_.rows(to_.rows, to_.cols);
    }
  }

  void finish(std::span<const PairedRows> streams) const {
    if constexpr (!std::is_same_v<T, P>) {
      for (const PairedRows& stream : streams) {
        round_rows(device_, MatrixView<const T>(view().row_range(stream.first_row, stream.n_rows)),
                   to_.row_range(stream.first_row, stream.n_rows));
      }
    }
  }

 private:
  Cuda& device_;
  MatrixView<P> to_;
  DeviceArray<T> there_;
};

template <class T, class P>
class BackwardPass {
 public:
  BackwardPass(Cuda& device, const AttentionShape& shape, const FullAttention<T, P>& full,
               std::size_t prefix, HeadRows<const T> dout, std::span<const PairedRows> streams,
               const AttentionGradients<T, P>& gradients)
      : device_(device),
        shape_(shape),
        full_(full),
        prefix_(prefix),
        dout_(dout),
        streams_(streams),
        gradients_(gradients),
        d_(shape.head_dim),
        rows_at_once_(std::min(kRowTile, streams.front().n_rows)),
        kv_heads_at_once_(kv_heads_at_once()),
        streams_there_(device, streams),
        rounded_queries_(device, full.queries),
        rounded_dout_(device, dout),
        value_sums_(device, gradients.values),
        dout_dot_o_(device, gradients.queries.rows * shape.n_heads),
        p_(device, tile_elements(1)),
        capped_(device, shape.score.cap != 0 ? tile_elements(1) : 0),
        rounded_p_(device, std::is_same_v<T, P> ? 0 : tile_elements(1)),
        dp_(device, tile_elements(streams.size())),
        ds_(device, tile_elements(streams.size())) {}

  void run() {
    launch_rows(device_, dout_dot_o_kernel<T>, streams_there_.n_rows() * shape_.n_heads, dout_,
                full_.attended, streams_there_.view(), streams_there_.n_rows(),
                dout_dot_o_.rows(gradients_.queries.rows, shape_.n_heads));
    fill_rows(device_, T{0}, gradients_.removals);
    for (std::size_t first = 0; first < shape_.n_kv_heads; first += kv_heads_at_once_) {
      absorb_heads({first, std::min(first + kv_heads_at_once_, shape_.n_kv_heads)});
    }
    value_sums_.finish(streams_);
  }

 private:
  std::size_t kv_heads_at_once() const {
    const std::size_t bytes = streams_.size() * shape_.group_size() * rows_at_once_ *
                              kMaxColumnTile * (sizeof(T) + sizeof(P));
    return std::clamp<std::size_t>(kScratchBytes / bytes, 1, shape_.n_kv_heads);
  }
  /// The elements of a tile of all heads in work, `each` times.
  std::size_t tile_elements(std::size_t each) const {
    return kv_heads_at_once_ * shape_.group_size() * each * rows_at_once_ * kMaxColumnTile;
  }

  /// Columns of the prefix come in wide tiles, the streams' own in tiles of kRowTile, as rows do.
  void absorb_heads(const Range& kv_heads) {
    const std::size_t n_rows = streams_.front().n_rows;
    for (std::size_t first = 0; first < n_rows; first += kRowTile) {
      const Range rows{first, std::min(first + kRowTile, n_rows)};
      bool is_first = true;
      const std::size_t first_seen = shape_.first_seen(prefix_ + rows.begin);
      const auto absorb = [&](std::size_t begin, std::size_t width, std::size_t used) {
        if (begin + used <= first_seen) return;
        const WorkTile tile{kv_heads,
                            shape_.group_size(),
                            rows,
                            {begin, width, used, prefix_ + rows.begin, shape_.window}};
        make_score_gradients(tile);
        add_to_queries(tile, is_first);
        if (begin >= prefix_) add_to_keys_and_values(tile);
        is_first = false;
      };
      for (const ColumnTile& tile : column_tiles(prefix_))
        absorb(tile.begin, tile.width, tile.used);
      for (std::size_t own = 0; own < rows.end; own += kRowTile) {
        absorb(prefix_ + own, kRowTile, std::min(kRowTile, rows.end - own));
      }
    }
  }

  T* capped() const { return shape_.score.cap != 0 ? capped_.data() : nullptr; }

  static Range heads_of(const WorkTile& tile) {
    return {tile.kv_heads.begin * tile.group, tile.kv_heads.end * tile.group};
  }

  /// Calls body(slot, head, stream) for every pair of a head in work and a stream.
  template <class Body>
  void for_each_entry(const WorkTile& tile, const Body& body) const {
    const Range heads = heads_of(tile);
    for (std::size_t head = heads.begin; head < heads.end; ++head) {
      for (std::size_t b = 0; b < streams_.size(); ++b) {
        body((head - heads.begin) * streams_.size() + b, head, streams_[b]);
      }
    }
  }

  /// ds [heads, streams, rows, width], and what the prefix's columns bring.
  void make_score_gradients(const WorkTile& tile) {
    const SoftmaxTile& columns = tile.columns;
    const std::size_t full_row = streams_.front().full_row;
    make_softmax_tile(device_, shape_, full_, heads_of(tile),
                      Range{full_row + tile.rows.begin, full_row + tile.rows.end}, columns,
                      p_.data(), capped());
    std::vector<const P*> dout, values;
    std::vector<T*> dp;
    for_each_entry(tile, [&](std::size_t slot, std::size_t head, const PairedRows& stream) {
      dout.push_back(rounded_dout_.view().head(head).row(stream.first_row + tile.rows.begin));
      values.push_back(full_.rounded_cache.values.head(shape_.kv_head_of(head)).row(columns.begin));
      dp.push_back(dp_.data() + slot * tile.rows.size() * columns.width);
    });
    batched_product<P, T>(device_, {dout, tile.rows.size(), d_}, {values, columns.width, d_},
                          RightFactor::by_output, {dp, tile.rows.size(), columns.width}, false);
    launch(device_, score_gradient_kernel<T, P>,
           streams_.size() * tile.kv_heads.size() * (columns.width / kWarp), kWarpsOfRows * kWarp,
           kWarpsOfRows * kWarp * sizeof(double), tile, streams_there_.view(),
           static_cast<const T*>(p_.data()), static_cast<const T*>(capped()),
           static_cast<const T*>(dp_.data()), dout_,
           MatrixView<const T>(dout_dot_o_.rows(gradients_.queries.rows, shape_.n_heads)),
           full_.cache.values, shape_.template product_scale<T>(), ds_.data(),
           columns.begin < prefix_ ? gradients_.removals : MatrixView<T>{});
  }

  /// dq += ds k
  void add_to_queries(const WorkTile& tile, bool is_first) {
    std::vector<const P*> ds, keys;
    std::vector<T*> dq;
    for_each_entry(tile, [&](std::size_t slot, std::size_t head, const PairedRows& stream) {
      ds.push_back(ds_.data() + slot * tile.rows.size() * tile.columns.width);
      keys.push_back(
          full_.rounded_cache.keys.head(shape_.kv_head_of(head)).row(tile.columns.begin));
      dq.push_back(gradients_.queries.row(stream.first_row + tile.rows.begin) + head * d_);
    });
    batched_product<P, T>(device_, {ds, tile.rows.size(), tile.columns.width},
                          {keys, tile.columns.width, d_}, RightFactor::by_input,
                          {dq, tile.rows.size(), d_, gradients_.queries.stride}, !is_first);
  }

  /// dk += dsᵀ q and dv += pᵀ dout for the streams' own columns, one query head of each KV head
  /// after the other.
  void add_to_keys_and_values(const WorkTile& tile) {
    const std::size_t tile_size = tile.rows.size() * tile.columns.width;
    const std::size_t rows = heads_of(tile).size() * tile.rows.size();
    const MatrixView<const P> p = rounded_rows(device_, p_.rows(rows, tile.columns.width),
                                               rounded_p_.rows(rows, tile.columns.width))
                                      .template as<P>();
    for (std::size_t member = 0; member < tile.group; ++member) {
      std::vector<const P*> ds, queries, weights, dout;
      std::vector<T*> dk, dv;
      for_each_entry(tile, [&](std::size_t slot, std::size_t head, const PairedRows& stream) {
        if (head % tile.group != member) return;
        const std::size_t to_row = stream.first_row + (tile.columns.begin - prefix_);
        const std::size_t to_col = shape_.kv_head_of(head) * d_;
        ds.push_back(ds_.data() + slot * tile_size);
        queries.push_back(
            rounded_queries_.view().head(head).row(stream.full_row + tile.rows.begin));
        weights.push_back(p.data + slot / streams_.size() * tile_size);
        dout.push_back(rounded_dout_.view().head(head).row(stream.first_row + tile.rows.begin));
        dk.push_back(gradients_.keys.row(to_row) + to_col);
        dv.push_back(value_sums_.view().row(to_row) + to_col);
      });
      const bool is_first = member == 0 && prefix_ + tile.rows.begin == tile.columns.begin;
      add_transposed(tile, ds, queries, dk, gradients_.keys.stride, is_first);
      add_transposed(tile, weights, dout, dv, value_sums_.view().stride, is_first);
    }
  }

  /// to [used columns, d] += weights [rows, columns]ᵀ factors [rows, d], or = where `is_first`.
  void add_transposed(const WorkTile& tile, const std::vector<const P*>& weights,
                      const std::vector<const P*>& factors, const std::vector<T*>& to,
                      std::size_t to_stride, bool is_first) {
    batched_transposed_product<P, T>(
        device_, {weights, tile.rows.size(), tile.columns.used, tile.columns.width},
        {factors, tile.rows.size(), d_}, {to, tile.columns.used, d_, to_stride}, !is_first);
  }

  Cuda& device_;
  const AttentionShape& shape_;
  const FullAttention<T, P>& full_;
  std::size_t prefix_;
  HeadRows<const T> dout_;
  std::span<const PairedRows> streams_;
  const AttentionGradients<T, P>& gradients_;
  std::size_t d_;
  std::size_t rows_at_once_;
  std::size_t kv_heads_at_once_;
  PairsOnDevice streams_there_;
  RoundedHeads<T, P> rounded_queries_;
  RoundedHeads<T, P> rounded_dout_;
  SumsOfRows<T, P> value_sums_;
  DeviceArray<T> dout_dot_o_;  ///< [batch rows, H]
  DeviceArray<T> p_;           ///< [heads, rows, width]
  DeviceArray<T> capped_;      ///< the same, of Scoring::capped(); empty where nothing is capped
  DeviceArray<P> rounded_p_;   ///< the same, where P is not T
  DeviceArray<T> dp_;          ///< [heads, streams, rows, width]
  DeviceArray<P> ds_;          ///< the same
};

template <class T, class P>
void attention_backward_on_cuda(Cuda& device, const AttentionShape& shape,
                                const FullAttention<T, P>& full, std::size_t prefix,
                                HeadRows<const T> dout, std::span<const PairedRows> streams,
                                const AttentionGradients<T, P>& gradients) {
  BackwardPass<T, P>(device, shape, full, prefix, dout, streams, gradients).run();
}

}  // namespace

void implement_attention_backward() {
  AttentionBackwardKernel::implement([](Cuda& device, const AttentionShape& shape,
                                        const FullAttentionView& full, std::size_t prefix,
                                        ConstHeadsView dout, std::span<const PairedRows> streams,
                                        const AttentionGradientsView& gradients) {
    with_precisions("attention_backward", full.pass(), full.product(), [&]<class T, class P>() {
      attention_backward_on_cuda<T, P>(device, shape, full.as<T, P>(), prefix, dout.as<T>(),
                                       streams, gradients.as<T, P>());
    });
  });
}

}  // namespace longshadow
