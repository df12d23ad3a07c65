#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/error.h"
#include "engine/io/protobuf.h"
#include "engine/text/utf8.h"
#include "engine/tokenizer/definition/byte_fallback.h"
#include "engine/tokenizer/definition/tokenizer_definition.h"

// Fields and their numbers are those of SentencePiece's sentencepiece_model.proto
// (https://github.com/google/sentencepiece).

namespace longshadow {
namespace {

using Kind = ProtobufField::Kind;

/// Nearly twice the largest that people use (Gemma's); a piece of few bytes takes many more in
/// memory.
constexpr std::size_t kLargestModel = 8 << 20;

constexpr const char* kInstead =
    "; AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) of transformers writes a "
    "tokenizer.json, which is read in its place";

constexpr std::uint64_t kUnigram = 1, kBytePairs = 2;  // model_type

/// SentencePiece's types of pieces.
enum class PieceType { normal = 1, unknown, control, user_defined, unused, byte };

struct SentencePiece {
  std::string_view text;
  double score = 0.0;
  PieceType type = PieceType::normal;
};

/// What a file says besides its pieces; what it leaves out is as here.
struct Settings {
  std::uint64_t model_type = kUnigram;
  bool byte_fallback = false;
  bool suffix_spaces = false;  // treat_whitespace_as_suffix
  std::int32_t bos = 1;        // -1: none
  std::string normalization;   // the name of the rules, for messages
  bool has_rules = false;      // precompiled_charsmap
  bool prefix_space = true;    // add_dummy_prefix
  bool strips_spaces = true;   // remove_extra_whitespaces
  bool spells_spaces = true;   // escape_whitespaces
};

std::string_view text_of(const ProtobufField& field) {
  return {reinterpret_cast<const char*>(field.bytes.data()), field.bytes.size()};
}

void expect(const ProtobufField& field, Kind kind, const std::string& where) {
  if (field.kind != kind) throw Error(where + ": expected another kind of field");
}

bool read_flag(const ProtobufField& field, const std::string& where) {
  expect(field, Kind::varint, where);
  return field.bits != 0;
}

SentencePiece read_piece(std::span<const std::byte> message, const std::string& where) {
  SentencePiece piece;
  ProtobufReader reader(message, where);
  while (const auto field = reader.next()) {
    if (field->number == 1) {
      expect(*field, Kind::bytes, where + ": piece");
      piece.text = text_of(*field);
    } else if (field->number == 2) {
      expect(*field, Kind::bits32, where + ": score");
      piece.score = double{std::bit_cast<float>(static_cast<std::uint32_t>(field->bits))};
    } else if (field->number == 3) {
      expect(*field, Kind::varint, where + ": type");
      if (field->bits < 1 || field->bits > static_cast<std::uint64_t>(PieceType::byte)) {
        throw Error(where + ": type: expected 1 to 6, found " + std::to_string(field->bits));
      }
      piece.type = static_cast<PieceType>(field->bits);
    }
  }
  if (piece.text.empty()) throw Error(where + ": expected a text, found none");
  if (!is_utf8(piece.text)) {
    throw Error(where + ": expected UTF-8, found " + quote(piece.text));
  }
  if (!std::isfinite(piece.score)) {
    throw Error(where + ": score: expected a finite number, found " + std::to_string(piece.score));
  }
  if (piece.type == PieceType::byte && !byte_spelled_by(piece.text)) {
    throw Error(where + ": expected a spelling of <0x00> to <0xFF> for a byte, found " +
                quote(piece.text));
  }
  return piece;
}

void read_trainer(std::span<const std::byte> message, const std::string& where,
                  Settings& settings) {
  ProtobufReader reader(message, where);
  while (const auto field = reader.next()) {
    switch (field->number) {
      case 3:
        expect(*field, Kind::varint, where + ": model_type");
        settings.model_type = field->bits;
        break;
      case 24:
        settings.suffix_spaces = read_flag(*field, where + ": treat_whitespace_as_suffix");
        break;
      case 35:
        settings.byte_fallback = read_flag(*field, where + ": byte_fallback");
        break;
      case 41:
        expect(*field, Kind::varint, where + ": bos_id");
        settings.bos = static_cast<std::int32_t>(static_cast<std::uint32_t>(field->bits));
        break;
      default:
        break;
    }
  }
}

void read_normalizer(std::span<const std::byte> message, const std::string& where,
                     Settings& settings) {
  ProtobufReader reader(message, where);
  while (const auto field = reader.next()) {
    switch (field->number) {
      case 1:
        expect(*field, Kind::bytes, where + ": name");
        settings.normalization = text_of(*field);
        break;
      case 2:
        expect(*field, Kind::bytes, where + ": precompiled_charsmap");
        settings.has_rules = !field->bytes.empty();
        break;
      case 3:
        settings.prefix_space = read_flag(*field, where + ": add_dummy_prefix");
        break;
      case 4:
        settings.strips_spaces = read_flag(*field, where + ": remove_extra_whitespaces");
        break;
      case 5:
        settings.spells_spaces = read_flag(*field, where + ": escape_whitespaces");
        break;
      default:
        break;
    }
  }
}

void refuse_unsupported(const Settings& settings, const std::string& source) {
  const auto refuse = [&](const std::string& what) {
    throw Error(source + ": " + what + kInstead);
  };
  if (settings.model_type != kBytePairs) {
    refuse("trainer_spec: model_type: expected 2 (byte-pair encoding), found " +
           std::to_string(settings.model_type));
  }
  if (settings.suffix_spaces) {
    refuse("trainer_spec: treat_whitespace_as_suffix: spaces behind words are not supported");
  }
  if (settings.has_rules) {
    refuse("normalizer_spec: precompiled_charsmap: the rules " + quote(settings.normalization) +
           " are not supported; expected identity");
  }
  if (!settings.spells_spaces) {
    refuse("normalizer_spec: escape_whitespaces: spaces that are not spelled are not supported");
  }
}

void add_piece(const SentencePiece& piece, TokenizerDefinition& definition) {
  const auto id = static_cast<TokenId>(definition.vocabulary.size());
  const bool special = piece.type == PieceType::control || piece.type == PieceType::unknown;
  if (piece.type == PieceType::unknown) {
    if (definition.unknown) {
      throw Error(definition.source + ": expected one unknown piece, found " +
                  std::to_string(*definition.unknown) + " and " + std::to_string(id));
    }
    definition.unknown = id;
  }
  if (special || piece.type == PieceType::user_defined) {
    definition.added_tokens.push_back(
        {.content = std::string(piece.text), .id = id, .special = special});
  }
  if (piece.type == PieceType::unused) definition.unused.push_back(id);
  definition.vocabulary.emplace_back(piece.text);
  definition.scores.push_back(piece.score);
}

std::vector<NormalizerStep> normalizer_of(const Settings& settings) {
  std::vector<NormalizerStep> steps;
  if (settings.strips_spaces) {
    steps.emplace_back(Replace{R"(\A +| +\z)", ""});
    steps.emplace_back(Replace{" {2,}", " "});
  }
  if (settings.prefix_space) steps.emplace_back(Prepend{std::string(kSpelledSpace)});
  steps.emplace_back(Replace{" ", std::string(kSpelledSpace)});
  return steps;
}

}  // namespace

TokenizerDefinition read_sentencepiece_model(std::span<const std::byte> model,
                                             const std::string& source) {
  TokenizerDefinition definition;
  definition.source = source;
  Settings settings;
  if (model.size() > kLargestModel) {
    throw Error(source + ": expected at most " + std::to_string(kLargestModel) +
                " bytes of a SentencePiece model, found " + std::to_string(model.size()));
  }
  const std::string no_model = source + ": this is no SentencePiece model";
  ProtobufReader reader(model, no_model);
  while (const auto field = reader.next()) {
    if (field->number < 1 || field->number > 3) continue;
    expect(*field, Kind::bytes, no_model + ": field " + std::to_string(field->number));
    if (field->number == 1) {
      const std::string where = source + ": piece " + std::to_string(definition.vocabulary.size());
      add_piece(read_piece(field->bytes, where), definition);
    } else if (field->number == 2) {
      read_trainer(field->bytes, source + ": trainer_spec", settings);
    } else {
      read_normalizer(field->bytes, source + ": normalizer_spec", settings);
    }
  }
  if (!definition.unknown) {
    throw Error(no_model + ": expected an unknown piece, found none");
  }
  refuse_unsupported(settings, source);

  definition.model = TokenModel::scored_merges;
  definition.byte_level = false;
  if (settings.byte_fallback) definition.byte_fallback = byte_fallback_of(definition.vocabulary);
  definition.fuses_unknown = !settings.byte_fallback;
  definition.normalizer = normalizer_of(settings);
  if (settings.bos >= 0) definition.bos = settings.bos;
  definition.adds_bos = definition.bos.has_value();
  return definition;
}

}  // namespace longshadow
