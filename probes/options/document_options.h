#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "probes/documents/document.h"
#include "probes/documents/document_tags.h"

namespace longshadow {

class OptionSet;

/// The documents that a command reads, and how.
struct DocumentOptions {
  std::vector<std::string> paths;
  BosPolicy bos = BosPolicy::as_tokenizer_says;
  bool parse_special = false;
  std::vector<std::string> pos{"auto"};  ///< as tag_documents() takes it
  std::string tagger;                    ///< likewise

  /// Adds --document, --bos, --parse-special, --pos and --tagger.
  void declare(OptionSet& options);

  /// Reads the first `n_tokens` tokens of each document. Throws UsageError, and as document_names()
  /// and read_document() do.
  std::vector<Document> read(const Tokenizer& tokenizer, std::size_t n_tokens) const;
  /// Whether some of them can be read only once: pipes, standard input.
  bool has_pipes() const;
};

/// The member "documents" of a run's configuration: names, and digests of texts and tags.
nlohmann::json documents_configuration(std::span<const Document> documents,
                                       std::span<const DocumentTags> tags);

}  // namespace longshadow
