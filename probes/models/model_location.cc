#include "probes/models/model_location.h"

#include <cstdlib>
#include <ostream>
#include <string_view>

#include "engine/core/error.h"
#include "engine/text/utf8.h"
#include "probes/models/hub_cache.h"

namespace longshadow {

std::filesystem::path locate_model(const std::string& model) {
  constexpr std::string_view kHub = "hub:";
  if (model.starts_with(kHub)) return find_in_hub_cache(model.substr(kHub.size()));
  if (model != "smollm2") {
    std::error_code ignored;  // what cannot be examined is reported when it is opened
    if (is_hub_name(model) && !std::filesystem::exists(model, ignored)) {
      throw Error(model +
                  ": no such file or folder; a model in Hugging Face's cache is hub:" + model);
    }
    return model;
  }
  const char* folder = std::getenv("LONGSHADOW_MODELS");
  const std::filesystem::path models = folder != nullptr ? folder : LONGSHADOW_SOURCE_MODELS;
  const std::filesystem::path path = models / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    throw Error(path.string() + ": the model smollm2 is not there; fetch it with " +
                "bash data/fetch_model.sh, or name its folder in LONGSHADOW_MODELS");
  }
  return path;
}

std::unique_ptr<Checkpoint> open_model(const std::string& model, std::ostream& log) {
  constexpr std::size_t kLongestWarning = 4096;
  std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(locate_model(model));
  for (const std::string& warning : checkpoint->warnings()) {
    log << "longshadow: warning: " << printable(warning, kLongestWarning) << '\n';
  }
  return checkpoint;
}

std::filesystem::path locate_tagger(const std::string& tagger) {
  return tagger.empty() ? LONGSHADOW_SOURCE_TAGGER : tagger;
}

}  // namespace longshadow
