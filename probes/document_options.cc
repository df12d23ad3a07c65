#include "probes/document_options.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>

#include "engine/core/error.h"
#include "probes/document_name.h"
#include "probes/document_source.h"

namespace longshadow {

namespace po = boost::program_options;

namespace {

BosPolicy parse_bos(const std::string& text) {
  if (text == "auto") return BosPolicy::as_tokenizer_says;
  if (text == "yes") return BosPolicy::yes;
  if (text == "no") return BosPolicy::no;
  throw UsageError("--bos \"" + text + "\": expected auto, yes or no");
}

}  // namespace

void add_document_options(po::options_description& options) {
  auto add = options.add_options();
  add("document,d", po::value<std::vector<std::string>>()->multitoken()->required(),
      "UTF-8 texts: files, pipes such as <(zcat a.gz), - for standard input");
  add("bos", po::value<std::string>()->default_value("auto"),
      "a beginning-of-sequence token before the text: auto (as the tokenizer says), yes, no");
  add("parse-special", po::bool_switch(),
      "the spelling of a special token in a document is that token, not plain text");
  add("pos", po::value<std::vector<std::string>>()->multitoken()->default_value({"auto"}, "auto"),
      "parts of speech: auto (tagged here), none, or a CoNLL-U file for each document");
  add("tagger", po::value<std::string>()->default_value("", "English"),
      "weights for --pos auto that `longshadow pos train` wrote");
}

std::vector<Document> read_documents(const po::variables_map& values, const Tokenizer& tokenizer,
                                     std::size_t n_tokens) {
  const BosPolicy bos = parse_bos(values["bos"].as<std::string>());
  const SpecialTokens special =
      values["parse-special"].as<bool>() ? SpecialTokens::parse : SpecialTokens::as_text;
  std::vector<Document> documents;
  const auto& paths = values["document"].as<std::vector<std::string>>();
  const std::vector<std::string> names = document_names(paths);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    documents.push_back(read_document(paths[i], names[i], tokenizer, special, bos, n_tokens));
  }
  return documents;
}

bool reads_pipes(const po::variables_map& values) {
  const auto& paths = values["document"].as<std::vector<std::string>>();
  return std::any_of(paths.begin(), paths.end(), [](const std::string& path) {
    std::error_code error;
    return path == kStandardInput || !std::filesystem::is_regular_file(path, error);
  });
}

std::vector<DocumentTags> read_tags(const po::variables_map& values,
                                    std::span<const Document> documents) {
  return tag_documents(documents, values["pos"].as<std::vector<std::string>>(),
                       values["tagger"].as<std::string>());
}

void configure_documents(const po::variables_map& values, std::span<const Document> documents,
                         std::span<const DocumentTags> tags, nlohmann::json& configuration) {
  configuration["bos"] = values["bos"].as<std::string>();
  configuration["parse_special"] = values["parse-special"].as<bool>();
  for (std::size_t i = 0; i < documents.size(); ++i) {
    configuration["documents"].push_back({{"name", documents[i].name},
                                          {"sha256", documents[i].source_sha256},
                                          {"pos_sha256", tags[i].source_sha256}});
  }
}

}  // namespace longshadow
