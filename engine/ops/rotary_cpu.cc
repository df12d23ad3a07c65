#include <cmath>

#include "engine/ops/lanes.h"
#include "engine/ops/rotary.h"
#include "engine/ops/rounding.h"

namespace longshadow {
namespace {

/// to [2 half] = x with the pairs (i, i + half) rotated.
template <class T, class P>
LONGSHADOW_PER_CPU void rotate(const T* x, const T* cos, const T* sin, std::size_t half, P* to) {
  std::size_t i = 0;
  for (; i + kLanes<T> <= half; i += kLanes<T>) {
    const Lanes<T> first = load(x + i), second = load(x + i + half);
    const Lanes<T> c = load(cos + i), s = load(sin + i);
    store<T>(to + i, first * c - second * s);
    store<T>(to + i + half, second * c + first * s);
  }
  for (; i < half; ++i) {
    to[i] = rounded<P>(x[i] * cos[i] - x[i + half] * sin[i]);
    to[i + half] = rounded<P>(x[i + half] * cos[i] + x[i] * sin[i]);
  }
}

}  // namespace

template <class T>
RotaryTable<T> make_rotary_table(Cpu& device, std::span<const double> frequencies,
                                 std::size_t positions, double scale) {
  RotaryTable<T> table{Matrix<T>(device.memory(), positions, frequencies.size()),
                       Matrix<T>(device.memory(), positions, frequencies.size())};
  device.parallel_for(positions, [&](std::size_t position) {
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      const double angle = static_cast<double>(position) * frequencies[i];
      table.cos.row(position)[i] = static_cast<T>(scale * std::cos(angle));
      table.sin.row(position)[i] = static_cast<T>(scale * std::sin(angle));
    }
  });
  return table;
}

template <class T, class P>
void rotate_heads(const RotaryTable<T>& table, std::span<const std::uint32_t> positions,
                  MatrixView<const T> x, HeadRows<P> to) {
  require_rotation("rotate_heads", table, positions, x);
  require_heads("rotate_heads", "to", to, x.cols / to.head_dim, x.rows, 2 * table.cos.cols());
  const std::size_t half = table.cos.cols();
  for (std::size_t head = 0; head < to.n_heads; ++head) {
    for (std::size_t r = 0; r < x.rows; ++r) {
      rotate(x.row(r) + head * 2 * half, table.cos.row(positions[r]), table.sin.row(positions[r]),
             half, to.head(head).row(r));
    }
  }
}

template <class T, class P>
void rotate_rows(Cpu& device, const RotaryTable<T>& table, Turn turn,
                 std::span<const std::uint32_t> positions, MatrixView<const T> x,
                 MatrixView<P> to) {
  check_rotate_rows(table, positions, x, to);
  const T sign = turn == Turn::forward ? T{1} : T{-1};
  const std::size_t half = table.cos.cols();
  device.parallel_for(x.rows, [&](std::size_t r) {
    const T* cos = table.cos.row(positions[r]);
    const T* sin = table.sin.row(positions[r]);
    for (std::size_t head = 0; head < x.cols; head += 2 * half) {
      const T* from = x.row(r) + head;
      P* out = to.row(r) + head;
      for (std::size_t i = 0; i < half; ++i) {
        const T first = from[i], second = from[i + half], sine = sign * sin[i];
        out[i] = rounded<P>(first * cos[i] - second * sine);
        out[i + half] = rounded<P>(second * cos[i] + first * sine);
      }
    }
  });
}

template RotaryTable<float> make_rotary_table(Cpu&, std::span<const double>, std::size_t, double);
template RotaryTable<double> make_rotary_table(Cpu&, std::span<const double>, std::size_t, double);
template void rotate_heads(const RotaryTable<float>&, std::span<const std::uint32_t>,
                           MatrixView<const float>, HeadRows<float>);
template void rotate_heads(const RotaryTable<float>&, std::span<const std::uint32_t>,
                           MatrixView<const float>, HeadRows<BF16>);
template void rotate_heads(const RotaryTable<double>&, std::span<const std::uint32_t>,
                           MatrixView<const double>, HeadRows<double>);
template void rotate_rows(Cpu&, const RotaryTable<float>&, Turn, std::span<const std::uint32_t>,
                          MatrixView<const float>, MatrixView<float>);
template void rotate_rows(Cpu&, const RotaryTable<float>&, Turn, std::span<const std::uint32_t>,
                          MatrixView<const float>, MatrixView<BF16>);
template void rotate_rows(Cpu&, const RotaryTable<double>&, Turn, std::span<const std::uint32_t>,
                          MatrixView<const double>, MatrixView<double>);

}  // namespace longshadow
