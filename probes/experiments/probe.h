#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <vector>

#include "data/format/run_file.h"
#include "engine/backend/device.h"
#include "engine/policy/policy.h"
#include "engine/text/number_list.h"
#include "probes/cost/memory_plan.h"
#include "probes/documents/document.h"
#include "probes/influence/sketch.h"
#include "probes/measure/probe_model.h"
#include "probes/runs/measurement.h"
#include "probes/runs/progress.h"
#include "probes/subjects/eviction.h"
#include "probes/subjects/policy_subjects.h"
#include "probes/subjects/screen.h"
#include "probes/subjects/selection.h"
#include "probes/subjects/subjects.h"

namespace longshadow {

/// Options of `longshadow probe`'s measurement, the same for each document.
struct ProbeOptions {
  std::size_t context = 1024;  ///< T, tokens that subjects are taken from
  std::size_t horizon = 256;   ///< H, positions measured from a subject's start on
  Selection subjects;
  /// The policies that `subjects` names, made by make_selected_policies(); null where it names
  /// none.
  std::shared_ptr<const SelectedPolicies> policies{};
  std::size_t n_sinks = 4;    ///< first tokens that top:, each: and policy: spare
  std::size_t n_recent = 32;  ///< last tokens of the context that top: and each: spare
  EvictAt evict_at;
  NumberList layers{};  ///< where subjects vanish, as cache_part() takes them
  NumberList heads{};
  Precision precision = Precision::f32;
  Method method = Method::differential;
  DeviceKind device = DeviceKind::cpu;
  std::optional<SketchOptions> sketch;  ///< every token's influence, estimated
  std::optional<ScreenOptions> screen;  ///< after a sketch, instead of `subjects`
  std::size_t memory_bytes = 0;         ///< 0: no bound
  std::size_t entropy_top_k = kEntropyTopK;
  std::uint64_t seed = 0;
};

/// Chooses the subjects of a document, as choose_subjects() of a selection does; none with a
/// sketch. Throws UsageError where the document or the model is too short for the options, the
/// options name subjects, layers or heads that are not there, or the memory allowed is too little.
std::vector<Subject> choose_subjects(const Document& document, const ModelConfig& config,
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

/// The name of a probe's units, in the plural.
inline constexpr const char* kSubjectUnits = "subjects";

/// Numbers that a counterfactual gives, the Measurement's n_values(): its influence at H positions
/// and, of a model with experts, for each layer the share of the positions that go to others.
std::size_t values_of_counterfactual(const ModelConfig& config, const ProbeOptions& options);

/// Runs the full pass and the sketch of one document, telling progress on `log`; `subjects` are
/// those that choose_subjects() gave, and `sketch` is what an earlier process found, or null. The
/// model outlives what is returned. Throws UsageError where a policy evicts nothing, Error where a
/// number is none, and Interrupted.
std::unique_ptr<Measurement> begin_probe(Device& device, const ProbeModel& model,
                                         const Tokenizer& tokenizer, const Document& document,
                                         std::vector<Subject> subjects, const ProbeOptions& options,
                                         const RunSketch* sketch, ProgressStyle progress,
                                         std::ostream& log);

/// Measures all of one document, in memory. Throws as choose_subjects() and begin_probe() do.
DocumentRun probe_document(Device& device, const ProbeModel& model, const Tokenizer& tokenizer,
                           const Document& document, const ProbeOptions& options,
                           ProgressStyle progress, std::ostream& log);

}  // namespace longshadow
