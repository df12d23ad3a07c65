#include "probes/device_option.h"

#include "engine/backend/cuda/cuda.h"
#include "engine/core/error.h"

namespace longshadow {

namespace po = boost::program_options;

void add_device_option(po::options_description& options) {
  options.add_options()("device", po::value<std::string>()->default_value("auto"),
                        "cpu; cuda, a GPU; or auto, a GPU where there is one");
}

DeviceKind parse_device(const std::string& text) {
  const bool has_gpu = Cuda::is_gpu() && Cuda::is_available();
  if (text == "cpu") return DeviceKind::cpu;
  if (text == "auto") return has_gpu ? DeviceKind::cuda : DeviceKind::cpu;
  if (text == "cuda-host" && !Cuda::is_gpu()) return DeviceKind::cuda;
  if (text != "cuda") {
    throw UsageError("--device \"" + text + "\": expected auto, cpu or cuda");
  }
  if (!Cuda::is_gpu()) {
    throw UsageError(
        "--device cuda: this build has no GPU's CUDA; --device cuda-host runs its kernels on the "
        "processor, as tests do, a thousand times slower than cpu");
  }
  if (!has_gpu) throw UsageError("--device cuda: found no CUDA device, or no driver for it");
  return DeviceKind::cuda;
}

}  // namespace longshadow
