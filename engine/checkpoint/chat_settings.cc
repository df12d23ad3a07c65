#include "engine/checkpoint/chat_settings.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/mapped_file.h"

namespace longshadow {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kDefault = "default";

/// The names of tokens in GGUF and in transformers; "seperator" is GGUF's own spelling.
constexpr std::array<std::pair<const char*, const char*>, 7> kTokens{{{"bos", "bos_token"},
                                                                      {"eos", "eos_token"},
                                                                      {"unknown", "unk_token"},
                                                                      {"seperator", "sep_token"},
                                                                      {"padding", "pad_token"},
                                                                      {"cls", "cls_token"},
                                                                      {"mask", "mask_token"}}};

/// An empty object where the file is not there.
json parse_optional(const fs::path& path) {
  if (!fs::exists(path)) return json::object();
  const MappedFile file(path);
  json root = parse_json(file.bytes(), path.string());
  if (!root.is_object()) {
    throw Error(path.string() + ": expected an object, found " + root.type_name());
  }
  return root;
}

std::string read_file(const fs::path& path) {
  const MappedFile text(path);
  return {reinterpret_cast<const char*>(text.bytes().data()), text.bytes().size()};
}

bool is_standard(const std::string& key) {
  return std::any_of(kTokens.begin(), kTokens.end(),
                     [&](const auto& token) { return key == token.second; });
}

/// A token's spelling, or an object that has it; others are passed over where they may be no token.
void read_spelling(const std::string& key, const json& value, bool must_be_token,
                   const std::string& where, ChatSettings& settings) {
  if (value.is_object() && value.contains("content")) {
    settings.special_tokens[key] = json_at<std::string>(value, "content", where + ": " + key);
  } else if (value.is_string()) {
    settings.special_tokens[key] = value.get<std::string>();
  } else if (must_be_token && !value.is_null()) {
    throw Error(where + ": '" + key + "': expected a string, found " + value.type_name());
  }
}

/// The members that name a token: the standard ones, others called ..._token, and a model's own
/// inside of extra_special_tokens.
void read_spellings(const json& root, const std::string& where, ChatSettings& settings) {
  for (const auto& [key, value] : root.items()) {
    if (is_standard(key) || key.ends_with("_token")) {
      read_spelling(key, value, is_standard(key), where, settings);
    }
  }
  const auto extra = root.find("extra_special_tokens");
  if (extra == root.end() || !extra->is_object()) return;
  for (const auto& [key, value] : extra->items()) {
    read_spelling(key, value, false, where + ": extra_special_tokens", settings);
  }
}

void read_configured_templates(const json& root, const std::string& where, ChatSettings& settings) {
  const auto member = root.find("chat_template");
  if (member == root.end() || member->is_null()) return;
  if (!member->is_array()) {
    settings.templates[kDefault] = json_at<std::string>(root, "chat_template", where);
    return;
  }
  for (const json& named : *member) {
    const std::string place = where + ": chat_template";
    settings.templates[json_at<std::string>(named, "name", place)] =
        json_at<std::string>(named, "template", place);
  }
}

/// The folder's own files of templates go before those of its configuration, all of them.
void read_template_files(const fs::path& folder, ChatSettings& settings) {
  std::vector<std::pair<std::string, fs::path>> files;
  if (const fs::path file = folder / "chat_template.jinja"; fs::exists(file)) {
    files.emplace_back(kDefault, file);
  }
  if (const fs::path more = folder / "additional_chat_templates"; fs::is_directory(more)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(more)) {
      if (entry.path().extension() == ".jinja") {
        files.emplace_back(entry.path().stem().string(), entry.path());
      }
    }
  }
  if (!files.empty()) settings.templates.clear();
  for (const auto& [name, file] : files) settings.templates[name] = read_file(file);
}

}  // namespace

ChatSettings chat_settings(const Gguf& gguf, const Tokenizer& tokenizer) {
  ChatSettings settings;
  for (const auto& [name, key] : kTokens) {
    const auto* id =
        gguf.find_value<std::uint64_t>("tokenizer.ggml." + std::string(name) + "_token_id");
    if (id == nullptr || *id >= tokenizer.vocab_size()) continue;
    const auto token = static_cast<TokenId>(*id);
    settings.special_tokens[key] = tokenizer.decode(std::span(&token, 1));
  }
  if (tokenizer.bos()) {
    const TokenId bos = *tokenizer.bos();
    settings.special_tokens.try_emplace("bos_token", tokenizer.decode(std::span(&bos, 1)));
  }
  const std::string key = "tokenizer.chat_template";
  if (const auto* text = gguf.find_value<std::string>(key)) settings.templates[kDefault] = *text;
  for (const auto& [name, value] : gguf.metadata) {
    const auto* text = name.starts_with(key + ".") ? gguf.find_value<std::string>(name) : nullptr;
    if (text != nullptr) settings.templates[name.substr(key.size() + 1)] = *text;
  }
  return settings;
}

ChatSettings chat_settings(const fs::path& folder) {
  ChatSettings settings;
  const fs::path path = folder / "tokenizer_config.json";
  const json root = parse_optional(path);
  read_spellings(root, path.string(), settings);
  if (!root.contains("added_tokens_decoder")) {
    const fs::path legacy = folder / "special_tokens_map.json";
    read_spellings(parse_optional(legacy), legacy.string(), settings);
  }
  read_configured_templates(root, path.string(), settings);
  read_template_files(folder, settings);
  return settings;
}

}  // namespace longshadow
