#pragma once

#include <filesystem>
#include <string>

namespace longshadow {

/// The path of `--model`: a path as it is, or the file that a model's short name ("smollm2") stands
/// for, in data/models of the source tree or in the folder named by LONGSHADOW_MODELS. Throws Error
/// saying how to fetch it where it is not there.
std::filesystem::path locate_model(const std::string& model);

/// The path of `--tagger`: where it is empty, that of the weights in data/part_of_speech of the
/// source tree.
std::filesystem::path locate_tagger(const std::string& tagger);

}  // namespace longshadow
