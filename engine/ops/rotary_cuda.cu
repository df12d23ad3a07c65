#include "engine/backend/cuda/launch.h"
#include "engine/ops/rotary.h"

namespace longshadow {
namespace {

template <class T>
__global__ void rotary_table_kernel(const double* frequencies, std::size_t half,
                                    std::size_t positions, T* cosines, T* sines) {
  const std::size_t i = global_thread();
  if (i >= positions * half) return;
  const double angle = static_cast<double>(i / half) * frequencies[i % half];
  cosines[i] = static_cast<T>(cos(angle));
  sines[i] = static_cast<T>(sin(angle));
}

}  // namespace

template <class Device, class T>
RotaryTable<T> make_rotary_table(Device& device, std::span<const double> frequencies,
                                 std::size_t positions) {
  const std::size_t half = frequencies.size();
  RotaryTable<T> table{Matrix<T>(device.memory(), positions, half),
                       Matrix<T>(device.memory(), positions, half)};
  const DeviceArray<double> frequencies_there(device, frequencies);
  launch_elements(device, rotary_table_kernel<T>, positions * half, frequencies_there.data(), half,
                  positions, table.cos.data(), table.sin.data());
  return table;
}

template RotaryTable<float> make_rotary_table(Cuda&, std::span<const double>, std::size_t);
template RotaryTable<double> make_rotary_table(Cuda&, std::span<const double>, std::size_t);

}  // namespace longshadow
