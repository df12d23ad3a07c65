#include <algorithm>

#include "engine/backend/cpu.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/rounding.h"

namespace longshadow {
namespace {

LONGSHADOW_PER_CPU void round_row(const float* from, std::size_t cols, BF16* to) {
  std::size_t c = 0;
  for (; c + kLanes<float> <= cols; c += kLanes<float>) store<float>(to + c, load(from + c));
  for (; c < cols; ++c) to[c] = to_bf16(from[c]);
}

template <class T>
void copy_all(MatrixView<const T> from, MatrixView<T> to) {
  check_round_rows(from, to);
  for (std::size_t r = 0; r < to.rows; ++r) std::copy_n(from.row(r), to.cols, to.row(r));
}

}  // namespace

void round_rows(MatrixView<const float> from, MatrixView<BF16> to) {
  check_round_rows(from, to);
  for (std::size_t r = 0; r < to.rows; ++r) round_row(from.row(r), to.cols, to.row(r));
}

void round_rows(MatrixView<const float> from, MatrixView<float> to) { copy_all(from, to); }

void round_rows(MatrixView<const double> from, MatrixView<double> to) { copy_all(from, to); }

void round_rows(Device& device, ConstTensorView from, TensorView to) {
  check_round_rows(from, to);
  if (RoundRowsKernel::ran_elsewhere(device, from, to)) return;
  const MatrixView<const float> wide = from.as<float>();
  const MatrixView<BF16> narrow = to.as<BF16>();
  cpu_of(device).parallel_for(
      to.rows, [&](std::size_t r) { round_row(wide.row(r), to.cols, narrow.row(r)); });
}

}  // namespace longshadow
