#pragma once

#include <boost/program_options.hpp>
#include <optional>

#include "engine/kv/packed_rows.h"

namespace longshadow {

/// Adds --kv-bits and --kv-group.
void add_quantization_options(boost::program_options::options_description& options);

/// Empty where --kv-bits is not given. Throws UsageError as check_quantization() does.
std::optional<Quantization> read_quantization(const boost::program_options::variables_map& values);

}  // namespace longshadow
