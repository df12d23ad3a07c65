#include "engine/cuda/launch.h"
#include "engine/ops/cache/key_rotation.h"

namespace longshadow {
namespace {

/// A thread for each pair of elements of a key; frequencies [half].
template <class T>
__global__ void kept_keys_kernel(const std::uint32_t* kept, std::size_t n_kept,
                                 const double* frequencies, std::size_t half, MatrixView<T> keys) {
  const std::size_t row = global_thread() / half, i = global_thread() % half;
  if (row >= n_kept) return;
  const T steps = static_cast<T>(row) - static_cast<T>(kept[row]);
  const T angle = steps * static_cast<T>(frequencies[i]);
  const T cosine = cos(angle), sine = sin(angle);
  T* const key = keys.row(row);
  const T first = key[i], second = key[i + half];
  key[i] = first * cosine - second * sine;
  key[i + half] = second * cosine + first * sine;
}

template <class T>
void rotate_kept_keys_on_cuda(Cuda& device, std::span<const std::uint32_t> kept,
                              std::span<const double> frequencies, MatrixView<T> keys) {
  const DeviceArray<std::uint32_t> kept_there(device, kept);
  const DeviceArray<double> frequencies_there(device, frequencies);
  launch_elements(device, kept_keys_kernel<T>, kept.size() * frequencies.size(), kept_there.data(),
                  kept.size(), frequencies_there.data(), frequencies.size(), keys);
}

}  // namespace

void implement_rotate_kept_keys() {
  RotateKeptKeysKernel::implement([](Cuda& device, std::span<const std::uint32_t> kept,
                                     std::span<const double> frequencies, TensorView keys) {
    with_element<float, double>("rotate_kept_keys", keys.element, [&]<class T>() {
      rotate_kept_keys_on_cuda<T>(device, kept, frequencies, keys.as<T>());
    });
  });
}

}  // namespace longshadow
