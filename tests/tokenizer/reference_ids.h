#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/sha256.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/tokenizer/tokenizer_fixtures.h"

// Digests of the nasty texts' tokens, as tests/parity/make_tokenizer_fixtures.py makes them with
// the reference tokenizers.

namespace longshadow::test {

/// Digest of the ids of all nasty texts, with a -1 behind each text.
inline std::string digest_of_texts(const Tokenizer& tokenizer, SpecialTokens special) {
  std::vector<TokenId> ids;
  for (const NastyText& text : nasty_texts(/*utf8=*/true)) {
    for (const TokenId id : ids_of(tokenizer, text.bytes, special)) ids.push_back(id);
    ids.push_back(-1);
  }
  return sha256_hex(std::as_bytes(std::span(ids)));
}

/// The number of characters that begin in each first `k` bytes of a text, by `k`.
inline std::vector<std::int32_t> characters_begun(std::string_view text) {
  std::vector<std::int32_t> begun = {0};
  for (const char byte : text) {
    const bool continues = (static_cast<unsigned char>(byte) & 0xc0) == 0x80;
    begun.push_back(begun.back() + (continues ? 0 : 1));
  }
  return begun;
}

/// Digest of where the tokens of all nasty texts begin and end, in characters, with a -1 behind
/// each text. A token of some of a character's bytes stands for the character.
inline std::string digest_of_places(const Tokenizer& tokenizer) {
  std::vector<std::int32_t> places;
  for (const NastyText& text : nasty_texts(/*utf8=*/true)) {
    const std::vector<std::int32_t> begun = characters_begun(text.bytes);
    for (const Token& token : tokenizer.encode(text.bytes)) {
      const bool is_empty = token.begin == token.end;
      places.push_back(is_empty ? begun[token.begin] : begun[token.begin + 1] - 1);
      places.push_back(begun[token.end]);
    }
    places.push_back(-1);
  }
  return sha256_hex(std::as_bytes(std::span(places)));
}

inline void check_digests(const Tokenizer& tokenizer, const nlohmann::json& expected) {
  CHECK(digest_of_texts(tokenizer, SpecialTokens::as_text) == expected.at("as_text"));
  CHECK(digest_of_texts(tokenizer, SpecialTokens::parse) == expected.at("parse"));
  if (expected.contains("places")) CHECK(digest_of_places(tokenizer) == expected.at("places"));
}

/// Holds every variant of the tokenizer NAME.json to NAME_ids.json. Returns how many there are.
inline std::size_t check_variants(const std::string& name) {
  const nlohmann::json expected = tokenizer_fixture(name + "_ids.json");
  const nlohmann::json variants = tokenizer_fixture(name + "_variants.json");
  for (const auto& [variant, pointers] : variants.items()) {
    INFO(name << ", " << variant);
    nlohmann::json changed = tokenizer_fixture(name + ".json");
    for (const auto& [pointer, value] : pointers.items()) {
      changed[nlohmann::json::json_pointer(pointer)] = value;
    }
    check_digests(from_json(changed), expected.at(variant));
  }
  return variants.size();
}

/// Fails unless each token's bytes are those of the text at its place and the places cover the
/// text in order; only the mark before a text is a space that the text does not have.
inline void check_places(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<Token> tokens = tokenizer.encode(text);
  std::size_t end = 0;
  bool fits = true;
  for (const Token& token : tokens) {
    const std::string bytes = tokenizer.decode({&token.id, 1});
    const std::string spanned(text.substr(token.begin, token.end - token.begin));
    fits = fits && token.begin == end &&
           (bytes == spanned || (token.begin == 0 && bytes == " " + spanned));
    end = token.end;
  }
  CHECK(fits);
  CHECK(end == text.size());
}

}  // namespace longshadow::test
