#include "probes/device_option.h"

#include <nlohmann/json.hpp>

#include "engine/core/error.h"

namespace longshadow {

namespace po = boost::program_options;

namespace {

/// What operations of a CUDA device take for a time beside what is planned: tiles of scores, of
/// logits and of the feed-forward's changes, widened weights, and cuBLASLt's own.
constexpr std::size_t kCudaWorkBytes = std::size_t{2} << 30;

bool is_dry_run(const po::variables_map& values) {
  return values.count("dry-run") != 0 && values["dry-run"].as<bool>();
}

}  // namespace

void add_device_option(po::options_description& options) {
  options.add_options()("device", po::value<std::string>()->default_value("auto"),
                        "cpu; cuda, a GPU; or auto, a GPU where there is one");
}

DeviceKind parse_device(const std::string& text, bool here) {
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
  if (here && !has_gpu)
    throw UsageError("--device cuda: found no CUDA device, or no driver for it");
  return DeviceKind::cuda;
}

CommandDevice::CommandDevice(const po::variables_map& values)
    : kind_(parse_device(values["device"].as<std::string>(), !is_dry_run(values))),
      cpu_(values["threads"].as<std::size_t>()) {
  if (kind_ == DeviceKind::cuda && !is_dry_run(values)) cuda_.emplace();
}

void CommandDevice::add_to(nlohmann::json& configuration) const {
  if (cuda_) configuration["device"] = cuda_->arithmetic();
}

std::size_t CommandDevice::memory_bytes(std::size_t asked) const {
  return asked == 0 && cuda_ ? cuda_->total_bytes() - kCudaWorkBytes : asked;
}

}  // namespace longshadow
