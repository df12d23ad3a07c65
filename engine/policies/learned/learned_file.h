#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "engine/policy/policy_options.h"

namespace longshadow {

/// Requires a file of `longshadow learn WHAT`, whose "format" is the one given, in version 1,
/// learnt for this model. Throws Error, in one line that begins with `source`.
void check_learned_file(const nlohmann::json& file, std::string_view format, std::string_view what,
                        const PolicyModel& model, const std::string& source);

/// Requires a list of so many items. Throws Error that begins with `where`.
void check_length(const nlohmann::json& list, std::size_t length, const std::string& where);

}  // namespace longshadow
