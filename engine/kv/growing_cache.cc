#include "engine/kv/growing_cache.h"

#include <algorithm>
#include <utility>

#include "engine/backend/device.h"
#include "engine/core/require.h"
#include "engine/ops/cache/key_rotation.h"
#include "engine/ops/common/rows.h"

namespace longshadow {
namespace {

/// Rows that a head gets beyond those it needs.
constexpr std::size_t kRoom = 256;

/// Rows [from, from + count) of one matrix become rows [to, to + count) of another.
void copy_row_range(Device& device, const Tensor& source, std::size_t from, std::size_t count,
                    Tensor& target, std::size_t to) {
  copy_rows(device, source.view().row_range(from, count), target.view().row_range(to, count));
}

}  // namespace

GrowingCache::GrowingCache(Device& device, const KvCache& prefilled, const Compression& compression,
                           std::span<const std::vector<double>> frequencies)
    : device_(&device),
      element_(prefilled.element()),
      frequencies_(frequencies.begin(), frequencies.end()),
      quantization_(compression.quantization),
      rotates_keys_(compression.rotates_keys),
      head_dim_(prefilled.layer(0).keys.head_dim) {
  require_compression(compression, prefilled.n_layers(), prefilled.layer(0).keys.n_heads,
                      prefilled.layer(0).keys.rows, head_dim_, frequencies);
  for (std::size_t index = 0; index < compression.layers.size(); ++index) {
    const KeysValuesView full = prefilled.layer(index);
    const std::size_t rows = full.keys.rows;  // of a head, behind those of the heads before it
    std::vector<Range> by_head;
    for (std::size_t head = 0; head < full.keys.n_heads; ++head) {
      by_head.push_back({head * rows, (head + 1) * rows});
    }
    const KeysValuesView as_one_head{as_heads(full.keys.all(), 1), as_heads(full.values.all(), 1)};
    const auto& [n_slots, kept, window] = compression.layers[index];
    layers_.push_back(gather(moving_frequencies(index, window), {as_one_head, by_head}, kept));
    layers_.back().window = window;
    if (window != 0) layers_.back().first_seen = n_slots + 1 - std::min(window, n_slots + 1);
    for (std::size_t head = 0; head < kept.size(); ++head) {
      layers_.back().heads[head].tokens = kept[head];
    }
    drop_unseen(layers_.back());
  }
}

GrowingCache::Layer GrowingCache::gather(
    std::span<const double> frequencies, CachedLayer from,
    const std::vector<std::vector<std::uint32_t>>& slots_by_head) const {
  Layer layer;
  std::size_t n_rows = 0;
  for (const std::vector<std::uint32_t>& slots : slots_by_head) {
    const std::size_t n_plain = quantization_ ? slots.size() % quantization_->group : slots.size();
    Head& head = layer.heads.emplace_back();
    head.plain = {n_rows, n_rows + n_plain};
    head.capacity = n_plain + kRoom;
    n_rows += head.capacity;
  }
  layer.keys = Tensor(device_->memory(), element_, n_rows + kRowTile, head_dim_);
  layer.values = Tensor(device_->memory(), element_, n_rows + kRowTile, head_dim_);
  for (std::size_t h = 0; h < slots_by_head.size(); ++h) {
    const std::vector<std::uint32_t>& slots = slots_by_head[h];
    Head& head = layer.heads[h];
    const Range& rows = from.by_head[h];
    const std::vector<std::int32_t> ids(slots.begin(), slots.end());
    Tensor keys(device_->memory(), element_, slots.size(), head_dim_);
    Tensor values(device_->memory(), element_, slots.size(), head_dim_);
    gather_rows(*device_, from.rows.keys.head(0).row_range(rows.begin, rows.size()), ids,
                keys.view());
    gather_rows(*device_, from.rows.values.head(0).row_range(rows.begin, rows.size()), ids,
                values.view());
    if (!frequencies.empty()) {
      rotate_kept_keys(*device_, std::span(slots), frequencies, keys.view());
    }
    const std::size_t n_plain = head.plain.size(), n_packed = slots.size() - n_plain;
    if (n_packed != 0) {
      pack(keys.view().row_range(0, n_packed), values.view().row_range(0, n_packed), head);
    }
    copy_row_range(*device_, keys, n_packed, n_plain, layer.keys, head.plain.begin);
    copy_row_range(*device_, values, n_packed, n_plain, layer.values, head.plain.begin);
  }
  return layer;
}

void GrowingCache::pack(ConstTensorView keys, ConstTensorView values, Head& head) const {
  head.packed_keys.emplace_back(*device_, keys, GroupAxis::rows, *quantization_);
  head.packed_values.emplace_back(*device_, values, GroupAxis::columns, *quantization_);
}

CachedLayer GrowingCache::read(std::size_t index) {
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
    unpacked_keys_ = Tensor(device_->memory(), element_, n_rows + kRoom + kRowTile, head_dim_);
    unpacked_values_ = Tensor(device_->memory(), element_, n_rows + kRoom + kRowTile, head_dim_);
  }
  for (std::size_t h = 0; h < layer.heads.size(); ++h) {
    const Head& head = layer.heads[h];
    std::size_t row = by_head_[h].begin;
    for (std::size_t block = 0; block < head.packed_keys.size(); ++block) {
      const std::size_t count = head.packed_keys[block].rows();
      head.packed_keys[block].unpack(*device_, unpacked_keys_.view().row_range(row, count));
      head.packed_values[block].unpack(*device_, unpacked_values_.view().row_range(row, count));
      row += count;
    }
    const Range& plain = head.plain;
    copy_row_range(*device_, layer.keys, plain.begin, plain.size(), unpacked_keys_, row);
    copy_row_range(*device_, layer.values, plain.begin, plain.size(), unpacked_values_, row);
    by_head_[h].begin += n_unseen(layer, head);
  }
  return {{as_heads(unpacked_keys_.view(), 1), as_heads(unpacked_values_.view(), 1)}, by_head_};
}

void GrowingCache::append(std::size_t index, KeysValuesView own, std::size_t token) {
  const std::size_t n_heads = layers_[index].heads.size();
  require_heads("GrowingCache::append", "own.keys", own.keys, n_heads, 1, head_dim_);
  require_heads("GrowingCache::append", "own.values", own.values, n_heads, 1, head_dim_);
  for (const Head& head : layers_[index].heads) {
    if (head.plain.size() == head.capacity) {
      make_room(layers_[index]);
      break;
    }
  }
  Layer& layer = layers_[index];
  for (std::size_t h = 0; h < layer.heads.size(); ++h) {
    Head& head = layer.heads[h];
    copy_rows(*device_, own.keys.head(h).row_range(0, 1),
              layer.keys.view().row_range(head.plain.end, 1));
    copy_rows(*device_, own.values.head(h).row_range(0, 1),
              layer.values.view().row_range(head.plain.end, 1));
    ++head.plain.end;
    head.tokens.push_back(static_cast<std::uint32_t>(token));
    if (quantization_ && head.plain.size() == quantization_->group) {
      pack(std::as_const(layer.keys).view().row_range(head.plain.begin, head.plain.size()),
           std::as_const(layer.values).view().row_range(head.plain.begin, head.plain.size()), head);
      head.plain.end = head.plain.begin;
    }
  }
  if (layer.window != 0) layer.first_seen = token + 2 - std::min(layer.window, token + 2);
  drop_unseen(layer);
}

std::size_t GrowingCache::n_unseen(const Layer& layer, const Head& head) {
  const auto seen = std::ranges::lower_bound(head.tokens, layer.first_seen);
  return static_cast<std::size_t>(seen - head.tokens.begin());
}

void GrowingCache::drop_unseen(Layer& layer) const {
  for (Head& head : layer.heads) {
    std::size_t count = n_unseen(layer, head);
    if (quantization_) {
      std::size_t dropped = 0;
      while (!head.packed_keys.empty() && dropped + head.packed_keys.front().rows() <= count) {
        dropped += head.packed_keys.front().rows();
        head.packed_keys.erase(head.packed_keys.begin());
        head.packed_values.erase(head.packed_values.begin());
      }
      count = dropped;
    } else {
      head.plain.begin += count;
      head.capacity -= count;
    }
    head.tokens.erase(head.tokens.begin(),
                      head.tokens.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

void GrowingCache::make_room(Layer& layer) const {
  std::size_t n_rows = 0;
  for (const Head& head : layer.heads) n_rows += head.plain.size() + kRoom;
  Tensor keys(device_->memory(), element_, n_rows + kRowTile, head_dim_);
  Tensor values(device_->memory(), element_, n_rows + kRowTile, head_dim_);
  std::size_t first = 0;
  for (Head& head : layer.heads) {
    const std::size_t count = head.plain.size();
    copy_row_range(*device_, layer.keys, head.plain.begin, count, keys, first);
    copy_row_range(*device_, layer.values, head.plain.begin, count, values, first);
    head.plain = {first, first + count};
    head.capacity = count + kRoom;
    first += head.capacity;
  }
  layer.keys = std::move(keys);
  layer.values = std::move(values);
}

void GrowingCache::keep(std::size_t index,
                        const std::vector<std::vector<std::uint32_t>>& slots_by_head) {
  require_equal("GrowingCache::keep", "slots_by_head.size()", slots_by_head.size(),
                layers_[index].heads.size());
  for (std::size_t h = 0; h < slots_by_head.size(); ++h) {
    require_ascending("GrowingCache::keep", "slots", std::span(slots_by_head[h]));
    require_below("GrowingCache::keep", "slots", std::span(slots_by_head[h]),
                  layers_[index].heads[h].tokens.size());
  }
  const std::size_t window = layers_[index].window;
  Layer kept = gather(moving_frequencies(index, window), read(index), slots_by_head);
  kept.window = window;
  kept.first_seen = layers_[index].first_seen;
  for (std::size_t h = 0; h < slots_by_head.size(); ++h) {
    for (const std::uint32_t slot : slots_by_head[h]) {
      kept.heads[h].tokens.push_back(layers_[index].heads[h].tokens[slot]);
    }
  }
  layers_[index] = std::move(kept);
}

std::size_t GrowingCache::bytes() const {
  std::size_t total = 0;
  for (const Layer& layer : layers_) {
    for (const Head& head : layer.heads) {
      total += 2 * head.plain.size() * head_dim_ * size_of(element_);
      for (const PackedRows& packed : head.packed_keys) total += packed.bytes();
      for (const PackedRows& packed : head.packed_values) total += packed.bytes();
    }
  }
  return total;
}

}  // namespace longshadow
