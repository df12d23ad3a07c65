#include "probes/learning/learning_documents.h"

#include <algorithm>
#include <set>
#include <utility>

#include "analysis/runs/run_reader.h"
#include "engine/backend/device.h"
#include "engine/core/error.h"
#include "probes/compression/compressor.h"
#include "probes/gather/policy_inputs.h"

namespace longshadow {

std::vector<LearningDocument> read_learning_documents(std::span<const std::string> paths,
                                                      const RunModel& model) {
  std::vector<LearningDocument> documents;
  std::set<std::string> seen;
  for (const std::string& path : paths) {
    RunFile file = read_run(path);
    if (file.model.weights_sha256 != model.weights_sha256) {
      throw UsageError(path + ": expected a run of the same model, found " + file.model.name +
                       " with other weights");
    }
    for (DocumentRun& run : file.documents) {
      if (!seen.insert(run.source_sha256).second) {
        throw UsageError(path + ": " + run.name +
                         " is there twice; what is learnt would count it twice");
      }
      if (!documents.empty() && documents.front().run.context_tokens != run.context_tokens) {
        throw UsageError(path + ": expected contexts of one length, found " +
                         std::to_string(documents.front().run.context_tokens) + " tokens and " +
                         std::to_string(run.context_tokens));
      }
      InfluenceMap influence = influence_by_head(run, path);
      documents.push_back({std::move(run), std::move(influence)});
    }
  }
  if (documents.empty()) throw UsageError("expected runs of documents, found none");
  return documents;
}

void check_learning(const ModelConfig& config, std::size_t text_tokens) {
  if (compressed_layers(config, text_tokens).size() == config.n_layers) return;
  throw UsageError("a text of " + std::to_string(text_tokens) +
                   " tokens, of which some layers see a window: what policies learn holds for all "
                   "layers; learn from texts that fit into the windows");
}

void show_layers(Device& device, const Weights& weights, const DocumentRun& run,
                 const PolicyTraits& traits,
                 const std::function<void(const LayerView& view)>& look) {
  const auto context = static_cast<std::size_t>(run.context_tokens);
  const std::size_t text_tokens = run.tokens.id.size();
  PolicyInputs inputs(device, weights, context, text_tokens, std::span(&traits, 1));
  const FullPass full = prefill(device, weights, std::span(run.tokens.id).first(context),
                                text_tokens, context, &inputs);
  inputs.set_entropy(run.signals.entropy_topk);
  for (std::size_t layer = 0; layer < weights.config.n_layers; ++layer) {
    inputs.show(full, layer);
    look(inputs.view(traits));
  }
}

}  // namespace longshadow
