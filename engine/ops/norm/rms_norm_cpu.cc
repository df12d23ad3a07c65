#include <cmath>

#include "engine/backend/cpu.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/norm/rms_norm.h"

namespace longshadow {
namespace {

template <class T>
LONGSHADOW_PER_CPU void normalise_row(const T* x, const T* w, std::size_t cols, double epsilon,
                                      T* y) {
  Lanes<T> squares{};
  std::size_t c = 0;
  for (; c + kLanes<T> <= cols; c += kLanes<T>) squares += load(x + c) * load(x + c);
  double total = sum<T>(squares);
  for (; c < cols; ++c) total += static_cast<double>(x[c]) * static_cast<double>(x[c]);
  const T inverse_rms =
      static_cast<T>(1.0 / std::sqrt(total / static_cast<double>(cols) + epsilon));
  for (c = 0; c < cols; ++c) y[c] = w[c] * (x[c] * inverse_rms);
}

void check_rms_norm(ConstTensorView x, ConstTensorView w, TensorView y) {
  require_shape("rms_norm", "w", w, 1, x.cols);
  require_shape("rms_norm", "y", y, x.rows, x.cols);
}

template <class T>
void rms_norm_on_cpu(Cpu& device, MatrixView<const T> x, MatrixView<const T> w, double epsilon,
                     MatrixView<T> y) {
  device.parallel_for(
      x.rows, [&](std::size_t r) { normalise_row(x.row(r), w.data, x.cols, epsilon, y.row(r)); });
}

}  // namespace

void rms_norm(Device& device, ConstTensorView x, ConstTensorView w, double epsilon, TensorView y) {
  check_rms_norm(x, w, y);
  if (RmsNormKernel::ran_elsewhere(device, x, w, epsilon, y)) return;
  with_element<float, double>("rms_norm", x.element, [&]<class T>() {
    rms_norm_on_cpu<T>(cpu_of(device), x.as<T>(), w.as<T>(), epsilon, y.as<T>());
  });
}

}  // namespace longshadow
