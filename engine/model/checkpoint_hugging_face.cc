#include <utility>

#include "engine/io/mapped_file.h"
#include "engine/io/safetensors.h"
#include "engine/model/stored_model.h"

namespace longshadow {

StoredModel open_hugging_face_model(const std::filesystem::path& folder) {
  const MappedFile config_file(folder / "config.json");
  ModelConfig config = config_from_json(config_file.bytes(), config_file.path().string());
  // A path that ends in a slash has an empty file name.
  const auto& named = folder.has_filename() ? folder : folder.parent_path();
  config.name = named.filename().string();

  const MappedFile tokenizer_file(folder / "tokenizer.json");
  Tokenizer tokenizer =
      Tokenizer::from_json(tokenizer_file.bytes(), tokenizer_file.path().string());

  SafetensorsFolder weights = open_safetensors(folder);
  std::erase_if(weights.tensors, [&](const StoredTensor& tensor) {
    // Buffers that old versions of transformers saved, and a copy of tied embeddings.
    return tensor.name.ends_with(".rotary_emb.inv_freq") ||
           (config.tied_embeddings && tensor.name == "lm_head.weight");
  });
  GenerationSettings generation = generation_settings(folder, tokenizer);
  return {.source = folder.string(),
          .config = std::move(config),
          .tokenizer = std::move(tokenizer),
          .generation = std::move(generation),
          .weight_files = std::move(weights.files),
          .tensors = std::move(weights.tensors),
          .tensor_name = &WeightName::hugging_face,
          .interleaved_rotary = false};
}

}  // namespace longshadow
