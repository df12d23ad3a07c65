#pragma once

#include <string>

#include "engine/config/config.h"
#include "engine/io/json.h"

namespace longshadow {

/// Puts a config.json of Gemma 2 or 3 into the form of the other families', with what transformers
/// takes as given where a member is missing: their public files leave out much. Of a model that
/// also sees images (`gemma3`) this is the text model's part. Of Gemma 3, rotary settings are split
/// as settle_rope_by_layer() does. Other families' stay as they are. Throws Error.
void settle_gemma_config(nlohmann::json& config, const std::string& source);

/// Reads what only Gemma's have: caps, the scores' scale, norms' weights. Throws Error, also where
/// attention looks ahead.
void read_gemma_config(const nlohmann::json& config, const std::string& source, ModelConfig& model);

}  // namespace longshadow
