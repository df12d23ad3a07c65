#pragma once

#include <filesystem>
#include <iosfwd>
#include <memory>
#include <string>

#include "engine/checkpoint/checkpoint.h"

namespace longshadow {

/// What `--model` takes, for help.
inline constexpr const char* kModelHelp =
    "a GGUF file, a Hugging Face folder, hub:ORG/NAME for a model that is in Hugging Face's cache, "
    "or the name smollm2";

/// The path of `--model`: a path as it is, the snapshot of "hub:ORG/NAME[@REVISION]" in Hugging
/// Face's cache, or the file that a model's short name ("smollm2") stands for, in data/models of
/// the source tree or in the folder named by LONGSHADOW_MODELS. Throws Error saying how to fetch it
/// where it is not there.
std::filesystem::path locate_model(const std::string& model);

/// Opens what `--model` names, with a line on `log` for each of the model's warnings. Throws Error
/// as locate_model() and open_checkpoint() do.
std::unique_ptr<Checkpoint> open_model(const std::string& model, std::ostream& log);

/// The path of `--tagger`: where it is empty, that of the weights in data/part_of_speech of the
/// source tree.
std::filesystem::path locate_tagger(const std::string& tagger);

}  // namespace longshadow
