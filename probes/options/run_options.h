#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/policy/policy.h"
#include "probes/experiments/document_run.h"
#include "probes/options/document_options.h"
#include "probes/options/model_options.h"
#include "probes/options/output_options.h"
#include "probes/runs/progress.h"

namespace longshadow {

class OptionSet;

/// Options of every command that measures a run.
struct RunOptions {
  DocumentOptions documents;
  OutputOptions output;
  ModelOptions model;
  std::size_t context = 1024;  ///< T
  std::size_t horizon = 256;   ///< H
  std::size_t memory = 0;      ///< bytes; 0: no bound
  std::size_t entropy_top_k = kEntropyTopK;
  std::uint64_t seed = 0;
  ProgressStyle progress{};

  /// Adds the options of the documents, the output and the model.
  void declare_files(OptionSet& options);
  /// Adds --context and --future, whose help the command has.
  void declare_lengths(OptionSet& options, const char* context_help, const char* future_help);
  /// Adds --memory, --entropy-top-k, --seed and --progress. `at_once` is what memory bounds the
  /// number of, and `entropy` what looks at the top tokens.
  void declare_rest(OptionSet& options, const std::string& at_once, const std::string& entropy);
};

/// The documents of a run, as far as it reads them.
struct RunTexts {
  std::vector<Document> documents;  ///< with their sentences, as far as tags tell them
  std::vector<DocumentTags> tags;   ///< one a document
};

/// Reads of each document as much as a run needs that evicts so. Throws as DocumentOptions::read()
/// and tag_documents() do.
RunTexts read_texts(const RunOptions& options, const Checkpoint& checkpoint,
                    const EvictAt& evict_at);

/// Writes the configuration of a run from its options and what they lead to, of which `found` has
/// what only the command knows.
nlohmann::json run_configuration(const OptionSet& options, const RunModel& model,
                                 const RunTexts& texts, const CommandDevice& device,
                                 nlohmann::json found);

}  // namespace longshadow
