#include "probes/options/document_options.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "engine/core/error.h"
#include "probes/documents/document_name.h"
#include "probes/documents/document_source.h"
#include "probes/options/option_set.h"

namespace longshadow {

void DocumentOptions::declare(OptionSet& options) {
  options
      .add("document,d", required_list(paths),
           "UTF-8 texts: files, pipes such as <(zcat a.gz), - for standard input")
      .leads_to("documents");
  options
      .add("bos",
           choice(bos, {{"auto", BosPolicy::as_tokenizer_says},
                        {"yes", BosPolicy::yes},
                        {"no", BosPolicy::no}}),
           "a beginning-of-sequence token before the text: auto (as the tokenizer says), yes, no")
      .decides("bos");
  options
      .add("parse-special", flag(parse_special),
           "the spelling of a special token in a document is that token, not plain text")
      .decides("parse_special");
  options
      .add("pos", list(pos, "auto"),
           "parts of speech: auto (tagged here), none, or a CoNLL-U file for each document")
      .leads_to("documents/pos_sha256");
  options
      .add("tagger", value(tagger, "English"),
           "weights for --pos auto that `longshadow pos train` wrote")
      .leads_to("documents/pos_sha256");
}

std::vector<Document> DocumentOptions::read(const Tokenizer& tokenizer,
                                            std::size_t n_tokens) const {
  const SpecialTokens special = parse_special ? SpecialTokens::parse : SpecialTokens::as_text;
  const std::vector<std::string> names = document_names(paths);
  std::vector<Document> documents;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    documents.push_back(read_document(paths[i], names[i], tokenizer, special, bos, n_tokens));
  }
  return documents;
}

bool DocumentOptions::has_pipes() const {
  return std::any_of(paths.begin(), paths.end(), [](const std::string& path) {
    std::error_code error;
    return path == kStandardInput || !std::filesystem::is_regular_file(path, error);
  });
}

nlohmann::json documents_configuration(std::span<const Document> documents,
                                       std::span<const DocumentTags> tags) {
  nlohmann::json list = nlohmann::json::array();
  for (std::size_t i = 0; i < documents.size(); ++i) {
    list.push_back({{"name", documents[i].name},
                    {"sha256", documents[i].source_sha256},
                    {"pos_sha256", tags[i].source_sha256}});
  }
  return list;
}

}  // namespace longshadow
