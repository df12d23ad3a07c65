#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>

#include "data/format/run_file.h"
#include "engine/backend/cpu.h"
#include "engine/policy/policy.h"
#include "engine/policy/policy_options.h"
#include "probes/document.h"
#include "probes/eviction.h"
#include "probes/measurement.h"
#include "probes/memory_plan.h"
#include "probes/probe_model.h"
#include "probes/progress.h"
#include "probes/screen.h"
#include "probes/sketch.h"

namespace longshadow {

/// What `longshadow probe` measures on each document, and how.
struct ProbeOptions {
  std::size_t context = 1024;  ///< T, tokens that subjects are taken from
  std::size_t horizon = 256;   ///< H, positions measured from a subject's start on
  std::string subjects = "sample:64";
  std::size_t n_sinks = 4;    ///< first tokens that top:, each: and policy: spare
  std::size_t n_recent = 32;  ///< last tokens of the context that top: and each: spare
  EvictAt evict_at;
  std::string layers = "all";  ///< where subjects vanish: as parse_cache_part() reads them
  std::string heads = "all";
  Precision precision = Precision::f32;
  Method method = Method::differential;
  DeviceKind device = DeviceKind::cpu;
  std::optional<SketchOptions> sketch;  ///< every token's influence, estimated
  std::optional<ScreenOptions> screen;  ///< after a sketch, instead of `subjects`
  std::size_t memory_bytes = 0;         ///< 0: no bound
  std::size_t entropy_top_k = kEntropyTopK;
  std::uint64_t seed = 0;
  PolicyModel policy_model{};  ///< that files of policies in `subjects` must fit
};

/// Throws UsageError where the document or the model is too short for the options, the options name
/// subjects, layers or heads that are not there, or the memory allowed is too little.
void check_document(const Document& document, const ModelConfig& config,
                    const ProbeOptions& options);

/// How the counterfactuals of a document divide the memory that they may use.
struct ProbeRoom {
  MemoryPlan plan;
  std::size_t batch_rows;
  /// Positions whose activations are there at a time: all in which futures lie, or, where those do
  /// not fit, as many as do. The document is then read again for each stretch of it.
  std::size_t tape_rows;
  std::size_t n_readings;  ///< of the document, at most
};

/// Throws UsageError where the memory allowed is too little.
ProbeRoom divide_memory(const ModelConfig& config, const ProbeOptions& options);

/// What a probe's units are, in the plural.
inline constexpr const char* kSubjectUnits = "subjects";

/// How many subjects the options choose of a document: 0 with a sketch alone; a screen chooses when
/// its sketch is there.
std::optional<std::size_t> count_subjects(const Document& document, const ProbeOptions& options);

/// Runs the full pass and the sketch of one document, telling progress on `log`; `sketch` is what
/// an earlier process found, or null. The model outlives what is returned. Throws as check_document
/// does.
template <class Device, class T>
std::unique_ptr<Measurement> begin_probe(Device& device, const ProbeModel<T>& model,
                                         const Tokenizer& tokenizer, const Document& document,
                                         const ProbeOptions& options, const RunSketch* sketch,
                                         ProgressStyle progress, std::ostream& log);

/// Measures all of one document, in memory. Throws as check_document does.
template <class Device, class T>
DocumentRun probe_document(Device& device, const ProbeModel<T>& model, const Tokenizer& tokenizer,
                           const Document& document, const ProbeOptions& options,
                           ProgressStyle progress, std::ostream& log);

}  // namespace longshadow
