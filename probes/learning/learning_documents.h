#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/format/run_file.h"
#include "engine/model/weights.h"
#include "engine/policy/layer_view.h"
#include "engine/policy/policy.h"
#include "probes/influence/measured_influence.h"

namespace longshadow {

/// A document that `longshadow learn` learns from: a sketch measured its influence by layer and KV
/// head.
struct LearningDocument {
  DocumentRun run;
  InfluenceMap influence;  ///< [L, K, T] nats
};

/// The documents of these run files. Throws UsageError where there is none, a run is of another
/// model, a document has no sketch by head or another context than the first, or one comes twice.
std::vector<LearningDocument> read_learning_documents(std::span<const std::string> paths,
                                                      const RunModel& model);

/// Throws UsageError where some layer of the model sees a window of a text so long: what is learnt
/// holds for every layer, and policies compress only the others.
void check_learning(const ModelConfig& config, std::size_t text_tokens);

/// Runs the full pass over a document's context and shows what policies of these traits look at,
/// layer by layer. Throws Interrupted.
void show_layers(Device& device, const Weights& weights, const DocumentRun& run,
                 const PolicyTraits& traits,
                 const std::function<void(const LayerView& view)>& look);

}  // namespace longshadow
