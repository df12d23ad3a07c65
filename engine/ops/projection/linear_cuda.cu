#include <algorithm>
#include <type_traits>

#include "engine/cuda/launch.h"
#include "engine/cuda/product.h"
#include "engine/ops/projection/linear.h"

namespace longshadow {
namespace {

/// Outputs whose weights are widened at a time: with a full pass's chunk of 512 rows they make 128
/// tiles of 128 by 128 sums, which fill a card.
constexpr std::size_t kWidenedOutputs = 4096;

/// Weights that are widened at a time for few rows, whose product takes no longer than reading
/// them. 16 MB of f32 are still in a card's second-level cache when they are multiplied, so that
/// its memory is read for two bytes a weight alone.
constexpr std::size_t kWidenedForFew = std::size_t{4} << 20;

__global__ void widen_kernel(MatrixView<const BF16> from, MatrixView<float> to) {
  const std::size_t i = global_thread();
  if (i >= to.rows * to.cols) return;
  to.row(i / to.cols)[i % to.cols] = to_float(from.row(i / to.cols)[i % to.cols]);
}

/// One token's rows are so few that the weights take longer to read than to multiply, and come to
/// no more with anything else.
template <class P, class T>
void multiply(Cuda& device, MatrixView<const P> x, MatrixView<const P> w, RightFactor layout,
              MatrixView<T> y, bool accumulate) {
  if (x.rows == kFewRows) {
    product_of_fixed_rows(device, x, w, layout, y, accumulate);
  } else {
    product(device, x, w, layout, y, accumulate);
  }
}

/// Some outputs after the other, each with its weights in f32.
void multiply_widened(Cuda& device, MatrixView<const float> x, const PackedWeights& weights,
                      MatrixView<float> y, bool accumulate) {
  const MatrixView<const BF16> narrow = weights.bf16_rows().as<BF16>();
  const std::size_t inputs = weights.inputs(), outputs = weights.outputs();
  const std::size_t at_once =
      x.rows == kFewRows
          ? std::max(kOutputMultiple, kWidenedForFew / inputs / kOutputMultiple * kOutputMultiple)
          : kWidenedOutputs;
  const DeviceArray<float> wide(device, std::min(at_once, outputs) * inputs);
  for (std::size_t first = 0; first < outputs; first += at_once) {
    const std::size_t count = std::min(at_once, outputs - first);
    const MatrixView<const BF16> part = weights.layout() == RightFactor::by_output
                                            ? narrow.row_range(first, count)
                                            : narrow.column_range(first, count);
    const MatrixView<float> there = wide.rows(part.rows, part.cols);
    launch_elements(device, widen_kernel, count * inputs, part, there);
    multiply(device, x, MatrixView<const float>(there), weights.layout(),
             y.column_range(first, count), accumulate);
  }
}

template <class T, class P>
void linear_on_cuda(Cuda& device, MatrixView<const P> x, const PackedWeights& weights,
                    MatrixView<T> y, Write write) {
  if constexpr (std::is_same_v<P, float>) {
    if (weights.bf16_rows().data != nullptr) {
      multiply_widened(device, x, weights, y, write == Write::add);
      return;
    }
  }
  multiply(device, x, weights.rows().as<P>(), weights.layout(), y, write == Write::add);
}

}  // namespace

void implement_linear() {
  LinearKernel::implement(
      [](Cuda& device, ConstTensorView x, const PackedWeights& weights, TensorView y, Write write) {
        with_precisions("linear", y.element, weights.element(), [&]<class T, class P>() {
          linear_on_cuda<T, P>(device, x.as<P>(), weights, y.as<T>(), write);
        });
      });
}

}  // namespace longshadow
