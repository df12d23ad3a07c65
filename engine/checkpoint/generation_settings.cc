#include "engine/checkpoint/generation_settings.h"

#include <limits>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>

#include "engine/checkpoint/end_tokens.h"
#include "engine/io/json.h"
#include "engine/io/mapped_file.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// An empty object where the file is not there.
json parse_optional(const fs::path& path) {
  if (!fs::exists(path)) return json::object();
  const MappedFile file(path);
  return parse_json(file.bytes(), path.string());
}

/// A key of generation_config.json that changes the text, and the number with which it does not.
/// Keys and meaning are those of transformers' GenerationConfig, version 5.23.
struct KnownKey {
  const char* name;
  double neutral;
  bool sampling_only;
};
constexpr KnownKey kKnownKeys[] = {
    {"temperature", 1, true},
    {"top_k", 0, true},
    {"top_p", 1, true},
    {"min_p", 0, true},
    {"top_h", 1, true},
    {"typical_p", 1, true},
    {"epsilon_cutoff", 0, true},
    {"eta_cutoff", 0, true},
    {"num_beams", 1, false},
    {"num_beam_groups", 1, false},
    {"diversity_penalty", 0, false},
    {"penalty_alpha", 0, false},
    {"dola_layers", 0, false},
    {"constraints", 0, false},
    {"force_words_ids", 0, false},
    {"encoder_repetition_penalty", 1, false},
    {"no_repeat_ngram_size", 0, false},
    {"encoder_no_repeat_ngram_size", 0, false},
    {"bad_words_ids", 0, false},
    {"sequence_bias", 0, false},
    {"suppress_tokens", 0, false},
    {"begin_suppress_tokens", 0, false},
    {"forced_bos_token_id", -1, false},
    {"forced_eos_token_id", -1, false},
    {"min_length", 0, false},
    {"min_new_tokens", 0, false},
    {"exponential_decay_length_penalty", 0, false},
    {"stop_strings", 0, false},
    {"guidance_scale", 1, false},
    {"watermarking_config", 0, false},
    {"token_healing", 0, false},
};

/// GGUF's names of llama.cpp's samplers, behind "general.sampling.".
constexpr KnownKey kKnownSamplers[] = {
    {"temp", 1, true},     {"top_k", 0, true},           {"top_p", 1, true},
    {"min_p", 0, true},    {"xtc_probability", 0, true}, {"mirostat", 0, true},
    {"sequence", 0, true}, {"penalty_repeat", 1, false},
};

bool has_effect(const json& value, double neutral) {
  if (value.is_number()) return value.get<double>() != neutral;
  return !value.is_null() && !value.empty() && value != json(false) && value != json("");
}

void note_settings(const json& values, std::span<const KnownKey> keys,
                   GenerationSettings& settings) {
  constexpr std::size_t kLongestValue = 60;
  for (const KnownKey& key : keys) {
    const auto value = values.find(key.name);
    if (value == values.end() || !has_effect(*value, key.neutral)) continue;
    settings.unapplied.push_back(
        {key.name, printable(value->dump(), kLongestValue), key.sampling_only});
  }
}

/// The members general.sampling.* as generation_config.json would have them.
json samplers_of(const Gguf& gguf) {
  json samplers = json::object();
  for (const KnownKey& key : kKnownSamplers) {
    const auto entry = gguf.metadata.find(std::string("general.sampling.") + key.name);
    if (entry == gguf.metadata.end()) continue;
    samplers[key.name] = std::visit(
        [](const auto& value) {
          using Value = std::decay_t<decltype(value)>;
          if constexpr (std::is_arithmetic_v<Value> || std::is_same_v<Value, std::string>) {
            return json(value);
          }
          return json();
        },
        entry->second);
  }
  return samplers;
}

void read_generation_config(const fs::path& folder, const Tokenizer& tokenizer,
                            GenerationSettings& settings) {
  const fs::path config = folder / "config.json";
  fs::path path = folder / "generation_config.json";
  if (!fs::exists(path)) path = config;
  const json values = parse_optional(path);
  EndTokens ends = end_tokens(values, tokenizer, path.string());
  if (ends.ids.empty() && ends.notes.empty() && path != config) {
    ends = end_tokens(parse_optional(config), tokenizer, config.string());
  }
  settings.end_tokens = std::move(ends.ids);
  settings.warnings = std::move(ends.notes);

  settings.source = path.string();
  if (!values.is_object()) return;
  if (const auto penalty = values.find("repetition_penalty");
      penalty != values.end() && !penalty->is_null()) {
    settings.repetition_penalty =
        penalty->is_number() ? penalty->get<double>() : std::numeric_limits<double>::quiet_NaN();
  }
  settings.samples = values.contains("do_sample") && values["do_sample"] == json(true);
  note_settings(values, kKnownKeys, settings);
}

}  // namespace

GenerationSettings generation_settings(const Gguf& gguf, const Tokenizer& tokenizer) {
  GenerationSettings settings;
  EndTokens ends = end_tokens(gguf, tokenizer);
  settings.end_tokens = std::move(ends.ids);
  settings.warnings = std::move(ends.notes);
  settings.source = gguf.source;
  const json samplers = samplers_of(gguf);
  settings.samples = !samplers.empty();
  note_settings(samplers, kKnownSamplers, settings);
  settings.chat = chat_settings(gguf, tokenizer);
  return settings;
}

GenerationSettings generation_settings(const fs::path& folder, const Tokenizer& tokenizer) {
  GenerationSettings settings;
  read_generation_config(folder, tokenizer, settings);
  settings.chat = chat_settings(folder);
  return settings;
}

}  // namespace longshadow
