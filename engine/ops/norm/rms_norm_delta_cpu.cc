#include <cmath>

#include "engine/backend/cpu.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/norm/rms_norm_delta.h"

namespace longshadow {
namespace {

template <class T, class P>
LONGSHADOW_PER_CPU void change_row(const T* x, const T* w, const T* dx, std::size_t cols,
                                   double epsilon, P* dy) {
  Lanes<T> squares{};
  Lanes<T> growth{};
  std::size_t c = 0;
  for (; c + kLanes<T> <= cols; c += kLanes<T>) {
    const Lanes<T> before = load(x + c);
    const Lanes<T> change = load(dx + c);
    squares += before * before;
    growth += change * (change + 2 * before);
  }
  double square_sum = sum<T>(squares);
  double growth_sum = sum<T>(growth);
  for (; c < cols; ++c) {
    square_sum += static_cast<double>(x[c] * x[c]);
    growth_sum += static_cast<double>(dx[c] * (dx[c] + 2 * x[c]));
  }
  const double size = static_cast<double>(cols);
  const double m = square_sum / size + epsilon;
  const double log_shrink = -0.5 * std::log1p(growth_sum / size / m);
  const T of_change = static_cast<T>(std::exp(log_shrink) / std::sqrt(m));
  const T of_input = static_cast<T>(std::expm1(log_shrink) / std::sqrt(m));
  for (c = 0; c + kLanes<T> <= cols; c += kLanes<T>) {
    store<T>(dy + c, load(w + c) * (load(dx + c) * of_change + load(x + c) * of_input));
  }
  for (; c < cols; ++c) dy[c] = rounded<P>(w[c] * (dx[c] * of_change + x[c] * of_input));
}

void check_rms_norm_delta(ConstTensorView x, ConstTensorView w, ConstTensorView dx,
                          std::span<const PairedRows> pairs, TensorView dy) {
  constexpr const char* kName = "rms_norm_delta";
  require_shape(kName, "w", w, 1, x.cols);
  require_shape(kName, "dx", dx, dx.rows, x.cols);
  require_shape(kName, "dy", dy, dx.rows, x.cols);
  require_pairs(kName, pairs, x.rows, dx.rows);
}

template <class T, class P>
void rms_norm_delta_on_cpu(Cpu& device, MatrixView<const T> x, MatrixView<const T> w,
                           double epsilon, MatrixView<const T> dx,
                           std::span<const PairedRows> pairs, MatrixView<P> dy) {
  for (const PairedRows& pair : pairs) {
    device.parallel_for(pair.n_rows, [&](std::size_t r) {
      change_row(x.row(pair.full_row + r), w.data, dx.row(pair.first_row + r), x.cols, epsilon,
                 dy.row(pair.first_row + r));
    });
  }
}

}  // namespace

void rms_norm_delta(Device& device, ConstTensorView x, ConstTensorView w, double epsilon,
                    ConstTensorView dx, std::span<const PairedRows> pairs, TensorView dy) {
  check_rms_norm_delta(x, w, dx, pairs, dy);
  if (RmsNormDeltaKernel::ran_elsewhere(device, x, w, epsilon, dx, pairs, dy)) return;
  with_precisions("rms_norm_delta", x.element, dy.element, [&]<class T, class P>() {
    rms_norm_delta_on_cpu<T, P>(cpu_of(device), x.as<T>(), w.as<T>(), epsilon, dx.as<T>(), pairs,
                                dy.as<P>());
  });
}

}  // namespace longshadow
