#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "engine/io/gguf.h"
#include "engine/io/json.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/support/error_of.h"

namespace longshadow::test {

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A file of data/fixtures/tokenizer; tests/parity/make_tokenizer_fixtures.py says what each holds.
inline nlohmann::json tokenizer_fixture(const std::string& name) {
  return nlohmann::json::parse(
      read_file(std::filesystem::path(LONGSHADOW_FIXTURES) / "tokenizer" / name));
}

/// The small tokenizers, by the names that GGUF gives their pre-tokenizers.
inline const std::vector<std::string> kSmallTokenizers = {"gpt-2", "smollm", "llama-bpe", "qwen2"};

struct NastyText {
  std::string name;
  std::string bytes;
};

/// Those that are UTF-8, in the order in which expected.json has their ids, or those that are not.
inline std::vector<NastyText> nasty_texts(bool utf8) {
  const auto entries = nlohmann::ordered_json::parse(
      read_file(std::filesystem::path(LONGSHADOW_FIXTURES) / "tokenizer" / "nasty_texts.json"));
  std::vector<NastyText> texts;
  for (const auto& [name, entry] : entries.items()) {
    if (entry.is_string() != utf8) continue;
    if (utf8) {
      texts.push_back({name, entry.get<std::string>()});
      continue;
    }
    const std::string digits = entry.at("hex");
    std::string bytes;
    for (std::size_t at = 0; at < digits.size(); at += 2) {
      bytes += static_cast<char>(std::stoi(digits.substr(at, 2), nullptr, 16));
    }
    texts.push_back({name, bytes});
  }
  return texts;
}

inline Tokenizer from_json(const nlohmann::json& definition) {
  return Tokenizer::from_json(bytes_of(definition.dump()), "tokenizer.json");
}

/// SentencePiece's own file NAME.model.
inline Tokenizer from_model(const std::string& name) {
  const std::string model =
      read_file(std::filesystem::path(LONGSHADOW_FIXTURES) / "tokenizer" / (name + ".model"));
  return Tokenizer::from_sentencepiece(bytes_of(model), name);
}

/// Why tokenizer.json is refused with another value at `pointer`, "/model/type".
inline std::string refusal_with(nlohmann::json definition, const std::string& pointer,
                                const nlohmann::json& value) {
  definition[nlohmann::json::json_pointer(pointer)] = value;
  return error_of([&] { from_json(definition); });
}

/// The metadata that a GGUF file of this tokenizer.json has, its added tokens as control tokens.
inline Gguf gguf_of(const nlohmann::json& definition, const std::string& pre) {
  std::map<std::size_t, std::string> spellings;
  for (const auto& [spelling, id] : definition.at("model").at("vocab").items()) {
    spellings[id.get<std::size_t>()] = spelling;
  }
  std::map<std::size_t, bool> control;
  for (const auto& token : definition.at("added_tokens")) {
    spellings[token.at("id")] = token.at("content");
    control[token.at("id")] = true;
  }
  std::vector<std::string> tokens;
  std::vector<std::int64_t> types;
  for (const auto& [id, spelling] : spellings) {
    tokens.push_back(spelling);
    types.push_back(control.contains(id) ? 3 : 1);
  }
  std::vector<std::string> merges;
  for (const auto& merge : definition.at("model").at("merges")) {
    merges.push_back(merge.is_string()
                         ? merge.get<std::string>()
                         : merge.at(0).get<std::string>() + " " + merge.at(1).get<std::string>());
  }
  const std::uint64_t first_control = control.begin()->first;
  Gguf gguf;
  gguf.source = "model.gguf";
  gguf.version = 3;
  gguf.metadata = {
      {"tokenizer.ggml.model", std::string("gpt2")},
      {"tokenizer.ggml.pre", pre},
      {"tokenizer.ggml.tokens", tokens},
      {"tokenizer.ggml.token_type", types},
      {"tokenizer.ggml.merges", merges},
      {"tokenizer.ggml.bos_token_id", first_control},
      {"tokenizer.ggml.eos_token_id", first_control},
  };
  return gguf;
}

/// The metadata that a GGUF file of a tokenizer.json of byte pairs of texts has, with scores in
/// place of merges: later tokens are worse.
inline Gguf sentencepiece_gguf(const nlohmann::json& source) {
  constexpr int kUnknown = 2;
  constexpr int kControl = 3;
  constexpr int kByte = 6;
  std::vector<std::string> tokens(source.at("model").at("vocab").size());
  for (const auto& [spelling, id] : source.at("model").at("vocab").items()) tokens[id] = spelling;
  std::vector<std::int64_t> types;
  std::vector<double> scores;
  for (const std::string& token : tokens) {
    types.push_back(token.starts_with("<0x") ? kByte : 1);
    scores.push_back(-static_cast<double>(scores.size()));
  }
  for (const nlohmann::json& added : source.at("added_tokens")) {
    types[added.at("id")] = added.at("content") == "<unk>" ? kUnknown : kControl;
  }
  Gguf gguf;
  gguf.source = "model.gguf";
  gguf.metadata = {{"tokenizer.ggml.model", std::string("llama")},
                   {"tokenizer.ggml.tokens", tokens},
                   {"tokenizer.ggml.scores", scores},
                   {"tokenizer.ggml.token_type", types}};
  return gguf;
}

inline Tokenizer from_gguf(const Gguf& gguf) { return Tokenizer::from_gguf(gguf, "model.gguf"); }

inline std::vector<TokenId> ids_of(std::span<const Token> tokens) {
  std::vector<TokenId> ids;
  for (const Token& token : tokens) ids.push_back(token.id);
  return ids;
}

inline std::vector<TokenId> ids_of(const Tokenizer& tokenizer, std::string_view text,
                                   SpecialTokens special = SpecialTokens::as_text) {
  return ids_of(tokenizer.encode(text, special));
}

}  // namespace longshadow::test
