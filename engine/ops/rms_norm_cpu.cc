#include <cmath>

#include "engine/ops/lanes.h"
#include "engine/ops/rms_norm.h"

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

}  // namespace

template <class T>
void rms_norm(Cpu& device, MatrixView<const T> x, MatrixView<const T> w, double epsilon,
              MatrixView<T> y) {
  check_rms_norm(x, w, y);
  device.parallel_for(
      x.rows, [&](std::size_t r) { normalise_row(x.row(r), w.data, x.cols, epsilon, y.row(r)); });
}

template void rms_norm(Cpu&, MatrixView<const float>, MatrixView<const float>, double,
                       MatrixView<float>);
template void rms_norm(Cpu&, MatrixView<const double>, MatrixView<const double>, double,
                       MatrixView<double>);

}  // namespace longshadow
