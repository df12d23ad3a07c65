#include <cmath>

#include "engine/backend/cpu.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/norm/rms_norm_backward.h"

namespace longshadow {
namespace {

template <class T>
LONGSHADOW_PER_CPU void add_row(const T* x, const T* w, const T* dy, std::size_t cols,
                                double epsilon, T* dx) {
  Lanes<T> squares{};
  Lanes<T> products{};
  std::size_t c = 0;
  for (; c + kLanes<T> <= cols; c += kLanes<T>) {
    squares += load(x + c) * load(x + c);
    products += load(x + c) * (load(w + c) * load(dy + c));
  }
  double square_sum = sum<T>(squares);
  double product_sum = sum<T>(products);
  for (; c < cols; ++c) {
    square_sum += static_cast<double>(x[c] * x[c]);
    product_sum += static_cast<double>(x[c] * (w[c] * dy[c]));
  }
  const double size = static_cast<double>(cols);
  const double m = square_sum / size + epsilon;
  const T inverse_rms = static_cast<T>(1 / std::sqrt(m));
  const T of_input = static_cast<T>(product_sum / size / (m * std::sqrt(m)));
  for (c = 0; c < cols; ++c) dx[c] += w[c] * dy[c] * inverse_rms - x[c] * of_input;
}

void check_rms_norm_backward(ConstTensorView x, ConstTensorView w, ConstTensorView dy,
                             std::span<const PairedRows> pairs, TensorView dx) {
  constexpr const char* kName = "rms_norm_backward";
  require_shape(kName, "w", w, 1, x.cols);
  require_shape(kName, "dx", dx, dx.rows, x.cols);
  require_shape(kName, "dy", dy, dx.rows, x.cols);
  require_pairs(kName, pairs, x.rows, dx.rows);
}

template <class T>
void rms_norm_backward_on_cpu(Cpu& device, MatrixView<const T> x, MatrixView<const T> w,
                              double epsilon, MatrixView<const T> dy,
                              std::span<const PairedRows> pairs, MatrixView<T> dx) {
  for (const PairedRows& pair : pairs) {
    device.parallel_for(pair.n_rows, [&](std::size_t r) {
      add_row(x.row(pair.full_row + r), w.data, dy.row(pair.first_row + r), x.cols, epsilon,
              dx.row(pair.first_row + r));
    });
  }
}

}  // namespace

void rms_norm_backward(Device& device, ConstTensorView x, ConstTensorView w, double epsilon,
                       ConstTensorView dy, std::span<const PairedRows> pairs, TensorView dx) {
  check_rms_norm_backward(x, w, dy, pairs, dx);
  if (RmsNormBackwardKernel::ran_elsewhere(device, x, w, epsilon, dy, pairs, dx)) return;
  with_element<float, double>("rms_norm_backward", x.element, [&]<class T>() {
    rms_norm_backward_on_cpu<T>(cpu_of(device), x.as<T>(), w.as<T>(), epsilon, dy.as<T>(), pairs,
                                dx.as<T>());
  });
}

}  // namespace longshadow
