#pragma once

#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/ops/attention/attention.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow::test {

/// Random queries, keys and values of a batch, with the slack rows that attention() asks for.
template <class T>
struct AttentionInputs {
  AttentionShape shape;
  Matrix<T> queries, prefix_keys, prefix_values, own_keys, own_values;

  AttentionInputs(Cpu& cpu, const AttentionShape& of, std::size_t prefix_rows, std::size_t rows)
      : shape(of),
        queries(random_heads(cpu, of.n_heads, rows, 1)),
        prefix_keys(random_heads(cpu, of.n_kv_heads, prefix_rows, 2)),
        prefix_values(random_heads(cpu, of.n_kv_heads, prefix_rows, 3)),
        own_keys(random_heads(cpu, of.n_kv_heads, rows, 4)),
        own_values(random_heads(cpu, of.n_kv_heads, rows, 5)) {}

  /// The inputs where an op finds them, which Staged says.
  struct Places {
    HeadRows<const T> queries;
    KeysValuesView prefix, own;
  };
  template <class At>
  Places in(At& at) const {
    const auto kv_heads = [&](const Matrix<T>& rows) {
      return as_heads(at.in(rows), shape.n_kv_heads);
    };
    return {as_heads(at.in(queries), shape.n_heads),
            {kv_heads(prefix_keys), kv_heads(prefix_values)},
            {kv_heads(own_keys), kv_heads(own_values)}};
  }

  HeadRows<const T> query_heads() const { return as_heads(queries.view(), shape.n_heads); }
  KeysValuesView prefix() const {
    return {as_heads(prefix_keys.view(), shape.n_kv_heads),
            as_heads(prefix_values.view(), shape.n_kv_heads)};
  }
  KeysValuesView own() const {
    return {as_heads(own_keys.view(), shape.n_kv_heads),
            as_heads(own_values.view(), shape.n_kv_heads)};
  }

  /// The rows of every head get `value` beyond the first `rows`.
  static void fill_slack(Matrix<T>& heads, std::size_t n_heads, std::size_t rows, T value) {
    const std::size_t per_head = heads.rows() / n_heads;
    for (std::size_t head = 0; head < n_heads; ++head) {
      std::fill(heads.row(head * per_head + rows), heads.row((head + 1) * per_head), value);
    }
  }

  /// What row `r` of the stream computes for `head`, by the formula.
  twin::Attention expected(const Stream& stream, std::size_t r, std::size_t head) const {
    const std::size_t kv_head = head / (shape.n_heads / shape.n_kv_heads);
    const std::size_t d = shape.head_dim;
    const auto append = [&](ConstHeadsView from, std::size_t row, twin::Rows& to) {
      to.push_back(twin::row(from.head(kv_head).as<T>().row(row), d));
    };
    twin::Rows keys, values;
    const auto in_window = [&](std::size_t query, std::size_t key) {
      return shape.window == 0 || query < key + shape.window;
    };
    if (!stream.ragged_prefix.empty()) {
      const Range& seen = stream.ragged_prefix[kv_head];
      for (std::size_t j = seen.begin; j < seen.end; ++j) {
        if (shape.window != 0 &&
            !in_window(stream.first_position + r, stream.ragged_positions[j])) {
          continue;
        }
        keys.push_back(twin::row(prefix().keys.all().template as<T>().row(j), d));
        values.push_back(twin::row(prefix().values.all().template as<T>().row(j), d));
      }
    }
    for (std::size_t j = 0; j < stream.prefix; ++j) {
      bool removed = false;
      for (const Range& range : removed_from(kv_head, stream.removed)) {
        removed |= j >= range.begin && j < range.end;
      }
      if (removed || !in_window(stream.prefix + r, j)) continue;
      append(prefix().keys, j, keys);
      append(prefix().values, j, values);
    }
    for (std::size_t j = 0; j <= r; ++j) {
      if (!in_window(r, j)) continue;
      append(own().keys, stream.first_row + j, keys);
      append(own().values, stream.first_row + j, values);
    }
    return twin::attend(twin::row(query_heads().head(head).row(stream.first_row + r), d), keys,
                        values, {shape.score.scale, shape.score.cap});
  }

 private:
  Matrix<T> random_heads(Cpu& cpu, std::size_t n_heads, std::size_t rows, unsigned seed) const {
    return random_matrix<T>(cpu, n_heads * (rows + kRowTile), shape.head_dim, seed);
  }
};

/// How far a softmax weight may be off, relative to itself: a score of d products is off by d + 1
/// roundings of its magnitude, the score less the maximum by two more, which exp turns into a
/// relative error, and so is the normaliser; exp, the sum over the columns, the rescalings (at most
/// one for each) and the final quotient add the rest. A cap keeps or shrinks the score's error, and
/// brings 8 roundings of tanh and two of its own, of a score of that magnitude at most.
template <class T>
double weight_error(const AttentionShape& shape, const twin::Attention& row) {
  const double d = static_cast<double>(shape.head_dim);
  const double columns = static_cast<double>(row.weights.size());
  const double of_cap = shape.score.cap != 0 ? 2 * (8 + 2) : 0;
  return ((2 * (d + 3) + of_cap) * row.score_magnitude + columns + 16) * twin::unit_roundoff<T>;
}

}  // namespace longshadow::test
