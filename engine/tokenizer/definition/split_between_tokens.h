#pragma once

#include <optional>

#include "engine/tokenizer/definition/tokenizer_definition.h"

namespace longshadow {

/// A split that changes no token, for vocabularies of texts in which a whole text is one word:
/// before each spelled space behind a character that no token has before one. Where no token
/// reaches across, nothing merges across, so that byte-pair encoding gives each part what it gives
/// it within the whole; but a part that is met again need not be merged again, and a text that goes
/// on has tokens that are certain. Empty where tokens may depend on what lies beyond: those of the
/// unigram model do, by the rounding of their sum of scores.
std::optional<SplitRule> split_between_tokens(const TokenizerDefinition& definition);

}  // namespace longshadow
