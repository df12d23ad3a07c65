#pragma once

#include <cstdint>

namespace longshadow {

/// Content words carry the meaning: ADJ, NOUN, PROPN, VERB. Function words carry the grammar: ADP,
/// AUX, CCONJ, DET, PART, PRON, SCONJ. Adverbs, numerals, punctuation and the rest are neither. Of
/// "nouns, adjectives and conjugated verbs", universal tags cannot tell the last from infinitives
/// and participles: VERB is all of them.
enum class WordClass { content, function, neither };

/// Class of a tag, an index of schema::kUniversalTags.
WordClass word_class(std::uint8_t upos);

}  // namespace longshadow
