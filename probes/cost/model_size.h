#pragma once

#include <cstddef>

#include "engine/config/config.h"

namespace longshadow {

/// Weights of the model; an embedding matrix that is the output matrix too counts once.
std::size_t parameter_count(const ModelConfig& config);

/// Those that a token uses: all but the experts that it does not go through.
std::size_t active_parameter_count(const ModelConfig& config);

/// Numbers that the cache holds of a token: 2 L K d.
std::size_t cache_elements(const ModelConfig& config);

/// Numbers that the cache keeps of a token that lies beyond every window.
std::size_t cache_elements_beyond_windows(const ModelConfig& config);

}  // namespace longshadow
