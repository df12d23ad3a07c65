#include <cmath>

#include "engine/backend/cpu.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/projection/rotary.h"

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

void check_rotate_rows(const RotaryView& table, std::span<const std::uint32_t> positions,
                       ConstTensorView x, TensorView to) {
  require_rotation("rotate_rows", table, positions, x);
  require_shape("rotate_rows", "to", to, x.rows, x.cols);
}

template <class T, class P>
void rotate_rows_on_cpu(Cpu& device, const RotaryRows<T>& table, Turn turn,
                        std::span<const std::uint32_t> positions, MatrixView<const T> x,
                        MatrixView<P> to) {
  const T sign = turn == Turn::forward ? T{1} : T{-1};
  const std::size_t half = table.cos.cols;
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

template <class T>
void fill_rotary_table_on_cpu(Cpu& device, std::span<const double> frequencies, double scale,
                              MatrixView<T> cos, MatrixView<T> sin) {
  device.parallel_for(cos.rows, [&](std::size_t position) {
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      const double angle = static_cast<double>(position) * frequencies[i];
      const double length = frequencies[i] == 0 ? 1 : scale;
      cos.row(position)[i] = static_cast<T>(length * std::cos(angle));
      sin.row(position)[i] = static_cast<T>(length * std::sin(angle));
    }
  });
}

}  // namespace

void fill_rotary_table(Device& device, std::span<const double> frequencies, double scale,
                       TensorView cos, TensorView sin) {
  if (FillRotaryTableKernel::ran_elsewhere(device, frequencies, scale, cos, sin)) return;
  with_element<float, double>("fill_rotary_table", cos.element, [&]<class T>() {
    fill_rotary_table_on_cpu<T>(cpu_of(device), frequencies, scale, cos.as<T>(), sin.as<T>());
  });
}

template <class T, class P>
void rotate_heads(const RotaryRows<T>& table, std::span<const std::uint32_t> positions,
                  MatrixView<const T> x, HeadRows<P> to) {
  require_rotation("rotate_heads", table, positions, x);
  require_heads("rotate_heads", "to", to, x.cols / to.head_dim, x.rows, 2 * table.cos.cols);
  const std::size_t half = table.cos.cols;
  for (std::size_t head = 0; head < to.n_heads; ++head) {
    for (std::size_t r = 0; r < x.rows; ++r) {
      rotate(x.row(r) + head * 2 * half, table.cos.row(positions[r]), table.sin.row(positions[r]),
             half, to.head(head).row(r));
    }
  }
}

void rotate_rows(Device& device, const RotaryView& table, Turn turn,
                 std::span<const std::uint32_t> positions, ConstTensorView x, TensorView to) {
  check_rotate_rows(table, positions, x, to);
  if (RotateRowsKernel::ran_elsewhere(device, table, turn, positions, x, to)) return;
  with_precisions("rotate_rows", x.element, to.element, [&]<class T, class P>() {
    rotate_rows_on_cpu<T, P>(cpu_of(device), table.as<T>(), turn, positions, x.as<T>(), to.as<P>());
  });
}

template void rotate_heads(const RotaryRows<float>&, std::span<const std::uint32_t>,
                           MatrixView<const float>, HeadRows<float>);
template void rotate_heads(const RotaryRows<float>&, std::span<const std::uint32_t>,
                           MatrixView<const float>, HeadRows<BF16>);
template void rotate_heads(const RotaryRows<double>&, std::span<const std::uint32_t>,
                           MatrixView<const double>, HeadRows<double>);

}  // namespace longshadow
