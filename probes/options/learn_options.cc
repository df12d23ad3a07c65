#include "probes/options/learn_options.h"

#include <nlohmann/json.hpp>

#include "data/format/publish.h"
#include "probes/compression/policy_choice.h"
#include "probes/experiments/document_run.h"
#include "probes/models/model_location.h"
#include "probes/options/option_set.h"

namespace longshadow {

void LearnOptions::declare(OptionSet& options, const char* sinks_help, const char* output_help) {
  options.add("runs", required_list(runs), "run files with a sketch by head");
  options.take_words("runs", -1);
  options.add("sinks", value(n_sinks), sinks_help);
  options.add("output,o", value(output), output_help);
}

LearnInputs::LearnInputs(const LearnOptions& options, std::ostream& log)
    : device(options.model),
      checkpoint(open_model(options.model.model, log)),
      policy_model(longshadow::policy_model(*checkpoint)),
      model(describe(*checkpoint)),
      documents(read_learning_documents(options.runs, model)),
      context(static_cast<std::size_t>(documents.front().run.context_tokens)) {
  for (const LearningDocument& document : documents) {
    check_learning(checkpoint->config(), document.run.tokens.id.size());
  }
}

std::filesystem::path LearnInputs::output(const LearnOptions& options,
                                          const std::string& standard) const {
  std::filesystem::path output;
  if (options.output) {
    output = *options.output;
  } else {
    const std::filesystem::path folder = learned_folder(policy_model);
    std::filesystem::create_directories(folder);
    output = folder / standard;
  }
  check_output(output);
  return output;
}

nlohmann::ordered_json learned_header(const std::string& format, const RunModel& model) {
  return {{"format", format},
          {"format_version", 1},
          {"model", {{"name", model.name}, {"weights_sha256", model.weights_sha256}}},
          {"layers", model.n_layers},
          {"kv_heads", model.n_kv_heads}};
}

nlohmann::ordered_json described(std::span<const LearningDocument> documents) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const LearningDocument& document : documents) {
    const DocumentRun& run = document.run;
    list.push_back({{"name", run.name},
                    {"source_sha256", run.source_sha256},
                    {"context", run.context_tokens},
                    {"future", run.future_tokens},
                    {"probes", run.sketch->probes}});
  }
  return list;
}

std::string learned_text(const nlohmann::ordered_json& header, const std::string& name,
                         std::span<const std::string> rows) {
  std::string text = header.dump(1);
  text.resize(text.rfind('\n'));  // open again
  text += ",\n \"" + name + "\": [";
  for (std::size_t row = 0; row < rows.size(); ++row) {
    text += (row == 0 ? "\n  " : ",\n  ") + rows[row];
  }
  return text + "\n ]\n}\n";
}

}  // namespace longshadow
