#pragma once

#include <filesystem>
#include <vector>

#include "engine/io/gguf.h"
#include "engine/io/mapped_file.h"

namespace longshadow {

/// A model as GGUF files hold it: in one, or in the parts that llama.cpp's `llama-gguf-split` cuts
/// it into, name-00001-of-00003.gguf and so on, each a GGUF file of its own.
struct GgufModel {
  std::filesystem::path path;     ///< the file's, or the first part's
  std::string name;               ///< the file's name without its ending or its part's number
  std::vector<MappedFile> files;  ///< in the order of the parts
  Gguf gguf;  ///< the first part's metadata and every part's tensors, which point into `files`
};

/// Opens the file and, where it is a part of a model (split.count above 1), all of its parts;
/// `path` may be any of them. Throws Error where a file is malformed, a part is missing, repeated
/// or of another model, or a tensor is in two parts.
GgufModel open_gguf(const std::filesystem::path& path);

}  // namespace longshadow
