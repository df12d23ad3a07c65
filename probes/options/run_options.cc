#include "probes/options/run_options.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "probes/cost/memory_plan.h"
#include "probes/options/option_set.h"

namespace longshadow {

void RunOptions::declare_files(OptionSet& options) {
  documents.declare(options);
  output.declare(options);
  model.declare(options);
}

void RunOptions::declare_lengths(OptionSet& options, const char* context_help,
                                 const char* future_help) {
  options.add("context,T", value(context), context_help).decides("context");
  options.add("future,H", value(horizon), future_help).decides("future");
}

void RunOptions::declare_rest(OptionSet& options, const std::string& at_once,
                              const std::string& entropy) {
  options
      .add("memory", parsed(memory, parse_bytes, "0"),
           "bound on memory that sets how many " + at_once +
               " run at once, as in 800M or 4G; 0: none")
      .leaves_no_trace();
  options.add("entropy-top-k", value(entropy_top_k), "tokens that the " + entropy + " looks at")
      .decides("entropy_top_k");
  options.add("seed", value(seed), "of every random choice").decides("seed");
  options.add("progress", parsed(progress, parse_progress_style, "auto"), "auto, plain or none")
      .leaves_no_trace();
}

RunTexts read_texts(const RunOptions& options, const Checkpoint& checkpoint,
                    const EvictAt& evict_at) {
  const Reading reading{options.context, options.horizon, evict_at, options.entropy_top_k};
  RunTexts texts;
  texts.documents = options.documents.read(checkpoint.tokenizer(),
                                           tokens_of_reading(checkpoint.config(), reading));
  texts.tags = tag_documents(texts.documents, options.documents.pos, options.documents.tagger);
  for (std::size_t d = 0; d < texts.documents.size(); ++d) {
    texts.documents[d].sentences = sentences_of(texts.tags[d]);
  }
  return texts;
}

nlohmann::json run_configuration(const OptionSet& options, const RunModel& model,
                                 const RunTexts& texts, const CommandDevice& device,
                                 nlohmann::json found) {
  found["weights_sha256"] = model.weights_sha256;
  found["documents"] = documents_configuration(texts.documents, texts.tags);
  device.add_to(found);
  return options.configuration(std::move(found));
}

}  // namespace longshadow
