#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "engine/cuda/product.h"

// What the stand-ins for CUDA's runtime and for cuBLAS refuse, where NVIDIA's may do anything.
namespace longshadow {
namespace {

TEST_CASE("copies from and to the wrong side are refused", "[host_cuda]") {
  Cuda device;
  std::vector<char> host(11);
  const DeviceArray<char> array(device, 10);
  CHECK_THROWS_AS(device.copy_to_device(host.data(), array.data(), 11), Error);
  CHECK_THROWS_AS(device.copy_to_host(array.data() + 1, host.data(), 10), Error);
  CHECK_THROWS_AS(device.copy_to_host(host.data(), host.data(), 1), Error);
}

TEST_CASE("products that cuBLAS would do wrong are refused", "[host_cuda]") {
  Cuda device;
  const DeviceArray<float> memory(device, 100);
  const MatrixView<const float> square{memory.data(), 5, 5, 5};
  const MatrixView<float> out{memory.data() + 50, 5, 5, 5};
  const auto refused = [&](MatrixView<const float> a, MatrixView<const float> b,
                           MatrixView<float> c) {
    try {
      product(device, a, b, RightFactor::by_output, c, false);
      device.synchronize();
      return false;
    } catch (const Error&) {
      return true;
    }
  };
  CHECK_FALSE(refused(square, square, out));
  const std::vector<float> host(100);
  CHECK(refused({host.data(), 5, 5, 5}, square, out));            // not the device's
  CHECK(refused({memory.data() + 80, 5, 5, 5}, square, out));     // beyond the end
  CHECK(refused(square, {memory.data(), 5, 5, 4}, out));          // rows that overlap
  CHECK(refused(square, square, {memory.data() + 77, 5, 5, 5}));  // beyond the end
  const auto* odd = reinterpret_cast<const float*>(reinterpret_cast<const char*>(square.data) + 1);
  CHECK(refused({odd, 5, 5, 5}, square, out));  // between two elements
}

}  // namespace
}  // namespace longshadow
