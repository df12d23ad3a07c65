#pragma once

#include <filesystem>

namespace longshadow {

// What other programs call a model and nothing here loads. Both throw Error: a line that says what
// was found and how to convert it.

/// For a folder that lacks what a Hugging Face model needs here: config.json, a tokenizer and
/// safetensors; or that holds an adapter, not a model.
void refuse_foreign_folder(const std::filesystem::path& folder);

/// For a file that is no GGUF file and whose name says what it is.
void refuse_foreign_file(const std::filesystem::path& path);

}  // namespace longshadow
