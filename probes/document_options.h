#pragma once

#include <boost/program_options.hpp>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "probes/document.h"
#include "probes/document_tags.h"

namespace longshadow {

/// Adds --document, --bos, --parse-special, --pos and --tagger: what every command that reads
/// documents takes.
void add_document_options(boost::program_options::options_description& options);

/// The documents of `--document`, of each the first `n_tokens` tokens, read as --bos and
/// --parse-special say. Throws UsageError, and as document_names() and read_document() do.
std::vector<Document> read_documents(const boost::program_options::variables_map& values,
                                     const Tokenizer& tokenizer, std::size_t n_tokens);

/// Whether some of them can be read only once: pipes, standard input.
bool reads_pipes(const boost::program_options::variables_map& values);

/// The tags that --pos and --tagger ask for, as tag_documents() gives them.
std::vector<DocumentTags> read_tags(const boost::program_options::variables_map& values,
                                    std::span<const Document> documents);

/// Adds to a run's configuration what is measured depends on: --bos, --parse-special, and the
/// digests of documents and tags.
void configure_documents(const boost::program_options::variables_map& values,
                         std::span<const Document> documents, std::span<const DocumentTags> tags,
                         nlohmann::json& configuration);

}  // namespace longshadow
