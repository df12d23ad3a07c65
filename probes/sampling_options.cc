#include "probes/sampling_options.h"

#include <cmath>
#include <ostream>
#include <string>

#include "engine/core/error.h"
#include "engine/io/utf8.h"

namespace longshadow {

namespace po = boost::program_options;

namespace {

constexpr std::size_t kLongestLine = 4000;

/// Whether the command line decides what the key does in the model's files.
bool is_given(const po::variables_map& values, const std::string& key) {
  if (key == "temperature" || key == "temp") return !values["temperature"].defaulted();
  return key == "top_p" && !values["top-p"].defaulted();
}

}  // namespace

void add_sampling_options(po::options_description& options) {
  auto add = options.add_options();
  add("temperature", po::value<double>()->default_value(0),
      "0: always the likeliest token; 1: as the model says; more: flatter");
  add("top-p", po::value<double>()->default_value(1),
      "draw from the fewest likeliest tokens that have this much probability together");
  add("repetition-penalty", po::value<double>()->default_value(1, "as generation_config.json"),
      "divide the logits above 0 of tokens that prompt and text have by it, multiply those below "
      "0; 1: none");
  add("seed", po::value<std::uint64_t>()->default_value(0), "of every random choice");
}

void read_sampling(const po::variables_map& values, GenerationOptions& options) {
  options.sampling = {values["temperature"].as<double>(), values["top-p"].as<double>()};
  options.repetition_penalty = values["repetition-penalty"].as<double>();
  options.seed = values["seed"].as<std::uint64_t>();
  if (!(options.sampling.temperature >= 0 && options.sampling.temperature <= 100)) {
    throw UsageError("--temperature: expected 0 to 100");
  }
  if (!(options.sampling.top_p > 0 && options.sampling.top_p <= 1)) {
    throw UsageError("--top-p: expected a probability above 0 and at most 1");
  }
  if (options.sampling.temperature == 0 && options.sampling.top_p < 1) {
    throw UsageError("--top-p is for tokens drawn at random; give a --temperature above 0 with it");
  }
}

void follow_model_settings(const po::variables_map& values, const Checkpoint& checkpoint,
                           GenerationOptions& options) {
  const GenerationSettings& settings = checkpoint.generation();
  options.end_tokens = settings.end_tokens;
  const auto n_rows = static_cast<TokenId>(checkpoint.config().vocab_size);
  for (TokenId row = 0; row < n_rows; ++row) {
    if (checkpoint.tokenizer().is_unused(row)) options.never_drawn.push_back(row);
  }
  if (values["repetition-penalty"].defaulted() && settings.repetition_penalty) {
    options.repetition_penalty = *settings.repetition_penalty;
    if (!(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty))) {
      throw Error(settings.source +
                  ": repetition_penalty: expected a number above 0; mend it, or "
                  "give --repetition-penalty");
    }
  }
}

void tell_unapplied_settings(const po::variables_map& values, const GenerationSettings& settings,
                             std::ostream& log) {
  const bool samples =
      values["temperature"].defaulted() ? settings.samples : values["temperature"].as<double>() > 0;
  std::string list;
  for (const WritingSetting& setting : settings.unapplied) {
    if ((setting.sampling_only && !samples) || is_given(values, setting.key)) continue;
    list += (list.empty() ? "" : ", ") + setting.key + " " + setting.value;
  }
  const bool is_greedy = values["temperature"].defaulted() && settings.samples;
  if (is_greedy) list = "sampling" + (list.empty() ? "" : ", " + list);
  if (!list.empty()) {
    log << "longshadow: " << printable(settings.source + ": not applied: " + list, kLongestLine)
        << (is_greedy ? "; the likeliest tokens are written, see --temperature and --top-p" : "")
        << '\n';
  }
}

}  // namespace longshadow
