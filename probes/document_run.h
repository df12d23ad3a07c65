#pragma once

#include <cstddef>
#include <string>

#include "data/format/run_file.h"
#include "engine/model/checkpoint.h"
#include "engine/model/full_pass.h"
#include "probes/document.h"
#include "probes/eviction.h"
#include "probes/signals.h"

namespace longshadow {

/// How much of a document a run reads, and what of each prediction.
struct Reading {
  std::size_t context;  ///< T
  std::size_t horizon;  ///< H
  EvictAt evict_at;
  std::size_t entropy_top_k;
};

/// Throws UsageError where the document or the model is too short for the reading.
void check_reading(const Document& document, const ModelConfig& config, const Reading& reading);

/// The parts of a run file that are the same whatever a run measures. A run without documents:
RunFile begin_run(RunModel model, std::string configuration);

RunModel describe(const Checkpoint& checkpoint);

/// The document's first n tokens.
RunTokens tokens_of(const Document& document, const Tokenizer& tokenizer, std::size_t n);

template <class T>
RunSignals signals_of(const FullPass<T>& full, const SignalObserver<Cpu, T>& observer,
                      std::size_t top_k);

}  // namespace longshadow
