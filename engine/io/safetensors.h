#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/io/mapped_file.h"
#include "engine/io/stored_tensor.h"

namespace longshadow {

/// A tensor whose elements are not read: integers, booleans, floats of 64 bits or of 8 and fewer.
struct UnreadTensor {
  std::string name;
  std::string dtype;  ///< as the file spells it: "I64"
};

/// The tensors of one safetensors file, or of several, each kind sorted by name.
struct SafetensorsContent {
  std::vector<StoredTensor> tensors;  ///< F32, F16 and BF16
  std::vector<UnreadTensor> unread;   ///< of the format's other dtypes
};

/// The tensors of one safetensors file (https://github.com/huggingface/safetensors), pointing into
/// `bytes`, which must outlive them. `source` names the file in error messages. Throws Error on
/// anything malformed: a valid file's tensors fill the data section without overlap, hole or
/// trailing bytes.
SafetensorsContent parse_safetensors(std::span<const std::byte> bytes, const std::string& source);

/// The weights of a Hugging Face folder.
struct SafetensorsFolder {
  std::vector<MappedFile> files;  ///< in name order; the tensors point into them
  SafetensorsContent content;     ///< of all files
};

/// Whether the folder has weights that open_safetensors() looks for.
bool has_safetensors(const std::filesystem::path& folder);

/// Opens model.safetensors, or else the shards that model.safetensors.index.json names, which are
/// names within the folder (what links there may lie elsewhere: Hugging Face's cache consists of
/// links). A tensor that the index leaves out is one of the shard's nevertheless, and one that it
/// names and no shard has is not there. Throws Error, also where a tensor lies in another shard
/// than the index says, or in two.
SafetensorsFolder open_safetensors(const std::filesystem::path& folder);

}  // namespace longshadow
