#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "engine/checkpoint/foreign_model.h"
#include "engine/checkpoint/model_name.h"
#include "engine/checkpoint/stored_model.h"
#include "engine/core/error.h"
#include "engine/io/mapped_file.h"
#include "engine/io/safetensors.h"
#include "engine/model/weights.h"
#include "engine/quantization/dequantize.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr const char* kOutput = "lm_head.weight";

/// Whether two tensors hold the same numbers, in whichever types.
bool have_same_values(const StoredTensor& a, const StoredTensor& b) {
  if (a.shape != b.shape) return false;
  if (a.type == b.type) return std::memcmp(a.data.data(), b.data.data(), a.data.size()) == 0;
  constexpr std::size_t kPart = 1 << 16;
  std::vector<float> of_a(kPart), of_b(kPart);
  for (std::size_t first = 0; first < a.elements(); first += kPart) {
    const std::size_t count = std::min(kPart, a.elements() - first);
    dequantize(a, first, std::span(of_a).first(count));
    dequantize(b, first, std::span(of_b).first(count));
    if (!std::equal(of_a.begin(), of_a.begin() + static_cast<std::ptrdiff_t>(count),
                    of_b.begin())) {
      return false;
    }
  }
  return true;
}

/// Whatever config.json says, the embedding and the output matrix are what the files hold: tied
/// embeddings are stored under either name or under both, and what is stored under both may differ.
void settle_output(std::vector<StoredTensor>& tensors, StoredModel& model) {
  const auto named = [&](const char* name) {
    return std::ranges::find(tensors, name, &StoredTensor::name);
  };
  const auto embedding = named(kEmbedding), output = named(kOutput);
  if (!model.config.tied_embeddings) {
    if (output == tensors.end() && embedding != tensors.end()) {
      throw Error(model.source + ": the tensor " + quote(kOutput) +
                  " is missing, and config.json does not say that the embeddings are tied; if they "
                  "are, set \"tie_word_embeddings\": true there");
    }
    return;
  }
  if (output == tensors.end()) return;
  if (embedding == tensors.end()) {
    output->name = kEmbedding;
    std::ranges::sort(tensors, {}, &StoredTensor::name);
  } else if (have_same_values(*embedding, *output)) {
    tensors.erase(output);
  } else {
    model.config.tied_embeddings = false;
    model.warnings.push_back(
        model.source +
        ": config.json says that the embeddings are tied (tie_word_embeddings), but another "
        "lm_head.weight is stored; the stored one is used");
  }
}

std::set<std::string> names_of_weights(const ModelConfig& config) {
  std::set<std::string> names{kOutput};
  for (const WeightName& weight : weight_table(config)) names.insert(weight.hugging_face);
  return names;
}

/// Buffers that versions of transformers saved beside the weights, which follow from config.json.
bool is_known_buffer(const std::string& name) {
  constexpr const char* kBuffers[] = {".inv_freq",    ".cos_cached",   ".sin_cached",
                                      ".masked_bias", ".position_ids", ".attn.bias"};
  return std::ranges::any_of(kBuffers, [&](const char* end) { return name.ends_with(end); });
}

/// Parameters are called weight or bias; whatever else lies beside them is a buffer and left out.
/// A parameter that the model does not have stays, to be refused.
void leave_out_buffers(const std::set<std::string>& weights, std::vector<StoredTensor>& tensors,
                       StoredModel& model) {
  std::erase_if(tensors, [&](const StoredTensor& tensor) {
    const std::string& name = tensor.name;
    if (weights.contains(name)) return false;
    if (is_known_buffer(name)) return true;
    const std::string last = name.substr(name.rfind('.') + 1);
    if (last == "weight" || last == "bias") return false;
    model.warnings.push_back(model.source + ": the tensor " + quote(name) +
                             " is left aside: it is no weight of a " +
                             name_of(model.config.architecture) + " model");
    return true;
  });
}

/// Leaves the text model of one that also sees images, its tensors named as if it were alone.
void keep_text_model(std::vector<StoredTensor>& tensors, StoredModel& model) {
  // Of transformers 5 and of those before.
  constexpr std::pair<const char*, const char*> kPrefixes[] = {{"model.language_model.", "model."},
                                                               {"language_model.", ""}};
  constexpr const char* kOthers[] = {"vision_tower.", "multi_modal_projector."};
  for (StoredTensor& tensor : tensors) {
    for (const auto& [long_prefix, prefix] : kPrefixes) {
      if (tensor.name.starts_with(long_prefix)) {
        tensor.name.replace(0, std::string(long_prefix).size(), prefix);
        break;
      }
    }
  }
  const std::size_t left_out = std::erase_if(tensors, [&](const StoredTensor& tensor) {
    return std::ranges::any_of(kOthers, [&](const std::string& other) {
      return tensor.name.starts_with(other) || tensor.name.starts_with("model." + other);
    });
  });
  std::ranges::sort(tensors, {}, &StoredTensor::name);
  if (left_out != 0) {
    model.warnings.push_back(model.source +
                             ": the tensors of the part that sees images are left aside, " +
                             std::to_string(left_out) + " of them");
  }
}

/// Integers and the like are fine as buffers and not as weights.
void check_unread(const std::set<std::string>& weights, std::span<const UnreadTensor> unread,
                  const std::string& source) {
  for (const auto& [name, dtype] : unread) {
    if (weights.contains(name)) {
      throw Error(source + ": the tensor " + quote(name) + ": the dtype " + quote(dtype) +
                  " is not supported; expected F32, F16 or BF16");
    }
  }
}

/// From tokenizer.json, or else from SentencePiece's tokenizer.model.
Tokenizer open_tokenizer(const std::filesystem::path& folder) {
  if (const auto json = folder / "tokenizer.json"; std::filesystem::exists(json)) {
    const MappedFile file(json);
    return Tokenizer::from_json(file.bytes(), file.path().string());
  }
  const MappedFile file(folder / "tokenizer.model");
  return Tokenizer::from_sentencepiece(file.bytes(), file.path().string());
}

}  // namespace

StoredModel open_hugging_face_model(const std::filesystem::path& folder) {
  refuse_foreign_folder(folder);
  const MappedFile config_file(folder / "config.json");
  ModelConfig config = config_from_json(config_file.bytes(), config_file.path().string());
  config.name = model_name(folder);

  Tokenizer tokenizer = open_tokenizer(folder);
  GenerationSettings generation = generation_settings(folder, tokenizer);

  SafetensorsFolder weights = open_safetensors(folder);
  StoredModel model{.source = folder.string(),
                    .config = std::move(config),
                    .tokenizer = std::move(tokenizer),
                    .generation = std::move(generation),
                    .weight_files = std::move(weights.files),
                    .tensors = {},
                    .tensor_name = &WeightName::hugging_face,
                    .interleaved_rotary = false};
  std::vector<StoredTensor>& tensors = weights.content.tensors;
  check_unread(names_of_weights(model.config), weights.content.unread, model.source);
  if (model.config.architecture == Architecture::gemma3) keep_text_model(tensors, model);
  settle_output(tensors, model);
  leave_out_buffers(names_of_weights(model.config), tensors, model);
  model.tensors = std::move(tensors);
  return model;
}

}  // namespace longshadow
