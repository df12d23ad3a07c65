#include "engine/backend/cuda/launch.h"
#include "engine/ops/rounding.h"

namespace longshadow {
namespace {

__global__ void round_kernel(MatrixView<const float> from, MatrixView<BF16> to) {
  const std::size_t i = global_thread();
  if (i >= to.rows * to.cols) return;
  to.row(i / to.cols)[i % to.cols] = to_bf16(from.row(i / to.cols)[i % to.cols]);
}

}  // namespace

void round_rows(Cuda& device, MatrixView<const float> from, MatrixView<BF16> to) {
  check_round_rows(from, to);
  launch_elements(device, round_kernel, to.rows * to.cols, from, to);
}

}  // namespace longshadow
