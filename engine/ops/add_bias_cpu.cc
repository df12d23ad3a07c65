#include "engine/ops/add_bias.h"

namespace longshadow {

template <class T>
void add_bias(Cpu& device, MatrixView<const T> bias, MatrixView<T> x) {
  check_add_bias(bias, x);
  if (bias.rows == 0) return;
  device.parallel_for(x.rows, [&](std::size_t r) {
    for (std::size_t c = 0; c < x.cols; ++c) x.row(r)[c] += bias.row(0)[c];
  });
}

template void add_bias(Cpu&, MatrixView<const float>, MatrixView<float>);
template void add_bias(Cpu&, MatrixView<const double>, MatrixView<double>);

}  // namespace longshadow
