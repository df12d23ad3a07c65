#include <utility>

#include "engine/core/error.h"
#include "engine/io/gguf.h"
#include "engine/model/stored_model.h"

namespace longshadow {
namespace {

void refuse_split_files(const Gguf& gguf) {
  const auto* const parts = gguf.find_value<std::uint64_t>("split.count");
  if (parts != nullptr && *parts > 1) {
    throw Error(gguf.source + ": expected a whole model, found one of " + std::to_string(*parts) +
                " parts; join them with llama.cpp's 'llama-gguf-split --merge' first");
  }
}

}  // namespace

StoredModel open_gguf_model(const std::filesystem::path& path) {
  MappedFile file(path);
  Gguf gguf = parse_gguf(file.bytes(), path.string());
  refuse_split_files(gguf);
  ModelConfig config = config_from_gguf(gguf);
  if (config.name.empty()) config.name = path.stem().string();
  // Converted into config.rope.
  std::erase_if(gguf.tensors, [](const StoredTensor& t) { return t.name == "rope_freqs.weight"; });
  // llama.cpp's converter interleaves the rotary halves of llama, not of qwen2.
  const bool interleaved = config.architecture == Architecture::llama;

  Tokenizer tokenizer = Tokenizer::from_gguf(gguf, path.string());
  GenerationSettings generation = generation_settings(gguf, tokenizer);
  StoredModel model{.source = path.string(),
                    .config = std::move(config),
                    .tokenizer = std::move(tokenizer),
                    .generation = std::move(generation),
                    .weight_files = {},
                    .tensors = std::move(gguf.tensors),
                    .tensor_name = &WeightName::gguf,
                    .interleaved_rotary = interleaved};
  model.weight_files.push_back(std::move(file));
  return model;
}

}  // namespace longshadow
