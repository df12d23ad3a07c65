#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/format/run_file.h"
#include "engine/backend/device.h"
#include "engine/kv/packed_rows.h"
#include "engine/policy/policy.h"
#include "probes/compression/policy_choice.h"
#include "probes/cost/memory_plan.h"
#include "probes/documents/document.h"
#include "probes/measure/probe_model.h"
#include "probes/runs/measurement.h"
#include "probes/runs/progress.h"
#include "probes/subjects/budget.h"

namespace longshadow {

/// Options of `longshadow retain`'s measurement, the same for each document.
struct RetainOptions {
  std::size_t context = 1024;              ///< T, tokens whose cache is compressed
  std::size_t horizon = 256;               ///< H, positions that run on what is left
  std::vector<std::string> policies;       ///< as make_policies() reads them
  std::shared_ptr<const Policies> made{};  ///< of these texts, once for all documents
  std::vector<Budget> budgets;
  Precision precision = Precision::f32;
  DeviceKind device = DeviceKind::cpu;
  std::size_t memory_bytes = 0;  ///< 0: no bound
  std::size_t entropy_top_k = kEntropyTopK;
  std::optional<Quantization> quantization{};  ///< of what every policy keeps
  std::uint64_t seed = 0;
};

/// The policies of "snapkv,infokv:alpha=0.8,entropy=at,h2o": a piece with an option and no colon
/// before it belongs to the policy in front of it.
std::vector<std::string> split_policies(const std::string& list);

/// Throws UsageError where the document or the model is too short for the options, the options
/// name a policy at a budget twice or one that the context is too short for, an oracle lacks
/// `influence`, or the memory allowed is too little.
void check_retention(const Document& document, const ModelConfig& config,
                     const RetainOptions& options, const RunFile* influence);

/// The name of a retention's units, in the plural.
inline constexpr const char* kCacheUnits = "compressed caches";

/// Policies times budgets.
std::size_t count_caches(const RetainOptions& options);
/// Numbers that one of them gives: the Measurement's n_values().
std::size_t values_of_cache(const RetainOptions& options);

/// Runs the full pass of one document, telling progress on `log`. In the measurement every policy
/// chooses at every budget, and the future runs on what each keeps. `influence` is what an oracle
/// keeps by, or null. The options passed check_retention(); they and the model outlive the result.
std::unique_ptr<Measurement> begin_retention(Device& device, const ProbeModel& model,
                                             const Tokenizer& tokenizer, const Document& document,
                                             const RetainOptions& options, const RunFile* influence,
                                             ProgressStyle progress, std::ostream& log);

/// Measures all of one document, in memory. Throws as check_retention() does.
DocumentRun retain_document(Device& device, const ProbeModel& model, const Tokenizer& tokenizer,
                            const Document& document, const RetainOptions& options,
                            const RunFile* influence, ProgressStyle progress, std::ostream& log);

}  // namespace longshadow
