#pragma once

#include <boost/program_options.hpp>
#include <iosfwd>

#include "engine/model/checkpoint.h"
#include "probes/generation.h"

namespace longshadow {

/// Adds --temperature, --top-p, --repetition-penalty and --seed.
void add_sampling_options(boost::program_options::options_description& options);

/// Reads them. Throws UsageError.
void read_sampling(const boost::program_options::variables_map& values, GenerationOptions& options);

/// Takes from the model what ends a text, which rows of its vocabulary are no token's, and, where
/// --repetition-penalty is not given, the penalty of its files. Throws Error where that is not a
/// number above 0.
void follow_model_settings(const boost::program_options::variables_map& values,
                           const Checkpoint& checkpoint, GenerationOptions& options);

/// Says on `log`, in one line, what of the model's settings would make another text and
/// is not applied: those that the command line gives instead are not among them, nor, where the
/// likeliest token is asked for, those of sampling.
void tell_unapplied_settings(const boost::program_options::variables_map& values,
                             const GenerationSettings& settings, std::ostream& log);

}  // namespace longshadow
