#include "engine/cuda/launch.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/projection/linear.h"
#include "engine/ops/projection/project_heads.h"

// One product for all heads, then one pass that adds the bias, rotates, takes the heads apart and
// rounds: a product a head would be too narrow for the card.
namespace longshadow {
namespace {

template <class T, class Q>
__global__ void split_kernel(MatrixView<const T> x, const T* bias, HeadRows<Q> to) {
  const std::size_t i = global_thread();
  if (i >= x.rows * x.cols) return;
  const std::size_t r = i / x.cols, c = i % x.cols;
  const T value = x.row(r)[c] + (bias != nullptr ? bias[c] : T{0});
  to.head(c / to.head_dim).row(r)[c % to.head_dim] = rounded<Q>(value);
}

/// A thread for each pair of elements that are rotated together.
template <class T, class Q>
__global__ void rotate_kernel(MatrixView<const T> x, const T* bias, MatrixView<const T> cosines,
                              MatrixView<const T> sines, const std::uint32_t* positions,
                              HeadRows<Q> to) {
  const std::size_t half = to.head_dim / 2;
  const std::size_t i = global_thread();
  if (i >= x.rows * to.n_heads * half) return;
  const std::size_t pair = i % half, head = i / half % to.n_heads, r = i / half / to.n_heads;
  const std::size_t c = head * to.head_dim + pair;
  T first = x.row(r)[c], second = x.row(r)[c + half];
  if (bias != nullptr) {
    first += bias[c];
    second += bias[c + half];
  }
  const T cosine = cosines.row(positions[r])[pair], sine = sines.row(positions[r])[pair];
  Q* const out = to.head(head).row(r);
  out[pair] = rounded<Q>(first * cosine - second * sine);
  out[pair + half] = rounded<Q>(second * cosine + first * sine);
}

/// x Wᵀ [rows, heads d]
template <class T, class P>
DeviceArray<T> projected(Cuda& device, MatrixView<const P> x, const PackedWeights& weights) {
  DeviceArray<T> sums(device, x.rows * weights.outputs());
  linear(device, x, weights, sums.rows(x.rows, weights.outputs()));
  return sums;
}

template <class T, class P, class Q>
void project_heads_on_cuda(Cuda& device, MatrixView<const P> x, const PackedWeights& weights,
                           MatrixView<const T> bias, HeadRows<Q> to) {
  const DeviceArray<T> sums = projected<T>(device, x, weights);
  launch_elements(device, split_kernel<T, Q>, sums.size(),
                  MatrixView<const T>(sums.rows(x.rows, weights.outputs())), bias.data, to);
}

template <class T, class P, class Q>
void project_rotated_heads_on_cuda(Cuda& device, MatrixView<const P> x,
                                   const PackedWeights& weights, MatrixView<const T> bias,
                                   const RotaryRows<T>& table,
                                   std::span<const std::uint32_t> positions, HeadRows<Q> to) {
  const DeviceArray<T> sums = projected<T>(device, x, weights);
  const DeviceArray<std::uint32_t> positions_there(device, positions.first(x.rows));
  launch_elements(device, rotate_kernel<T, Q>, sums.size() / 2,
                  MatrixView<const T>(sums.rows(x.rows, weights.outputs())), bias.data, table.cos,
                  table.sin, positions_there.data(), to);
}

}  // namespace

void implement_project_heads() {
  ProjectHeadsKernel::implement([](Cuda& device, ConstTensorView x, const PackedWeights& weights,
                                   ConstTensorView bias, HeadsView to) {
    with_projection(
        "project_heads", weights.element(), to.element, [&]<class T, class P, class Q>() {
          project_heads_on_cuda<T, P, Q>(device, x.as<P>(), weights, bias.as<T>(), to.as<Q>());
        });
  });
}

void implement_project_rotated_heads() {
  ProjectRotatedHeadsKernel::implement(
      [](Cuda& device, ConstTensorView x, const PackedWeights& weights, ConstTensorView bias,
         const RotaryView& table, std::span<const std::uint32_t> positions, HeadsView to) {
        with_projection("project_rotated_heads", weights.element(), to.element,
                        [&]<class T, class P, class Q>() {
                          project_rotated_heads_on_cuda<T, P, Q>(device, x.as<P>(), weights,
                                                                 bias.as<T>(), table.as<T>(),
                                                                 positions, to.as<Q>());
                        });
      });
}

}  // namespace longshadow
