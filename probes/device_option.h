#pragma once

#include <boost/program_options.hpp>
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "engine/backend/cpu.h"
#include "engine/backend/cuda/cuda.h"
#include "engine/backend/device_kind.h"

namespace longshadow {

/// Adds --device.
void add_device_option(boost::program_options::options_description& options);

/// Reads `--device`: cpu; cuda, a GPU; auto, a GPU where there is one and else cpu; or, where the
/// build has no GPU's CUDA, cuda-host, which runs the kernels on the processor for tests. Throws
/// UsageError, also where the program cannot run on such a device, or there is none `here`.
DeviceKind parse_device(const std::string& text, bool here = true);

/// The device that a command's --device and --threads ask for.
class CommandDevice {
 public:
  /// Throws UsageError as parse_device() does. With --dry-run the device need not be here, and
  /// nothing may be run on it.
  explicit CommandDevice(const boost::program_options::variables_map& values);

  DeviceKind kind() const { return kind_; }
  /// "cpu", or a CUDA device's own.
  std::string name() const { return cuda_ ? cuda_->name() : "cpu"; }
  std::size_t threads() const { return cpu_.threads(); }
  /// Adds to a run's configuration a CUDA device with what decides the bits of its sums, which are
  /// not the processor's, nor another GPU's: the run goes on on such a one alone.
  void add_to(nlohmann::json& configuration) const;
  /// `asked` of --memory, or where that is 0 what plans may count on; 0: no bound.
  std::size_t memory_bytes(std::size_t asked) const;

  /// work(device), a Cpu& or a Cuda&.
  template <class Work>
  void run(Work&& work) {
    cuda_ ? work(*cuda_) : work(cpu_);
  }

 private:
  DeviceKind kind_;
  Cpu cpu_;
  std::optional<Cuda> cuda_;
};

}  // namespace longshadow
