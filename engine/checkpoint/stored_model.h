#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/generation_settings.h"
#include "engine/config/config.h"
#include "engine/io/mapped_file.h"
#include "engine/io/stored_tensor.h"
#include "engine/tokenizer/tokenizer.h"

namespace longshadow {

/// What a model's files hold once parsed, in words that both formats share.
struct StoredModel {
  std::string source;  ///< the path, for error messages
  ModelConfig config;
  Tokenizer tokenizer;
  GenerationSettings generation;
  std::vector<MappedFile> weight_files;  ///< in name order; the tensors point into them
  std::vector<StoredTensor> tensors;     ///< sorted by name; those the forward pass has no use for
                                         ///< are left out
  std::string WeightName::*tensor_name;  ///< the format's names: gguf or hugging_face
  /// Each head's rows of q and k (and their biases) alternate between the two halves of its rotary
  /// pairs: stored row 2 i + s is row i + s d/2 of the halves order.
  bool interleaved_rotary;
  std::vector<std::string> warnings{};  ///< as Checkpoint::warnings()
};

/// Throws Error.
StoredModel open_gguf_model(const std::filesystem::path& path);

/// `folder` holds config.json, tokenizer.json (or SentencePiece's tokenizer.model) and safetensors.
/// Throws Error.
StoredModel open_hugging_face_model(const std::filesystem::path& folder);

}  // namespace longshadow
