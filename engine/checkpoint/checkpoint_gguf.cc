#include <utility>

#include "engine/checkpoint/stored_model.h"
#include "engine/io/gguf_parts.h"

namespace longshadow {

StoredModel open_gguf_model(const std::filesystem::path& path) {
  GgufModel files = open_gguf(path);
  Gguf& gguf = files.gguf;
  ModelConfig config = config_from_gguf(gguf);
  if (config.name.empty() || config.name == files.path.stem()) config.name = files.name;
  // Converted into config.rope.
  const bool longrope = config.rope.scaling == RopeScaling::longrope;
  std::erase_if(gguf.tensors, [=](const StoredTensor& t) {
    return t.name == "rope_freqs.weight" || (longrope && (t.name == "rope_factors_short.weight" ||
                                                          t.name == "rope_factors_long.weight"));
  });
  // llama.cpp's converter interleaves the rotary halves of these alone.
  const bool interleaved =
      config.architecture == Architecture::llama || config.architecture == Architecture::smollm3;

  Tokenizer tokenizer = Tokenizer::from_gguf(gguf, gguf.source);
  GenerationSettings generation = generation_settings(gguf, tokenizer);
  return {.source = gguf.source,
          .config = std::move(config),
          .tokenizer = std::move(tokenizer),
          .generation = std::move(generation),
          .weight_files = std::move(files.files),
          .tensors = std::move(gguf.tensors),
          .tensor_name = &WeightName::gguf,
          .interleaved_rotary = interleaved};
}

}  // namespace longshadow
