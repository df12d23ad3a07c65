#include "probes/quantization_options.h"

#include "engine/core/error.h"

namespace longshadow {

namespace po = boost::program_options;

void add_quantization_options(po::options_description& options) {
  auto add = options.add_options();
  add("kv-bits", po::value<std::size_t>()->default_value(0, "as computed"),
      "of a key's or value's element in the cache: 8 or 4; keys share scales by channel, values by "
      "token");
  add("kv-group", po::value<std::size_t>()->default_value(64),
      "elements that share a scale with --kv-bits: 32 or 64");
}

std::optional<Quantization> read_quantization(const po::variables_map& values) {
  if (values["kv-bits"].defaulted()) {
    if (!values["kv-group"].defaulted()) throw UsageError("--kv-group is for --kv-bits; add it");
    return {};
  }
  const Quantization quantization{values["kv-bits"].as<std::size_t>(),
                                  values["kv-group"].as<std::size_t>()};
  try {
    check_quantization(quantization);
  } catch (const UsageError& error) {
    throw UsageError(std::string("--kv-bits and --kv-group: ") + error.what());
  }
  return quantization;
}

}  // namespace longshadow
