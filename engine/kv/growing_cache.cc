#include "engine/kv/growing_cache.h"

#include <algorithm>
#include <utility>

#include "engine/kv/key_rotation.h"

namespace longshadow {
namespace {

/// Rows that a head gets beyond those it needs.
constexpr std::size_t kRoom = 256;

template <class T>
void copy_row(const T* from, MatrixView<T> to, std::size_t row) {
  std::copy_n(from, to.cols, to.row(row));
}

}  // namespace

template <class T>
GrowingCache<T>::GrowingCache(std::pmr::memory_resource* memory, const KvCache<T>& prefilled,
                              const Compression& compression, std::span<const double> frequencies)
    : memory_(memory),
      frequencies_(frequencies.begin(), frequencies.end()),
      quantization_(compression.quantization),
      rotates_keys_(compression.rotates_keys),
      head_dim_(prefilled.layer(0).keys.head_dim) {
  for (std::size_t index = 0; index < compression.layers.size(); ++index) {
    const KeysValues<const T> full = prefilled.layer(index);
    const std::size_t rows = full.keys.rows;  // of a head, behind those of the heads before it
    std::vector<Range> by_head;
    for (std::size_t head = 0; head < full.keys.n_heads; ++head) {
      by_head.push_back({head * rows, (head + 1) * rows});
    }
    const KeysValues<const T> as_one_head{
        {full.keys.data, 1, full.keys.n_heads * rows, head_dim_},
        {full.values.data, 1, full.keys.n_heads * rows, head_dim_}};
    const auto& kept = compression.layers[index].by_head;
    layers_.push_back(gather({as_one_head, by_head}, kept, rotates_keys_));
    for (std::size_t head = 0; head < kept.size(); ++head) {
      layers_.back().heads[head].tokens = kept[head];
    }
  }
}

template <class T>
typename GrowingCache<T>::Layer GrowingCache<T>::gather(
    CachedLayer<T> from, const std::vector<std::vector<std::uint32_t>>& slots_by_head,
    bool rotates) const {
  Layer layer;
  std::size_t n_rows = 0;
  for (const std::vector<std::uint32_t>& slots : slots_by_head) {
    const std::size_t n_plain = quantization_ ? slots.size() % quantization_->group : slots.size();
    Head& head = layer.heads.emplace_back();
    head.plain = {n_rows, n_rows + n_plain};
    head.capacity = n_plain + kRoom;
    n_rows += head.capacity;
  }
  layer.keys = Matrix<T>(memory_, n_rows + kRowTile, head_dim_);
  layer.values = Matrix<T>(memory_, n_rows + kRowTile, head_dim_);
  for (std::size_t h = 0; h < slots_by_head.size(); ++h) {
    const std::vector<std::uint32_t>& slots = slots_by_head[h];
    Head& head = layer.heads[h];
    Matrix<T> keys(memory_, slots.size(), head_dim_);
    Matrix<T> values(memory_, slots.size(), head_dim_);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const std::size_t row = from.by_head[h].begin + slots[i];
      copy_row(from.rows.keys.head(0).row(row), keys.view(), i);
      copy_row(from.rows.values.head(0).row(row), values.view(), i);
    }
    if (rotates) {
      rotate_kept_keys(std::span(slots), std::span<const double>(frequencies_), keys.view());
    }
    const std::size_t n_packed = slots.size() - head.plain.size();
    for (std::size_t first = 0; first < n_packed; first += quantization_->group) {
      pack(std::as_const(keys).view(), std::as_const(values).view(), first, head);
    }
    for (std::size_t i = n_packed; i < slots.size(); ++i) {
      copy_row(std::as_const(keys).row(i), layer.keys.view(), head.plain.begin + i - n_packed);
      copy_row(std::as_const(values).row(i), layer.values.view(), head.plain.begin + i - n_packed);
    }
  }
  return layer;
}

template <class T>
void GrowingCache<T>::pack(MatrixView<const T> keys, MatrixView<const T> values, std::size_t first,
                           Head& head) const {
  const std::size_t group = quantization_->group;
  head.packed_keys.emplace_back(keys.row_range(first, group), GroupAxis::rows, *quantization_);
  head.packed_values.emplace_back(values.row_range(first, group), GroupAxis::columns,
                                  *quantization_);
}

template <class T>
CachedLayer<T> GrowingCache<T>::read(std::size_t index) {
  const Layer& layer = layers_[index];
  by_head_.clear();
  if (!quantization_) {
    for (const Head& head : layer.heads) by_head_.push_back(head.plain);
    return {{as_heads(layer.keys.view(), 1), as_heads(layer.values.view(), 1)}, by_head_};
  }
  std::size_t n_rows = 0;
  for (const Head& head : layer.heads) {
    by_head_.push_back({n_rows, n_rows + head.tokens.size()});
    n_rows += head.tokens.size();
  }
  if (unpacked_keys_.rows() < n_rows + kRowTile) {
    unpacked_keys_ = Matrix<T>(memory_, n_rows + kRoom + kRowTile, head_dim_);
    unpacked_values_ = Matrix<T>(memory_, n_rows + kRoom + kRowTile, head_dim_);
  }
  for (std::size_t h = 0; h < layer.heads.size(); ++h) {
    const Head& head = layer.heads[h];
    std::size_t row = by_head_[h].begin;
    for (std::size_t block = 0; block < head.packed_keys.size(); ++block) {
      const std::size_t count = head.packed_keys[block].rows();
      head.packed_keys[block].unpack(unpacked_keys_.view().row_range(row, count));
      head.packed_values[block].unpack(unpacked_values_.view().row_range(row, count));
      row += count;
    }
    for (std::size_t i = head.plain.begin; i < head.plain.end; ++i, ++row) {
      copy_row(layer.keys.row(i), unpacked_keys_.view(), row);
      copy_row(layer.values.row(i), unpacked_values_.view(), row);
    }
  }
  return {{as_heads(std::as_const(unpacked_keys_).view(), 1),
           as_heads(std::as_const(unpacked_values_).view(), 1)},
          by_head_};
}

template <class T>
void GrowingCache<T>::append(std::size_t index, KeysValues<const T> own, std::size_t token) {
  for (const Head& head : layers_[index].heads) {
    if (head.plain.size() == head.capacity) {
      make_room(layers_[index]);
      break;
    }
  }
  Layer& layer = layers_[index];
  for (std::size_t h = 0; h < layer.heads.size(); ++h) {
    Head& head = layer.heads[h];
    copy_row(own.keys.head(h).row(0), layer.keys.view(), head.plain.end);
    copy_row(own.values.head(h).row(0), layer.values.view(), head.plain.end);
    ++head.plain.end;
    head.tokens.push_back(static_cast<std::uint32_t>(token));
    if (quantization_ && head.plain.size() == quantization_->group) {
      pack(std::as_const(layer.keys).view(), std::as_const(layer.values).view(), head.plain.begin,
           head);
      head.plain.end = head.plain.begin;
    }
  }
}

template <class T>
void GrowingCache<T>::make_room(Layer& layer) const {
  std::size_t n_rows = 0;
  for (const Head& head : layer.heads) n_rows += head.plain.size() + kRoom;
  Matrix<T> keys(memory_, n_rows + kRowTile, head_dim_);
  Matrix<T> values(memory_, n_rows + kRowTile, head_dim_);
  std::size_t first = 0;
  for (Head& head : layer.heads) {
    const std::size_t count = head.plain.size();
    for (std::size_t i = 0; i < count; ++i) {
      copy_row(std::as_const(layer.keys).row(head.plain.begin + i), keys.view(), first + i);
      copy_row(std::as_const(layer.values).row(head.plain.begin + i), values.view(), first + i);
    }
    head.plain = {first, first + count};
    head.capacity = count + kRoom;
    first += head.capacity;
  }
  layer.keys = std::move(keys);
  layer.values = std::move(values);
}

template <class T>
void GrowingCache<T>::keep(std::size_t index,
                           const std::vector<std::vector<std::uint32_t>>& slots_by_head) {
  Layer kept = gather(read(index), slots_by_head, rotates_keys_);
  for (std::size_t h = 0; h < slots_by_head.size(); ++h) {
    for (const std::uint32_t slot : slots_by_head[h]) {
      kept.heads[h].tokens.push_back(layers_[index].heads[h].tokens[slot]);
    }
  }
  layers_[index] = std::move(kept);
}

template <class T>
std::size_t GrowingCache<T>::bytes() const {
  std::size_t total = 0;
  for (const Layer& layer : layers_) {
    for (const Head& head : layer.heads) {
      total += 2 * head.plain.size() * head_dim_ * sizeof(T);
      for (const PackedRows& packed : head.packed_keys) total += packed.bytes();
      for (const PackedRows& packed : head.packed_values) total += packed.bytes();
    }
  }
  return total;
}

template class GrowingCache<float>;
template class GrowingCache<double>;

}  // namespace longshadow
