#pragma once

#include <boost/program_options.hpp>
#include <iosfwd>
#include <string>

#include "probes/device_option.h"
#include "probes/memory_plan.h"

namespace longshadow {

/// Adds --model and --threads, which every command that runs a model takes.
void add_model_options(boost::program_options::options_description& options);

/// Adds --precision and --method of counterfactuals; `more_methods` explains methods that
/// parse_method() does not read.
void add_method_options(boost::program_options::options_description& options,
                        const std::string& more_methods = "");

/// Reads `--precision`. bf16 becomes f32, more exact and there no slower, on a processor without
/// bf16 products, which all GPUs have; a line on `log` says so. Throws UsageError.
Precision parse_precision(const std::string& text, DeviceKind device, std::ostream& log);

/// Reads `--precision` of a command without bf16 products. Throws UsageError.
Precision parse_plain_precision(const std::string& text);

/// Reads `--method`. Throws UsageError, also for bf16 in the direct form.
Method parse_method(const std::string& text, Precision precision);

}  // namespace longshadow
