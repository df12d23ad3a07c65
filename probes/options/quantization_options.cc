#include "probes/options/quantization_options.h"

#include <string>

#include "engine/core/error.h"
#include "probes/options/option_set.h"

namespace longshadow {

void QuantizationOptions::declare(OptionSet& options) {
  options
      .add("kv-bits", value(bits, "as computed"),
           "of a key's or value's element in the cache: 8 or 4; keys share scales by channel, "
           "values by token")
      .decides("kv_bits");
  options.add("kv-group", value(group), "elements that share a scale with --kv-bits: 32 or 64")
      .decides("kv_group");
}

std::optional<Quantization> QuantizationOptions::quantization(const OptionSet& options) const {
  if (!options.given("kv-bits")) {
    if (options.given("kv-group")) throw UsageError("--kv-group is for --kv-bits; add it");
    return std::nullopt;
  }
  const Quantization quantization{bits, group};
  try {
    check_quantization(quantization);
  } catch (const UsageError& error) {
    throw UsageError(std::string("--kv-bits and --kv-group: ") + error.what());
  }
  return quantization;
}

}  // namespace longshadow
