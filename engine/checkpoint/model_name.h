#pragma once

#include <filesystem>
#include <string>

namespace longshadow {

/// What a Hugging Face folder's model is called: "org/name" for a snapshot in Hugging Face's cache
/// (models--org--name/snapshots/REVISION, or a link to one), else the folder's own name.
std::string model_name(const std::filesystem::path& folder);

}  // namespace longshadow
