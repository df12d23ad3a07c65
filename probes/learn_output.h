#pragma once

#include <boost/program_options/variables_map.hpp>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "engine/policy/policy_options.h"
#include "probes/learning_documents.h"

namespace longshadow {

/// Where a file that was learnt goes: what --output says, or `standard` in the model's own folder,
/// which is made.
std::filesystem::path learned_output(const boost::program_options::variables_map& values,
                                     const PolicyModel& model, const std::string& standard);

/// For such a file, what it was learnt from.
nlohmann::ordered_json described(std::span<const LearningDocument> documents);

}  // namespace longshadow
