#include <algorithm>
#include <string_view>
#include <utility>

#include "engine/checkpoint/stored_model.h"
#include "engine/core/error.h"
#include "engine/io/gguf_parts.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

/// Takes a tensor of all experts' matrices, "blk.0.ffn_gate_exps.weight" [E, F, D], apart into one
/// for each expert under the names that older files have: "blk.0.ffn_gate.3.weight" [F, D].
void add_experts(const StoredTensor& all, std::string_view stem, const std::string& source,
                 std::size_t n_experts, std::vector<StoredTensor>& tensors) {
  if (all.shape.size() != 3 || all.shape[0] != n_experts) {
    throw Error(source + ": the tensor " + quote(all.name) + ": expected the matrices of " +
                std::to_string(n_experts) + " experts, found the shape " +
                describe_shape(all.shape));
  }
  const std::size_t bytes = all.data.size() / n_experts;
  for (std::size_t expert = 0; expert < n_experts; ++expert) {
    tensors.push_back({std::string(stem) + "." + std::to_string(expert) + ".weight",
                       all.type,
                       {all.shape[1], all.shape[2]},
                       all.data.subspan(expert * bytes, bytes)});
  }
}

std::vector<StoredTensor> by_expert(std::vector<StoredTensor> tensors, const std::string& source,
                                    std::size_t n_experts) {
  constexpr std::string_view kAll = "_exps.weight";
  if (n_experts == 0) return tensors;
  std::vector<StoredTensor> apart;
  for (StoredTensor& tensor : tensors) {
    const std::string_view name = tensor.name;
    if (name.ends_with(kAll)) {
      add_experts(tensor, name.substr(0, name.size() - kAll.size()), source, n_experts, apart);
    } else {
      apart.push_back(std::move(tensor));
    }
  }
  std::ranges::sort(apart, {}, &StoredTensor::name);
  const auto twice = std::ranges::adjacent_find(apart, {}, &StoredTensor::name);
  if (twice != apart.end()) {
    throw Error(source + ": the tensor " + quote(twice->name) +
                " is there by itself and among all experts' together; expected one of the two");
  }
  return apart;
}

}  // namespace

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
  const bool interleaved = config.architecture == Architecture::llama ||
                           config.architecture == Architecture::mixtral ||
                           config.architecture == Architecture::smollm3;
  std::vector<StoredTensor> tensors =
      by_expert(std::move(gguf.tensors), gguf.source, config.experts.count);

  Tokenizer tokenizer = Tokenizer::from_gguf(gguf, gguf.source);
  GenerationSettings generation = generation_settings(gguf, tokenizer);
  return {.source = gguf.source,
          .config = std::move(config),
          .tokenizer = std::move(tokenizer),
          .generation = std::move(generation),
          .weight_files = std::move(files.files),
          .tensors = std::move(tensors),
          .tensor_name = &WeightName::gguf,
          .interleaved_rotary = interleaved};
}

}  // namespace longshadow
