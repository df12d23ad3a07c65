#include "probes/model_location.h"

#include <cstdlib>

#include "engine/core/error.h"

namespace longshadow {

std::filesystem::path locate_model(const std::string& model) {
  if (model != "smollm2") return model;
  const char* folder = std::getenv("LONGSHADOW_MODELS");
  const std::filesystem::path models = folder != nullptr ? folder : LONGSHADOW_SOURCE_MODELS;
  const std::filesystem::path path = models / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    throw Error(path.string() + ": the model smollm2 is not there; fetch it with " +
                "bash data/fetch_model.sh, or name its folder in LONGSHADOW_MODELS");
  }
  return path;
}

std::filesystem::path locate_tagger(const std::string& tagger) {
  return tagger.empty() ? LONGSHADOW_SOURCE_TAGGER : tagger;
}

}  // namespace longshadow
