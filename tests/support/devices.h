#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/transfer.h"
#include "engine/core/half.h"
#include "engine/core/matrix.h"
#include "engine/cuda/cuda.h"
#include "tests/support/thread_orders.h"

/// One suite for all devices: a test keeps its matrices on the host, and an op sees them in the
/// device's memory.
namespace longshadow::test {

/// A device, activations of type T and products in P. ctest's label host_cuda goes by the names.
template <class Device_, class T_, class P_ = T_>
struct On {
  using Device = Device_;
  using T = T_;
  using P = P_;
};
using CpuF32 = On<Cpu, float>;
using CpuF64 = On<Cpu, double>;
using CpuMixedBF16 = On<Cpu, float, BF16>;
using CudaF32 = On<Cuda, float>;
using CudaF64 = On<Cuda, double>;
using CudaMixedBF16 = On<Cuda, float, BF16>;

/// The device of a test case, which runs once, or in every order of CUDA's threads.
template <class Device>
struct UnderTest;
template <>
struct UnderTest<Cpu> {
  Cpu device{2};
};
template <>
struct UnderTest<Cuda> {
  InThreadOrder order{GENERATE(from_range(kThreadOrders))};
  Cuda device{};
};

/// A matrix of the host's as the device's products take it.
template <class T>
PackedWeights packed(Device& device, Matrix<T> host, std::size_t multiple = kOutputMultiple) {
  return pack(device, on_device(device, std::move(host)), multiple);
}

/// The host's elements, to the device's memory.
template <class T>
void set(Device& device, const Matrix<T>& host, TensorView there) {
  device.copy_to_device(host.data(), there.data, host.bytes());
}

/// The device's rows on the host.
template <class T>
Matrix<T> host_copy(Device& device, MatrixView<const T> there) {
  Matrix<T> host(host_memory(), there.rows, there.cols);
  copy_to_host(device, there, host.view());
  return host;
}

template <class T>
Matrix<T> host_copy(Device& device, ConstTensorView there) {
  return host_copy(device, there.as<T>());
}

/// Matrices in a device's memory while one op runs.
template <class Device>
class Staged;

template <>
class Staged<Cpu> {
 public:
  explicit Staged(Cpu&) {}
  template <class T>
  MatrixView<const T> in(const Matrix<T>& matrix) {
    return matrix.view();
  }
  template <class T>
  MatrixView<T> out(Matrix<T>& matrix) {
    return matrix.view();
  }
  void finish() {}
};

template <>
class Staged<Cuda> {
 public:
  explicit Staged(Cuda& device) : device_(device) {}

  template <class T>
  MatrixView<const T> in(const Matrix<T>& matrix) {
    return copy_of(matrix);
  }
  /// Also an input: elements that the op leaves alone stay.
  template <class T>
  MatrixView<T> out(Matrix<T>& matrix) {
    const MatrixView<T> there = copy_of(matrix);
    copies_back_.push_back([this, there, &matrix] {
      device_.copy_to_host(there.data, matrix.data(), matrix.bytes());
    });
    return there;
  }
  void finish() {
    device_.synchronize();
    for (const auto& copy_back : copies_back_) copy_back();
  }

 private:
  template <class T>
  MatrixView<T> copy_of(const Matrix<T>& matrix) {
    const std::span<const T> elements(matrix.data(), matrix.rows() * matrix.cols());
    const auto there = std::make_shared<DeviceArray<T>>(device_, elements);
    kept_.push_back(there);
    return there->rows(matrix.rows(), matrix.cols());
  }

  Cuda& device_;
  std::vector<std::shared_ptr<void>> kept_;
  std::vector<std::function<void()>> copies_back_;
};

/// Calls op(staged), in which staged.in(matrix) and staged.out(matrix) are where the op finds it.
template <class Device, class Op>
void run_on(Device& device, Op&& op) {
  Staged<Device> staged(device);
  op(staged);
  staged.finish();
}

}  // namespace longshadow::test
