#include <cmath>

#include "engine/ops/rotary.h"

namespace longshadow {

template <class Device, class T>
RotaryTable<T> make_rotary_table(Device& device, std::span<const double> frequencies,
                                 std::size_t positions) {
  RotaryTable<T> table{Matrix<T>(device.memory(), positions, frequencies.size()),
                       Matrix<T>(device.memory(), positions, frequencies.size())};
  device.parallel_for(positions, [&](std::size_t position) {
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      const double angle = static_cast<double>(position) * frequencies[i];
      table.cos.row(position)[i] = static_cast<T>(std::cos(angle));
      table.sin.row(position)[i] = static_cast<T>(std::sin(angle));
    }
  });
  return table;
}

template <class Device, class T>
void rotate_heads(Device& device, const RotaryTable<T>& table,
                  std::span<const std::uint32_t> positions, MatrixView<const T> x, HeadRows<T> to) {
  const std::size_t half = table.cos.cols();
  device.parallel_for(x.rows, [&](std::size_t r) {
    const T* cos = table.cos.row(positions[r]);
    const T* sin = table.sin.row(positions[r]);
    for (std::size_t head = 0; head < to.n_heads; ++head) {
      const T* from = x.row(r) + head * 2 * half;
      T* out = to.head(head).row(r);
      for (std::size_t i = 0; i < half; ++i) {
        out[i] = from[i] * cos[i] - from[i + half] * sin[i];
        out[i + half] = from[i + half] * cos[i] + from[i] * sin[i];
      }
    }
  });
}

template RotaryTable<float> make_rotary_table(Cpu&, std::span<const double>, std::size_t);
template RotaryTable<double> make_rotary_table(Cpu&, std::span<const double>, std::size_t);
template void rotate_heads(Cpu&, const RotaryTable<float>&, std::span<const std::uint32_t>,
                           MatrixView<const float>, HeadRows<float>);
template void rotate_heads(Cpu&, const RotaryTable<double>&, std::span<const std::uint32_t>,
                           MatrixView<const double>, HeadRows<double>);

}  // namespace longshadow
