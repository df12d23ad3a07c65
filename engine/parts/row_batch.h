#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/ops/attention/attention.h"
#include "engine/ops/attention/attention_delta.h"
#include "engine/ops/common/paired_rows.h"
#include "engine/ops/common/rows.h"

namespace longshadow {

/// Rows that go through the layers together: a chunk of a document, or many counterfactuals.
/// Activations of `rows` rows are allocated with padded_rows() and one row tile beyond.
struct RowBatch {
  std::vector<std::uint32_t> positions;  ///< [padded rows], 0 for padding
  std::vector<Stream> streams;

  std::size_t padded_rows() const { return positions.size(); }
};

/// Rows that carry changes through the layers: where each stream lies in the batch, among the rows
/// of the tape, and in the text.
struct DeltaBatch {
  std::vector<std::uint32_t> positions;  ///< [padded rows]
  std::vector<DeltaStream> streams;
  std::vector<PairedRows> tape_rows;  ///< beside the tape's rows

  std::size_t padded_rows() const { return positions.size(); }
};

/// Rows that carry gradients back: every stream has the tape's rows.
struct GradientBatch {
  std::vector<std::uint32_t> positions;  ///< [padded rows]
  std::vector<PairedRows> tape_rows;     ///< beside the tape's rows
  std::size_t context;                   ///< positions before tape row 0

  std::size_t padded_rows() const { return positions.size(); }
};

/// Rows of a chunk that a tape keeps: rows [from, from + count) of the chunk become rows [to, ...)
/// of the tape.
struct KeptRows {
  std::size_t from;
  std::size_t to;
  std::size_t count;
};

/// Puts a chunk's kept rows into a tape's matrix of as many columns.
inline void keep_rows(Device& device, const KeptRows& kept, ConstTensorView chunk, Tensor& tape) {
  copy_rows(device, chunk.row_range(kept.from, kept.count),
            tape.view().row_range(kept.to, kept.count));
}

/// A matrix whose rows a batch uses in part, as far as the batch goes.
template <class M>
auto rows_of(M& matrix, std::size_t rows) {
  return matrix.view().row_range(0, rows);
}

}  // namespace longshadow
