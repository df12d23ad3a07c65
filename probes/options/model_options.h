#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/backend/cpu.h"
#include "engine/backend/device.h"
#include "engine/backend/device_kind.h"

namespace longshadow {

class OptionSet;

/// Values of --device: cpu; cuda, a GPU; automatic, a GPU where there is one and else cpu; or,
/// in a program of the tests, cuda_host, which runs the kernels on the processor.
enum class DeviceChoice { automatic, cpu, cuda, cuda_host };

/// The model that a command runs, and on what.
struct ModelOptions {
  std::string model = "smollm2";  ///< as locate_model() takes it
  std::size_t threads = 0;        ///< 0: every core
  DeviceChoice device = DeviceChoice::automatic;

  /// Adds --model, --threads and --device.
  void declare(OptionSet& options);
};

/// The device that the options ask for.
class CommandDevice {
 public:
  /// Throws UsageError where the program cannot run on such a device, or there is none. In a dry
  /// run the device need not be here, and nothing may be run on it.
  explicit CommandDevice(const ModelOptions& options, bool is_dry_run = false);

  DeviceKind kind() const { return kind_; }
  /// "cpu", or a CUDA device's own.
  std::string name() const { return cuda_ ? cuda_->name() : cpu_.name(); }
  std::size_t threads() const { return cpu_.threads(); }
  /// Adds to a run's configuration a CUDA device with what decides the bits of its sums, which are
  /// not the processor's, nor another GPU's: the run goes on on such a one alone.
  void add_to(nlohmann::json& configuration) const;
  /// `asked` bytes, or where that is 0 what plans may count on; 0: no bound.
  std::size_t memory_bytes(std::size_t asked) const;

  Device& get() { return cuda_ ? *cuda_ : cpu_; }

 private:
  DeviceKind kind_;
  Cpu cpu_;
  std::unique_ptr<Device> cuda_;
};

}  // namespace longshadow
