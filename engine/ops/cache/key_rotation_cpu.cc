#include <cmath>
#include <cstddef>

#include "engine/backend/cpu.h"
#include "engine/ops/cache/key_rotation.h"

namespace longshadow {

namespace {

void check_rotate_kept_keys(std::span<const std::uint32_t> kept,
                            std::span<const double> frequencies, TensorView keys) {
  require_shape("rotate_kept_keys", "keys", keys, kept.size(), 2 * frequencies.size());
}

template <class T>
void rotate_kept_keys_on_cpu(Cpu& device, std::span<const std::uint32_t> kept,
                             std::span<const double> frequencies, MatrixView<T> keys) {
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

}  // namespace

void rotate_kept_keys(Device& device, std::span<const std::uint32_t> kept,
                      std::span<const double> frequencies, TensorView keys) {
  check_rotate_kept_keys(kept, frequencies, keys);
  if (RotateKeptKeysKernel::ran_elsewhere(device, kept, frequencies, keys)) return;
  with_element<float, double>("rotate_kept_keys", keys.element, [&]<class T>() {
    rotate_kept_keys_on_cpu<T>(cpu_of(device), kept, frequencies, keys.as<T>());
  });
}

}  // namespace longshadow
