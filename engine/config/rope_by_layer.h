#pragma once

#include <string>

#include "engine/io/json.h"

namespace longshadow {

/// Splits the rotary settings of a config.json whose layers with a window have their own:
/// `rope_parameters`, in transformers 5 an object for each kind of layer, becomes the one of layers
/// without a window, and `window_rope_parameters` the others', with `window_theta` where they name
/// no base. Earlier versions' members stay and are those of layers without a window. Throws Error.
void settle_rope_by_layer(nlohmann::json& config, const std::string& source, double window_theta);

}  // namespace longshadow
