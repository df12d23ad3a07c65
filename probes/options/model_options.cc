#include "probes/options/model_options.h"

#include <nlohmann/json.hpp>

#include "engine/backend/cuda_devices.h"
#include "engine/core/error.h"
#include "probes/models/model_location.h"
#include "probes/options/option_set.h"

namespace longshadow {
namespace {

/// Memory that a CUDA device takes for a time beside what is planned: tiles of scores, of
/// logits and of the feed-forward's changes, widened weights, and cuBLASLt's own.
constexpr std::size_t kCudaWorkBytes = std::size_t{2} << 30;

/// Whether this is a program of the tests, which run the kernels on the processor.
bool has_host_cuda() { return cuda_devices() != nullptr && !cuda_devices()->are_gpus; }

/// Throws UsageError. What only tests take is not among what was expected.
DeviceChoice parse_device(const std::string& text) {
  if (text == "auto") return DeviceChoice::automatic;
  if (text == "cpu") return DeviceChoice::cpu;
  if (text == "cuda") return DeviceChoice::cuda;
  if (text == "cuda-host" && has_host_cuda()) return DeviceChoice::cuda_host;
  throw UsageError("expected auto, cpu or cuda");
}

DeviceKind kind_of(DeviceChoice choice, bool is_dry_run) {
  const bool knows_gpus = cuda_devices() != nullptr && cuda_devices()->are_gpus;
  const bool has_gpu = knows_gpus && cuda_devices()->is_any_here();
  switch (choice) {
    case DeviceChoice::automatic:
      return has_gpu ? DeviceKind::cuda : DeviceKind::cpu;
    case DeviceChoice::cpu:
      return DeviceKind::cpu;
    case DeviceChoice::cuda_host:
      return DeviceKind::cuda;
    case DeviceChoice::cuda:
      break;
  }
  if (!knows_gpus) {
    throw UsageError(
        "--device cuda: this program was built without CUDA; build it with `cmake --preset cuda`, "
        "or "
        "use --device cpu");
  }
  if (!is_dry_run && !has_gpu) {
    throw UsageError("--device cuda: found no CUDA device, or no driver for it");
  }
  return DeviceKind::cuda;
}

}  // namespace

void ModelOptions::declare(OptionSet& options) {
  options.add("model,m", value(model), kModelHelp).leads_to("weights_sha256");
  options.add("threads,t", value(threads), "0: every core").leaves_no_trace();
  options
      .add("device", parsed(device, parse_device, "auto"),
           "cpu; cuda, a GPU; or auto, a GPU where there is one")
      .may_lead_to("device");
}

CommandDevice::CommandDevice(const ModelOptions& options, bool is_dry_run)
    : kind_(kind_of(options.device, is_dry_run)), cpu_(options.threads) {
  if (kind_ == DeviceKind::cuda && !is_dry_run) cuda_ = cuda_devices()->make();
}

void CommandDevice::add_to(nlohmann::json& configuration) const {
  if (cuda_) configuration["device"] = cuda_->arithmetic();
}

std::size_t CommandDevice::memory_bytes(std::size_t asked) const {
  return asked == 0 && cuda_ ? cuda_->total_bytes() - kCudaWorkBytes : asked;
}

}  // namespace longshadow
