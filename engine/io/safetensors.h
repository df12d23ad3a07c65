#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/io/mapped_file.h"
#include "engine/io/stored_tensor.h"

namespace longshadow {

/// The tensors of one safetensors file (https://github.com/huggingface/safetensors), sorted by name
/// and pointing into `bytes`, which must outlive them. Supported dtypes: F32, F16, BF16. `source`
/// names the file in error messages. Throws Error on anything malformed: a valid file's tensors
/// fill the data section without overlap, hole or trailing bytes.
std::vector<StoredTensor> parse_safetensors(std::span<const std::byte> bytes,
                                            const std::string& source);

/// The weights of a Hugging Face folder.
struct SafetensorsFolder {
  std::vector<MappedFile> files;      ///< in name order; the tensors point into them
  std::vector<StoredTensor> tensors;  ///< of all files, sorted by name
};

/// Opens model.safetensors, or else the shards that model.safetensors.index.json names. A shard
/// must be a file of the folder itself, and hold exactly the tensors that the index places in it.
/// Throws Error.
SafetensorsFolder open_safetensors(const std::filesystem::path& folder);

}  // namespace longshadow
