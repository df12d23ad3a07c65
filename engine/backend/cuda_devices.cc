#include "engine/backend/cuda_devices.h"

#include <optional>

namespace longshadow {
namespace {

std::optional<CudaDevices> provided;

}  // namespace

void provide_cuda_devices(const CudaDevices& devices) { provided = devices; }

const CudaDevices* cuda_devices() { return provided ? &*provided : nullptr; }

}  // namespace longshadow
