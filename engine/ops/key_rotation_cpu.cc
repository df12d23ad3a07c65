#include <cmath>
#include <cstddef>

#include "engine/ops/key_rotation.h"

namespace longshadow {

template <class T>
void rotate_kept_keys(Cpu& device, std::span<const std::uint32_t> kept,
                      std::span<const double> frequencies, MatrixView<T> keys) {
  check_rotate_kept_keys(kept, frequencies, keys);
  const std::size_t half = frequencies.size();
  device.parallel_for(kept.size(), [&](std::size_t row) {
    T* key = keys.row(row);
    const T steps = static_cast<T>(row) - static_cast<T>(kept[row]);
    for (std::size_t i = 0; i < half; ++i) {
      const T angle = steps * static_cast<T>(frequencies[i]);
      const T cosine = std::cos(angle), sine = std::sin(angle);
      const T first = key[i], second = key[i + half];
      key[i] = first * cosine - second * sine;
      key[i + half] = second * cosine + first * sine;
    }
  });
}

template void rotate_kept_keys(Cpu&, std::span<const std::uint32_t>, std::span<const double>,
                               MatrixView<float>);
template void rotate_kept_keys(Cpu&, std::span<const std::uint32_t>, std::span<const double>,
                               MatrixView<double>);

}  // namespace longshadow
