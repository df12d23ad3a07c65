#include "engine/model/end_tokens.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <span>
#include <string_view>
#include <unordered_set>

#include "engine/core/error.h"

namespace longshadow {
namespace {

using nlohmann::json;
using Spellings = std::set<std::string_view>;

const Spellings kEnds = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "[e~[",
};

/// Where a code model goes on with another part of a file or another file.
struct MiddleToken {
  const char* name;
  Spellings spellings;
};
const MiddleToken kMiddleTokens[] = {
    {"fim_pad", {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {"fim_rep", {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {"fim_sep", {"<|file_sep|>"}},
};

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

/// Adds the token that the key of this name has, if it is there.
bool add_named(const Gguf& gguf, const std::string& name, const Tokenizer& tokenizer,
               EndTokens& ends) {
  const std::string key = "tokenizer.ggml." + name + "_token_id";
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
  for (const char* name : {"eos", "eot", "eom"}) add_named(gguf, name, tokenizer, ends);
  Spellings spellings = kEnds;
  for (const MiddleToken& middle : kMiddleTokens) {
    if (!add_named(gguf, middle.name, tokenizer, ends)) {
      spellings.insert(middle.spellings.begin(), middle.spellings.end());
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
