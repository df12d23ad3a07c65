#include "probes/learn_output.h"

#include <nlohmann/json.hpp>

namespace longshadow {

std::filesystem::path learned_output(const boost::program_options::variables_map& values,
                                     const PolicyModel& model, const std::string& standard) {
  if (values.count("output") != 0) return values["output"].as<std::string>();
  const std::filesystem::path folder = learned_folder(model);
  std::filesystem::create_directories(folder);
  return folder / standard;
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

}  // namespace longshadow
