#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/text/pattern.h"
#include "engine/text/utf8.h"
#include "engine/tokenizer/definition/byte_fallback.h"
#include "engine/tokenizer/definition/tokenizer_definition.h"

// The keys and their meaning are those of the `tokenizers` package, version 0.23
// (https://github.com/huggingface/tokenizers).

namespace longshadow {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::string& where, const std::string& expected,
                         std::string_view found) {
  throw Error(where + ": expected " + expected + ", found " + quote(found));
}

/// The steps of a part that may be one step or a Sequence of them, under `list_key`.
std::vector<const json*> sequence_of(const json* part, std::string_view list_key,
                                     const std::string& where) {
  if (part == nullptr) return {};
  if (json_at<std::string>(*part, "type", where) != "Sequence") return {part};
  std::vector<const json*> steps;
  for (const json& step : json_array_at(*part, list_key, where)) {
    for (const json* nested : sequence_of(&step, list_key, where)) steps.push_back(nested);
  }
  return steps;
}

/// Ids that a file of this size can justify: a token takes at least six bytes of it ("a":0,), so
/// that a larger id means more holes than tokens.
class Ids {
 public:
  explicit Ids(std::size_t file_bytes)
      : limit_(std::min(file_bytes / kLeastTokenBytes,
                        std::size_t{std::numeric_limits<TokenId>::max()})) {}

  TokenId checked(const json& id, const std::string& where) const {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > limit_) {
      throw Error(where + ": expected an id from 0 to " + std::to_string(limit_) +
                  " (a sixth of the file's bytes), found " + id.dump());
    }
    return static_cast<TokenId>(id.get<std::uint64_t>());
  }

 private:
  static constexpr std::size_t kLeastTokenBytes = 6;

  std::size_t limit_;
};

void read_vocabulary(const json& model, const Ids& ids, const std::string& where,
                     TokenizerDefinition& definition) {
  for (const auto& [spelling, value] : json_object_at(model, "vocab", where).items()) {
    const TokenId id = ids.checked(value, where + ": vocab: " + quote(spelling));
    const auto index = static_cast<std::size_t>(id);
    if (index >= definition.vocabulary.size()) definition.vocabulary.resize(index + 1);
    std::optional<std::string>& entry = definition.vocabulary[index];
    if (entry) {
      throw Error(where + ": vocab: " + quote(*entry) + " and " + quote(spelling) +
                  " have the same id " + std::to_string(id));
    }
    entry = spelling;
  }
}

/// Merges are "a b" strings or, since version 0.20, [a, b] pairs.
void read_merges(const json& model, const std::string& where, TokenizerDefinition& definition) {
  for (const json& merge : json_array_at(model, "merges", where)) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      definition.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
      continue;
    }
    const std::string text = merge.is_string() ? merge.get<std::string>() : std::string();
    const std::size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
      refuse(where + ": merges: entry " + std::to_string(definition.merges.size()),
             "'a b' or ['a', 'b']", merge.dump());
    }
    definition.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
}

/// A list of [token, score] by id. The package fuses unknown characters whatever the file says.
void read_unigram(const json& model, const std::string& where, TokenizerDefinition& definition) {
  definition.model = TokenModel::unigram;
  definition.byte_level = false;
  definition.fuses_unknown = true;
  for (const json& entry : json_array_at(model, "vocab", where)) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      refuse(where + ": vocab: entry " + std::to_string(definition.scores.size()),
             "['token', score]", entry.dump());
    }
    definition.vocabulary.emplace_back(entry[0].get<std::string>());
    definition.scores.push_back(entry[1].get<double>());
  }
  if (json_find<bool>(model, "byte_fallback", where).value_or(false)) {
    definition.byte_fallback = byte_fallback_of(definition.vocabulary);
  }
  const auto unknown = json_find<std::uint64_t>(model, "unk_id", where);
  if (!unknown) return;
  if (*unknown >= definition.vocabulary.size()) {
    refuse(where + ": unk_id",
           "an id below the " + std::to_string(definition.vocabulary.size()) + " tokens",
           std::to_string(*unknown));
  }
  definition.unknown = static_cast<TokenId>(*unknown);
}

void read_byte_pairs(const json& model, const Ids& ids, const std::string& where,
                     TokenizerDefinition& definition) {
  if (json_find<double>(model, "dropout", where).value_or(0.0) != 0.0) {
    throw Error(where + ": dropout is not supported; its ids would be random");
  }
  definition.byte_level = !json_find<bool>(model, "byte_fallback", where).value_or(false);
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string affix = json_find<std::string>(model, key, where).value_or("");
    if (!affix.empty()) refuse(where + ": " + std::string(key), "none", affix);
  }
  definition.ignores_merges = json_find<bool>(model, "ignore_merges", where).value_or(false);
  definition.fuses_unknown = json_find<bool>(model, "fuse_unk", where).value_or(false);
  read_vocabulary(model, ids, where, definition);
  read_merges(model, where, definition);
  if (!definition.byte_level) definition.byte_fallback = byte_fallback_of(definition.vocabulary);
  if (const auto unknown = json_find<std::string>(model, "unk_token", where)) {
    const json& vocab = model["vocab"];
    const auto entry = vocab.find(*unknown);
    if (entry == vocab.end()) refuse(where + ": unk_token", "a token of the vocabulary", *unknown);
    definition.unknown = ids.checked(*entry, where);
  }
}

void read_model(const json& model, const Ids& ids, const std::string& where,
                TokenizerDefinition& definition) {
  const std::string type = json_find<std::string>(model, "type", where).value_or("BPE");
  if (type == "BPE") {
    read_byte_pairs(model, ids, where, definition);
  } else if (type == "Unigram") {
    read_unigram(model, where, definition);
  } else {
    refuse(where + ": type", "'BPE' or 'Unigram'", type);
  }
}

void read_added_tokens(const json& root, const Ids& ids, const std::string& source,
                       TokenizerDefinition& definition) {
  const json* list = json_array_find(root, "added_tokens", source);
  if (list == nullptr) return;
  for (const json& entry : *list) {
    const std::string where =
        source + ": added_tokens: entry " + std::to_string(definition.added_tokens.size());
    const auto content = json_at<std::string>(entry, "content", where);
    definition.added_tokens.push_back({
        .content = content,
        .id = ids.checked(entry.value("id", json()), where + ": id of " + quote(content)),
        .special = json_at<bool>(entry, "special", where),
        .single_word = json_at<bool>(entry, "single_word", where),
        .lstrip = json_at<bool>(entry, "lstrip", where),
        .rstrip = json_at<bool>(entry, "rstrip", where),
        .normalized = json_at<bool>(entry, "normalized", where),
    });
  }
}

SplitBehavior behavior_named(const std::string& name, const std::string& where) {
  constexpr std::array<std::pair<std::string_view, SplitBehavior>, 5> kBehaviors = {{
      {"Removed", SplitBehavior::removed},
      {"Isolated", SplitBehavior::isolated},
      {"MergedWithPrevious", SplitBehavior::merged_with_previous},
      {"MergedWithNext", SplitBehavior::merged_with_next},
      {"Contiguous", SplitBehavior::contiguous},
  }};
  for (const auto& [known, behavior] : kBehaviors) {
    if (name == known) return behavior;
  }
  refuse(where + ": behavior",
         "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous", name);
}

/// A pattern as a regular expression, whichever way it is given.
std::string read_pattern(const json& step, const std::string& where) {
  const json& pattern = json_object_at(step, "pattern", where);
  const auto expression = json_find<std::string>(pattern, "Regex", where + ": pattern");
  if (expression) return *expression;
  return escaped_for_pattern(json_at<std::string>(pattern, "String", where + ": pattern"));
}

void read_normalizer(const json& root, const std::string& source, TokenizerDefinition& definition) {
  const std::string where = source + ": normalizer";
  for (const json* step :
       sequence_of(json_object_find(root, "normalizer", source), "normalizers", where)) {
    const auto type = json_at<std::string>(*step, "type", where);
    if (type == "NFC" || type == "NFKC") {
      definition.normalizer.emplace_back(
          Compose{type == "NFC" ? NormalForm::nfc : NormalForm::nfkc});
    } else if (type == "Strip") {
      definition.normalizer.emplace_back(Strip{json_at<bool>(*step, "strip_left", where),
                                               json_at<bool>(*step, "strip_right", where)});
    } else if (type == "Prepend") {
      definition.normalizer.emplace_back(Prepend{json_at<std::string>(*step, "prepend", where)});
    } else if (type == "Replace") {
      definition.normalizer.emplace_back(
          Replace{read_pattern(*step, where), json_at<std::string>(*step, "content", where)});
    } else {
      refuse(where + ": type", "NFC, NFKC, Strip, Prepend, Replace or a Sequence of these", type);
    }
  }
}

SplitRule read_split(const json& step, const std::string& where) {
  return {
      .pattern = read_pattern(step, where),
      .behavior = behavior_named(json_at<std::string>(step, "behavior", where), where),
      .invert = json_at<bool>(step, "invert", where),
  };
}

/// Before version 0.14 there was only add_prefix_space.
SpellSpaces read_metaspace(const json& step, const std::string& where) {
  if (const auto replacement = json_at<std::string>(step, "replacement", where);
      replacement != kSpelledSpace) {
    refuse(where + ": replacement", quote(kSpelledSpace), replacement);
  }
  const bool prefix = json_find<bool>(step, "add_prefix_space", where).value_or(true);
  const auto scheme =
      json_find<std::string>(step, "prepend_scheme", where).value_or(prefix ? "always" : "never");
  constexpr std::array<std::pair<std::string_view, SpellSpaces::Prefix>, 3> kSchemes = {{
      {"always", SpellSpaces::Prefix::always},
      {"first", SpellSpaces::Prefix::at_the_beginning},
      {"never", SpellSpaces::Prefix::never},
  }};
  for (const auto& [name, meaning] : kSchemes) {
    if (scheme == name) return {meaning, json_find<bool>(step, "split", where).value_or(true)};
  }
  refuse(where + ": prepend_scheme", "always, first or never", scheme);
}

void read_pretokenizer(const json& root, const std::string& source,
                       TokenizerDefinition& definition) {
  const std::string where = source + ": pre_tokenizer";
  std::vector<PretokenizerStep>& steps = definition.pretokenizer;
  bool byte_level = false;
  for (const json* step :
       sequence_of(json_object_find(root, "pre_tokenizer", source), "pretokenizers", where)) {
    const auto type = json_at<std::string>(*step, "type", where);
    // Behind ByteLevel the text is in the byte alphabet, where patterns mean something else.
    if (byte_level) refuse(where, "nothing behind ByteLevel", type);
    if (type == "Split") {
      steps.emplace_back(read_split(*step, where));
    } else if (type == "Digits") {
      const bool individual = json_at<bool>(*step, "individual_digits", where);
      steps.emplace_back(SplitRule{
          R"(\p{N})", individual ? SplitBehavior::isolated : SplitBehavior::contiguous, false});
    } else if (type == "Metaspace" && !definition.byte_level) {
      steps.emplace_back(read_metaspace(*step, where));
    } else if (type == "ByteLevel" && definition.byte_level) {
      byte_level = true;
      if (json_at<bool>(*step, "add_prefix_space", where)) steps.emplace_back(PrefixSpace{});
      if (json_find<bool>(*step, "use_regex", where).value_or(true)) {
        steps.emplace_back(SplitRule{kGpt2Pattern});
      }
    } else {
      refuse(where + ": type",
             definition.byte_level ? "Split, Digits, ByteLevel or a Sequence of these"
                                   : "Split, Digits, Metaspace or a Sequence of these",
             type);
    }
  }
  if (definition.byte_level && !byte_level) {
    throw Error(where +
                ": expected a ByteLevel step, found none; of tokenizers that are not byte-level, "
                "those with byte_fallback or of type Unigram are supported");
  }
}

/// Decoders undo what is known already from the model: the byte alphabet, or spelled spaces and
/// bytes.
void check_decoder(const json& root, bool byte_level, const std::string& source) {
  const std::string where = source + ": decoder";
  constexpr std::array<std::string_view, 5> kOfTexts = {"Replace", "ByteFallback", "Fuse", "Strip",
                                                        "Metaspace"};
  for (const json* step :
       sequence_of(json_object_find(root, "decoder", source), "decoders", where)) {
    const auto type = json_at<std::string>(*step, "type", where);
    if (byte_level && type != "ByteLevel") refuse(where + ": type", "'ByteLevel'", type);
    if (!byte_level && std::ranges::find(kOfTexts, type) == kOfTexts.end()) {
      refuse(where + ": type", "Replace, ByteFallback, Fuse, Strip or Metaspace", type);
    }
  }
}

/// An id beyond TokenId's range becomes the largest, which names no token either.
TokenId read_special_id(const json& id, const std::string& where) {
  if (!id.is_number_unsigned()) throw Error(where + ": expected an id, found " + id.dump());
  constexpr std::uint64_t kLargest = std::numeric_limits<TokenId>::max();
  return static_cast<TokenId>(std::min(id.get<std::uint64_t>(), kLargest));
}

/// A template's special token before its first text is the beginning-of-sequence token.
void read_template(const json& post_processor, const std::string& where,
                   TokenizerDefinition& definition) {
  for (const json& item : json_array_at(post_processor, "single", where)) {
    if (json_object_find(item, "Sequence", where) != nullptr) return;
    if (definition.adds_bos) {
      throw Error(where + ": expected at most one special token before the text, found more");
    }
    const auto name =
        json_at<std::string>(json_object_at(item, "SpecialToken", where), "id", where);
    const json& special =
        json_object_at(json_object_at(post_processor, "special_tokens", where), name, where);
    const json& special_ids = json_array_at(special, "ids", where + ": " + quote(name));
    if (special_ids.size() != 1) {
      throw Error(where + ": " + quote(name) + ": expected one id, found " +
                  std::to_string(special_ids.size()));
    }
    definition.bos = read_special_id(special_ids[0], where + ": " + quote(name));
    definition.adds_bos = true;
  }
}

void read_post_processor(const json& root, const std::string& source,
                         TokenizerDefinition& definition) {
  const std::string where = source + ": post_processor";
  for (const json* step :
       sequence_of(json_object_find(root, "post_processor", source), "processors", where)) {
    const auto type = json_at<std::string>(*step, "type", where);
    if (type == "TemplateProcessing") {
      read_template(*step, where, definition);
    } else if (type != "ByteLevel") {
      refuse(where + ": type", "TemplateProcessing, ByteLevel or a Sequence of these", type);
    }
  }
}

}  // namespace

TokenizerDefinition read_tokenizer(std::span<const std::byte> tokenizer_json,
                                   const std::string& source) {
  const json root = parse_json(tokenizer_json, source);
  const Ids ids(tokenizer_json.size());
  TokenizerDefinition definition;
  definition.source = source;
  read_model(json_object_at(root, "model", source), ids, source + ": model", definition);
  read_added_tokens(root, ids, source, definition);
  read_normalizer(root, source, definition);
  read_pretokenizer(root, source, definition);
  check_decoder(root, definition.byte_level, source);
  read_post_processor(root, source, definition);
  return definition;
}

}  // namespace longshadow
