#pragma once

#include <cstddef>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "data/format/run_file.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/model/full_pass.h"
#include "probes/documents/document.h"
#include "probes/runs/progress.h"
#include "probes/subjects/eviction.h"

namespace longshadow {

/// How much of a document a run reads, and what of each prediction.
struct Reading {
  std::size_t context;  ///< T
  std::size_t horizon;  ///< H
  EvictAt evict_at;
  std::size_t entropy_top_k;
};

/// Throws UsageError for a k that the truncated entropy cannot have.
void check_entropy_top_k(std::size_t k, const ModelConfig& config);

/// The tokens that a reading needs of a document; no more than the model can read, where
/// check_lengths() will refuse.
std::size_t tokens_of_reading(const ModelConfig& config, const Reading& reading);

/// Throws UsageError where the model is too short for the reading.
void check_lengths(const ModelConfig& config, const Reading& reading);

/// Throws Error naming `what` where one of the ids has no row in the model's embedding: a tokenizer
/// may know more tokens than its model.
void check_ids(std::span<const TokenId> ids, const ModelConfig& config, const std::string& what);

/// Throws UsageError where the document or the model is too short for the reading, and as
/// check_ids() does.
void check_reading(const Document& document, const ModelConfig& config, const Reading& reading);

/// The parts of a run file that are the same whatever a run measures. A run without documents:
/// Names that are not UTF-8 are so with U+FFFD in their places.
RunFile begin_run(RunModel model, const nlohmann::json& configuration);

RunModel describe(const Checkpoint& checkpoint);

/// A document after its full pass: `run` has the tokens and the signals, and nothing measured yet.
struct DocumentPass {
  FullPass full;
  DocumentRun run;
};

/// Runs the full pass over as many tokens as the reading needs, telling progress on `log`;
/// `observers` look at it beside those of the signals. Throws Interrupted between chunks, and Error
/// where what the model predicts is not a number.
DocumentPass run_document_pass(Device& device, const Weights& weights, const Tokenizer& tokenizer,
                               const Document& document, const Reading& reading,
                               std::span<LayerObserver* const> observers, ProgressStyle progress,
                               std::ostream& log);

}  // namespace longshadow
