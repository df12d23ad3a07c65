#pragma once

#include <cstdint>
#include <iosfwd>

#include "engine/checkpoint/checkpoint.h"
#include "probes/experiments/generation.h"

namespace longshadow {

class OptionSet;

/// How the tokens of a text are drawn.
struct DrawingOptions {
  SamplingOptions sampling;
  double repetition_penalty = 1;
  std::uint64_t seed = 0;

  /// Adds --temperature, --top-p, --repetition-penalty and --seed.
  void declare(OptionSet& options);

  /// Throws UsageError where tokens cannot be drawn so.
  void check() const;

  /// Says in `generation` how tokens are drawn and, as the model has it, what ends a text, which
  /// rows of its vocabulary are no token's, and, where --repetition-penalty is not given, the
  /// penalty of its files. Throws Error where that is not a number above 0.
  void set(const OptionSet& options, const Checkpoint& checkpoint,
           GenerationOptions& generation) const;
};

/// Says on `log`, in one line, what of the model's settings would make another text and is not
/// applied: those that the command line gives instead are not among them, nor, where the likeliest
/// token is asked for, those of sampling.
void tell_unapplied_settings(const OptionSet& options, const DrawingOptions& drawing,
                             const GenerationSettings& settings, std::ostream& log);

}  // namespace longshadow
