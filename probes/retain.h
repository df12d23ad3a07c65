#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "data/format/run_file.h"
#include "engine/backend/cpu.h"
#include "probes/document.h"
#include "probes/memory_plan.h"
#include "probes/probe_model.h"
#include "probes/progress.h"

namespace longshadow {

/// What `longshadow retain` measures on each document, and how.
struct RetainOptions {
  std::size_t context = 1024;         ///< T, tokens whose cache is compressed
  std::size_t horizon = 256;          ///< H, positions that run on what is left
  std::vector<std::string> policies;  ///< as make_policy() reads them
  std::vector<std::string> budgets;   ///< as parse_budget() reads them
  std::size_t n_sinks = 0;            ///< first tokens that every policy protects at least
  Precision precision = Precision::f32;
  std::size_t memory_bytes = 0;  ///< 0: no bound
  std::size_t entropy_top_k = 20;
  std::uint64_t seed = 0;
};

/// The policies of "snapkv,infokv:lambda=2,entropy=at,h2o": a piece with an option and no colon
/// before it belongs to the policy in front of it.
std::vector<std::string> split_policies(const std::string& list);

/// A share above 0 and at most 1. Throws UsageError.
double parse_budget(const std::string& text);

/// Throws UsageError where the document or the model is too short for the options, the options
/// name policies or budgets that are not there, an oracle lacks `influence`, or the memory allowed
/// is too little.
void check_retention(const Document& document, const ModelConfig& config,
                     const RetainOptions& options, const RunFile* influence);

/// Runs the full pass, lets every policy choose at every budget, and runs the future on what each
/// keeps, telling progress on `log`. `influence` is what an oracle keeps by, or null. Throws as
/// check_retention() does.
template <class T>
DocumentRun retain_document(Cpu& cpu, const ProbeModel<T>& model, const Tokenizer& tokenizer,
                            const Document& document, const RetainOptions& options,
                            const RunFile* influence, ProgressStyle progress, std::ostream& log);

}  // namespace longshadow
