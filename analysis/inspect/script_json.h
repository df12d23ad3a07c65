#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace longshadow {

/// Writes JSON that may stand inside a script element: UTF-8, whatever the names of a stranger's
/// file are, and without '<', which could end the element.
std::string for_script(const nlohmann::ordered_json& json);

}  // namespace longshadow
