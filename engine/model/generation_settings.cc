#include "engine/model/generation_settings.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/mapped_file.h"

namespace longshadow {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// Throws Error naming `where` for an id that is no token's.
void add_end_token(std::uint64_t id, const Tokenizer& tokenizer, const std::string& where,
                   GenerationSettings& settings) {
  if (id >= tokenizer.vocab_size()) {
    throw Error(where + ": expected an id below the " + std::to_string(tokenizer.vocab_size()) +
                " tokens, found " + std::to_string(id));
  }
  const auto token = static_cast<TokenId>(id);
  if (std::find(settings.end_tokens.begin(), settings.end_tokens.end(), token) ==
      settings.end_tokens.end()) {
    settings.end_tokens.push_back(token);
  }
}

/// An empty object where the file is not there.
json parse_optional(const fs::path& path) {
  if (!fs::exists(path)) return json::object();
  const MappedFile file(path);
  return parse_json(file.bytes(), path.string());
}

/// eos_token_id of the file: one id, a list of them, or none. Whether there was any.
bool read_end_tokens(const fs::path& path, const Tokenizer& tokenizer,
                     GenerationSettings& settings) {
  constexpr const char* kKey = "eos_token_id";
  const json root = parse_optional(path);
  const std::string where = path.string() + ": " + kKey;
  if (!root.is_object() || !root.contains(kKey) || root[kKey].is_null()) return false;
  for (const json& id : root[kKey].is_array() ? root[kKey] : json::array({root[kKey]})) {
    if (!id.is_number_unsigned()) {
      throw Error(where + ": expected a token's id or a list of them, found " + id.type_name());
    }
    add_end_token(id.get<std::uint64_t>(), tokenizer, where, settings);
  }
  return true;
}

}  // namespace

GenerationSettings generation_settings(const Gguf& gguf, const Tokenizer& tokenizer) {
  GenerationSettings settings;
  for (const std::string name : {"eos", "eot", "eom"}) {
    const std::string key = "tokenizer.ggml." + name + "_token_id";
    if (const auto* id = gguf.find_value<std::uint64_t>(key)) {
      add_end_token(*id, tokenizer, gguf.source + ": " + key, settings);
    }
  }
  settings.chat = chat_settings(gguf, tokenizer);
  return settings;
}

GenerationSettings generation_settings(const fs::path& folder, const Tokenizer& tokenizer) {
  GenerationSettings settings;
  if (!read_end_tokens(folder / "generation_config.json", tokenizer, settings)) {
    read_end_tokens(folder / "config.json", tokenizer, settings);
  }
  settings.chat = chat_settings(folder);
  return settings;
}

}  // namespace longshadow
