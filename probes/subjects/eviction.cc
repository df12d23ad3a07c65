#include "probes/subjects/eviction.h"

#include <algorithm>
#include <string_view>

#include "engine/core/error.h"

namespace longshadow {
namespace {

std::vector<bool> flags_of(const NumberList& list, const char* parameter, const Counted& of) {
  std::vector<bool> flags(of.count, list.ranges.empty());
  try {
    check_ranges(list.ranges, of);
  } catch (const UsageError& error) {
    throw UsageError(std::string(parameter) + " " + list.text + ": " + error.what());
  }
  for (const Range& range : list.ranges) {
    std::fill(flags.begin() + range.begin, flags.begin() + range.end, true);
  }
  return flags;
}

}  // namespace

EvictAt parse_evict_at(const std::string& text) {
  if (text == "end") return {EvictAt::Kind::end, 0};
  if (text.starts_with("lag:")) {
    return {EvictAt::Kind::lag, parse_number(std::string_view(text).substr(4))};
  }
  throw UsageError("expected end or lag:W, as in lag:16");
}

std::size_t start_of(const EvictAt& evict_at, const Range& span, std::size_t context) {
  return evict_at.kind == EvictAt::Kind::end ? context : span.end + evict_at.lag;
}

std::size_t tokens_needed(const EvictAt& evict_at, std::size_t context, std::size_t horizon) {
  return context + horizon + (evict_at.kind == EvictAt::Kind::end ? 0 : evict_at.lag);
}

CachePart cache_part(const NumberList& layers, const NumberList& heads, const ModelConfig& config) {
  return {flags_of(layers, "`layers`", {"layer", "model", config.n_layers}),
          flags_of(heads, "`heads`", {"KV head", "model", config.n_kv_heads})};
}

}  // namespace longshadow
