#pragma once

#include <boost/program_options.hpp>
#include <string>

namespace longshadow {

enum class DeviceKind { cpu, cuda };

/// Adds --device.
void add_device_option(boost::program_options::options_description& options);

/// Reads `--device`: cpu; cuda, a GPU; auto, a GPU where there is one and else cpu; or, where the
/// build has no GPU's CUDA, cuda-host, which runs the kernels on the processor for tests. Throws
/// UsageError, also where there is no such device.
DeviceKind parse_device(const std::string& text);

}  // namespace longshadow
