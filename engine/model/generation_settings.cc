#include "engine/model/generation_settings.h"

#include <algorithm>
#include <span>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/mapped_file.h"

namespace longshadow {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// Whether it is a token's; one that is not gets a warning, as it ends no text.
bool add_end_token(std::int64_t id, const Tokenizer& tokenizer, const std::string& where,
                   GenerationSettings& settings) {
  if (id < 0 || static_cast<std::size_t>(id) >= tokenizer.vocab_size()) {
    settings.warnings.push_back(where + ": " + std::to_string(id) + " is none of the " +
                                std::to_string(tokenizer.vocab_size()) +
                                " tokens and ends no text");
    return false;
  }
  const auto token = static_cast<TokenId>(id);
  if (std::find(settings.end_tokens.begin(), settings.end_tokens.end(), token) ==
      settings.end_tokens.end()) {
    settings.end_tokens.push_back(token);
  }
  return true;
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
    if (!id.is_number_integer()) {
      throw Error(where + ": expected a token's id or a list of them, found " + id.type_name());
    }
    add_end_token(id.get<std::int64_t>(), tokenizer, where, settings);
  }
  return true;
}

/// A special token of tokenizer_config.json: its spelling, or an object that has it.
std::optional<std::string> read_spelling(const json& root, const char* key,
                                         const std::string& where) {
  if (const auto member = root.find(key); member != root.end() && member->is_object()) {
    return json_at<std::string>(*member, "content", where + ": " + key);
  }
  return json_find<std::string>(root, key, where);
}

std::string read_template(const json& root, const std::string& where) {
  const auto member = root.find("chat_template");
  if (member == root.end() || !member->is_array()) {
    return json_find<std::string>(root, "chat_template", where).value_or("");
  }
  for (const json& named : *member) {
    const std::string place = where + ": chat_template";
    if (json_at<std::string>(named, "name", place) == "default") {
      return json_at<std::string>(named, "template", place);
    }
  }
  return "";
}

}  // namespace

GenerationSettings generation_settings(const Gguf& gguf, const Tokenizer& tokenizer) {
  GenerationSettings settings;
  const auto spelling = [&](TokenId id) { return tokenizer.decode(std::span(&id, 1)); };
  for (const std::string name : {"eos", "eot", "eom"}) {
    const std::string key = "tokenizer.ggml." + name + "_token_id";
    if (const auto* id = gguf.find_value<std::uint64_t>(key)) {
      const bool known = add_end_token(static_cast<std::int64_t>(*id), tokenizer,
                                       gguf.source + ": " + key, settings);
      if (known && name == "eos") settings.eos_token = spelling(settings.end_tokens[0]);
    }
  }
  if (tokenizer.bos()) settings.bos_token = spelling(*tokenizer.bos());
  if (const auto* text = gguf.find_value<std::string>("tokenizer.chat_template")) {
    settings.chat_template = *text;
  }
  return settings;
}

GenerationSettings generation_settings(const fs::path& folder, const Tokenizer& tokenizer) {
  GenerationSettings settings;
  if (!read_end_tokens(folder / "generation_config.json", tokenizer, settings)) {
    read_end_tokens(folder / "config.json", tokenizer, settings);
  }
  const fs::path path = folder / "tokenizer_config.json";
  const json root = parse_optional(path);
  settings.bos_token = read_spelling(root, "bos_token", path.string());
  settings.eos_token = read_spelling(root, "eos_token", path.string());
  settings.chat_template = read_template(root, path.string());
  if (const fs::path file = folder / "chat_template.jinja"; fs::exists(file)) {
    const MappedFile text(file);
    settings.chat_template.assign(reinterpret_cast<const char*>(text.bytes().data()),
                                  text.bytes().size());
  }
  return settings;
}

}  // namespace longshadow
