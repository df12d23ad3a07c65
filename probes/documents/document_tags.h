#pragma once

#include <span>
#include <string>
#include <vector>

#include "data/format/run_file.h"
#include "engine/core/range.h"
#include "engine/part_of_speech/token_tags.h"
#include "probes/documents/document.h"

namespace longshadow {

/// The parts of speech and the sentences of a document's tokens, and what they came from.
struct DocumentTags {
  std::string source_sha256;  ///< of the tagger's weights or the CoNLL-U file; empty without tags
  std::vector<TokenTag> tokens;  ///< [n], or empty
};

/// One for each document, as `--pos` says: "auto" (the tagger whose weights `tagger` names, see
/// locate_tagger), "none", or a CoNLL-U file for each document in their order. Throws UsageError
/// where there are more or fewer, and Error where a file cannot be read or does not fit.
std::vector<DocumentTags> tag_documents(std::span<const Document> documents,
                                        const std::vector<std::string>& pos,
                                        const std::string& tagger);

/// The tokens of each sentence: all tokens, in order. None without tags.
std::vector<Range> sentences_of(const DocumentTags& tags);

/// Stores those of the run's tokens, which are the document's first.
void store_tags(const DocumentTags& tags, RunTokens& tokens);

}  // namespace longshadow
