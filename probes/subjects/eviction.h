#pragma once

#include <cstddef>
#include <string>

#include "engine/config/config.h"
#include "engine/core/range.h"
#include "engine/text/number_list.h"
#include "probes/measure/removal.h"

namespace longshadow {

/// When a subject leaves the cache.
struct EvictAt {
  enum class Kind { end, lag } kind = Kind::lag;
  std::size_t lag = 16;  ///< W: a subject ending at token i is gone from i + W + 1 on
};

/// Reads "end" or "lag:W". Throws UsageError.
EvictAt parse_evict_at(const std::string& text);

/// The first position that no longer sees a subject that lies within `span` and ends where it does.
std::size_t start_of(const EvictAt& evict_at, const Range& span, std::size_t context);

/// Tokens of the document that a probe needs: the context and the positions measured after it.
std::size_t tokens_needed(const EvictAt& evict_at, std::size_t context, std::size_t horizon);

/// The layers and KV heads of these numbers. Throws UsageError where the model has no such layer or
/// head.
CachePart cache_part(const NumberList& layers, const NumberList& heads, const ModelConfig& config);

}  // namespace longshadow
