#include "engine/cuda/launch.h"
#include "engine/ops/common/rounding.h"

namespace longshadow {
namespace {

__global__ void round_kernel(MatrixView<const float> from, MatrixView<BF16> to) {
  const std::size_t i = global_thread();
  if (i >= to.rows * to.cols) return;
  to.row(i / to.cols)[i % to.cols] = to_bf16(from.row(i / to.cols)[i % to.cols]);
}

}  // namespace

void implement_round_rows() {
  RoundRowsKernel::implement([](Cuda& device, ConstTensorView from, TensorView to) {
    launch_elements(device, round_kernel, to.rows * to.cols, from.as<float>(), to.as<BF16>());
  });
}

}  // namespace longshadow
