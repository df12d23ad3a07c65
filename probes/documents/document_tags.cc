#include "probes/documents/document_tags.h"

#include <algorithm>

#include "data/format/schema.h"
#include "engine/core/error.h"
#include "engine/core/sha256.h"
#include "engine/io/mapped_file.h"
#include "engine/part_of_speech/conllu.h"
#include "engine/part_of_speech/tagger.h"
#include "engine/part_of_speech/treebank/conllu_alignment.h"
#include "engine/part_of_speech/weights_file.h"
#include "probes/models/model_location.h"

namespace longshadow {
namespace {

// Run files hold the tags by these numbers, and readers of them never see this room.
static_assert(std::equal(kTagNames.begin(), kTagNames.end(), schema::kUniversalTags.begin(),
                         schema::kUniversalTags.end()));
static_assert(TokenTag::kNoWord == schema::kNoWord);

std::vector<DocumentTags> tag_with_perceptron(std::span<const Document> documents,
                                              const std::string& tagger) {
  const MappedFile file(locate_tagger(tagger));
  const Perceptron perceptron = parse_weights(file.bytes(), file.path().string());
  std::vector<DocumentTags> tags;
  for (const Document& document : documents) {
    const std::vector<TaggedWord> words =
        tag_text(perceptron, document.text, document.tokens_end());
    tags.push_back({sha256_hex(file.bytes()), project(words, document.tokens)});
  }
  return tags;
}

DocumentTags read_tags(const Document& document, const std::string& path) {
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  // Words of a long document that is not in memory are not compared.
  const TextToAlign aligned{document.text, document.name, document.mark_bytes,
                            document.is_whole ? document.text.size() : document.tokens_end()};
  const std::vector<TaggedWord> words =
      align_conllu(read_conllu(text, path, MissingTags::allowed), path, aligned);
  return {sha256_hex(file.bytes()), project(words, document.tokens)};
}

}  // namespace

std::vector<DocumentTags> tag_documents(std::span<const Document> documents,
                                        const std::vector<std::string>& pos,
                                        const std::string& tagger) {
  if (pos == std::vector<std::string>{"none"}) return std::vector<DocumentTags>(documents.size());
  if (pos == std::vector<std::string>{"auto"}) return tag_with_perceptron(documents, tagger);
  if (pos.size() != documents.size()) {
    throw UsageError("`pos`: expected auto, none or a CoNLL-U file for each of the " +
                     std::to_string(documents.size()) + " documents, found " +
                     std::to_string(pos.size()));
  }
  std::vector<DocumentTags> tags;
  for (std::size_t i = 0; i < pos.size(); ++i) tags.push_back(read_tags(documents[i], pos[i]));
  return tags;
}

std::vector<Range> sentences_of(const DocumentTags& tags) {
  std::vector<Range> sentences;
  for (std::size_t i = 0; i < tags.tokens.size(); ++i) {
    if (i == 0 || tags.tokens[i].sentence != tags.tokens[i - 1].sentence) {
      sentences.push_back({i, i});
    }
    sentences.back().end = i + 1;
  }
  return sentences;
}

void store_tags(const DocumentTags& tags, RunTokens& tokens) {
  const std::size_t n = std::min(tags.tokens.size(), tokens.id.size());
  for (const TokenTag& tag : std::span(tags.tokens).first(n)) {
    tokens.upos.push_back(static_cast<std::uint8_t>(tag.tag));
    tokens.word.push_back(tag.word);
    tokens.sentence.push_back(tag.sentence);
  }
}

}  // namespace longshadow
