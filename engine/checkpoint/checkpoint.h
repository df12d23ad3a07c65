#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/checkpoint/generation_settings.h"
#include "engine/config/config.h"
#include "engine/parts/weight_loader.h"
#include "engine/tokenizer/tokenizer.h"

namespace longshadow {

/// An opened model: its configuration, tokenizer and tensors, whatever the file format.
/// Rows of q and k come in the order of rotated halves (element i pairs with i + d/2); a GGUF llama
/// file's interleaved rows are put back into that order.
class Checkpoint : public WeightSource {
 public:
  virtual const Tokenizer& tokenizer() const = 0;
  virtual const GenerationSettings& generation() const = 0;
  /// What in the files is contradictory or left aside, a line each, for whoever uses the model.
  virtual std::vector<std::string> warnings() const = 0;
  /// SHA-256 of the weight file (of several: of their digests in name order). Read once.
  virtual std::string weights_sha256() const = 0;
};

/// Opens a GGUF file or a Hugging Face folder (config.json, tokenizer.json, *.safetensors), checks
/// every tensor of weight_table() against it, and throws Error naming what is missing or malformed;
/// of what other programs call a model, it says what it is and how to convert it. Tokens of the
/// tokenizer may lie beyond the embedding's rows: texts are checked for them by who reads them.
std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path);

}  // namespace longshadow
