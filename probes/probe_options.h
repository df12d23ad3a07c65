#pragma once

#include <boost/program_options.hpp>
#include <string>

#include "probes/memory_plan.h"

namespace longshadow {

/// Adds --model, --precision, --method and --threads, which every command that runs a model takes.
void add_model_options(boost::program_options::options_description& options);

/// Read `--precision` and `--method`. Throw UsageError, also for bf16 in the direct form.
Precision parse_precision(const std::string& text);
Method parse_method(const std::string& text, Precision precision);

}  // namespace longshadow
