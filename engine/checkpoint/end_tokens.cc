#include "engine/checkpoint/end_tokens.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <span>
#include <string_view>
#include <unordered_set>

#include "engine/core/error.h"
#include "engine/tokenizer/definition/control_spellings.h"

namespace longshadow {
namespace {

using nlohmann::json;

/// The id, or one as far beyond every vocabulary.
std::int64_t as_signed(std::uint64_t id) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(id, static_cast<std::uint64_t>(kMost)));
}

constexpr std::size_t kMostNotes = 3;

void add(std::int64_t id, const Tokenizer& tokenizer, const std::string& where, EndTokens& ends) {
  if (id < 0 || id >= static_cast<std::int64_t>(tokenizer.vocab_size())) {
    if (ends.notes.size() == kMostNotes) return;
    ends.notes.push_back(where + ": " + std::to_string(id) + " is none of the " +
                         std::to_string(tokenizer.vocab_size()) + " tokens and ends no text");
    return;
  }
  ends.ids.push_back(static_cast<TokenId>(id));
}

void remove_repetitions(std::vector<TokenId>& ids) {
  std::unordered_set<TokenId> seen;
  std::erase_if(ids, [&](TokenId id) { return !seen.insert(id).second; });
}

/// Adds the token that the key has, if it is there.
bool add_named(const Gguf& gguf, const std::string& key, const Tokenizer& tokenizer,
               EndTokens& ends) {
  const auto* const id = gguf.find_value<std::uint64_t>(key);
  if (id == nullptr) return false;
  add(as_signed(*id), tokenizer, gguf.source + ": " + key, ends);
  return true;
}

/// Takes out what ends a part of an answer and not the text, in vocabularies that say so by others.
void remove_inner_ends(std::span<const std::string> spellings, std::vector<TokenId>& ids) {
  const auto ends = [&](std::string_view spelling) {
    return std::any_of(ids.begin(), ids.end(), [&](TokenId id) {
      return static_cast<std::size_t>(id) < spellings.size() && spellings[id] == spelling;
    });
  };
  const auto remove = [&](std::string_view spelling) {
    std::erase_if(ids, [&](TokenId id) {
      return static_cast<std::size_t>(id) < spellings.size() && spellings[id] == spelling;
    });
  };
  const bool calls = ends("<|call|>") || ends("<|calls|>");
  if (calls && (ends("<|return|>") || ends("<|flush|>"))) remove("<|end|>");
  if (ends("<|tool_response>")) remove("</s>");
}

}  // namespace

EndTokens end_tokens(const Gguf& gguf, const Tokenizer& tokenizer) {
  EndTokens ends;
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                          "tokenizer.ggml.eom_token_id"}) {
    add_named(gguf, key, tokenizer, ends);
  }
  std::set<std::string_view> spellings(end_spellings().begin(), end_spellings().end());
  for (const MiddleMark& mark : middle_marks()) {
    if (mark.ends_text && !add_named(gguf, std::string(mark.key), tokenizer, ends)) {
      spellings.insert(mark.spellings.begin(), mark.spellings.end());
    }
  }
  const auto* const tokens = gguf.find_value<std::vector<std::string>>("tokenizer.ggml.tokens");
  if (tokens != nullptr) {
    for (std::size_t id = 0; id < tokens->size(); ++id) {
      if (spellings.contains((*tokens)[id])) {
        add(static_cast<std::int64_t>(id), tokenizer, gguf.source, ends);
      }
    }
    remove_inner_ends(*tokens, ends.ids);
  }
  remove_repetitions(ends.ids);
  return ends;
}

EndTokens end_tokens(const json& settings, const Tokenizer& tokenizer, const std::string& where) {
  EndTokens ends;
  const auto member = settings.is_object() ? settings.find("eos_token_id") : settings.end();
  if (member == settings.end() || member->is_null()) return ends;
  const std::string place = where + ": eos_token_id";
  for (const json& id : member->is_array() ? *member : json::array({*member})) {
    if (!id.is_number_integer()) {
      throw Error(place + ": expected a token's id or a list of them, found " + id.type_name());
    }
    add(id.is_number_unsigned() ? as_signed(id.get<std::uint64_t>()) : id.get<std::int64_t>(),
        tokenizer, place, ends);
  }
  remove_repetitions(ends.ids);
  return ends;
}

}  // namespace longshadow
