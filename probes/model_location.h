#pragma once

#include <filesystem>
#include <string>

namespace longshadow {

/// The path of `--model`: a path as it is, or the file that a model's short name ("smollm2") stands
/// for, in data/models of the source tree or in the folder named by LONGSHADOW_MODELS. Throws Error
/// saying how to fetch it where it is not there.
std::filesystem::path locate_model(const std::string& model);

}  // namespace longshadow
