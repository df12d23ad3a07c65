#include "probes/options/sampling_options.h"

#include <cmath>
#include <ostream>
#include <string>

#include "engine/core/error.h"
#include "engine/text/utf8.h"
#include "probes/options/option_set.h"

namespace longshadow {
namespace {

constexpr std::size_t kLongestLine = 4000;

/// Whether the command line decides what the key does in the model's files.
bool is_given(const OptionSet& options, const std::string& key) {
  if (key == "temperature" || key == "temp") return options.given("temperature");
  return key == "top_p" && options.given("top-p");
}

}  // namespace

void DrawingOptions::declare(OptionSet& options) {
  options.add("temperature", value(sampling.temperature),
              "0: always the likeliest token; 1: as the model says; more: flatter");
  options.add("top-p", value(sampling.top_p),
              "draw from the fewest likeliest tokens that have this much probability together");
  options.add("repetition-penalty", value(repetition_penalty, "as generation_config.json"),
              "divide the logits above 0 of tokens that prompt and text have by it, multiply those "
              "below 0; 1: none");
  options.add("seed", value(seed), "of every random choice");
}

void DrawingOptions::check() const {
  if (!(sampling.temperature >= 0 && sampling.temperature <= 100)) {
    throw UsageError("--temperature: expected 0 to 100");
  }
  if (!(sampling.top_p > 0 && sampling.top_p <= 1)) {
    throw UsageError("--top-p: expected a probability above 0 and at most 1");
  }
  if (sampling.temperature == 0 && sampling.top_p < 1) {
    throw UsageError("--top-p is for tokens drawn at random; give a --temperature above 0 with it");
  }
}

void DrawingOptions::set(const OptionSet& options, const Checkpoint& checkpoint,
                         GenerationOptions& generation) const {
  const GenerationSettings& settings = checkpoint.generation();
  generation.sampling = sampling;
  generation.seed = seed;
  generation.repetition_penalty = repetition_penalty;
  generation.end_tokens = settings.end_tokens;
  const auto n_rows = static_cast<TokenId>(checkpoint.config().vocab_size);
  for (TokenId row = 0; row < n_rows; ++row) {
    if (checkpoint.tokenizer().is_unused(row)) generation.never_drawn.push_back(row);
  }
  if (!options.given("repetition-penalty") && settings.repetition_penalty) {
    generation.repetition_penalty = *settings.repetition_penalty;
    if (!(generation.repetition_penalty > 0 && std::isfinite(generation.repetition_penalty))) {
      throw Error(settings.source +
                  ": repetition_penalty: expected a number above 0; mend it, or "
                  "give --repetition-penalty");
    }
  }
}

void tell_unapplied_settings(const OptionSet& options, const DrawingOptions& drawing,
                             const GenerationSettings& settings, std::ostream& log) {
  const bool is_asked = options.given("temperature");
  const bool samples = is_asked ? drawing.sampling.temperature > 0 : settings.samples;
  std::string list;
  for (const WritingSetting& setting : settings.unapplied) {
    if ((setting.sampling_only && !samples) || is_given(options, setting.key)) continue;
    list += (list.empty() ? "" : ", ") + setting.key + " " + setting.value;
  }
  const bool is_greedy = !is_asked && settings.samples;
  if (is_greedy) list = "sampling" + (list.empty() ? "" : ", " + list);
  if (!list.empty()) {
    log << "longshadow: " << printable(settings.source + ": not applied: " + list, kLongestLine)
        << (is_greedy ? "; the likeliest tokens are written, see --temperature and --top-p" : "")
        << '\n';
  }
}

}  // namespace longshadow
