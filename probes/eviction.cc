#include "probes/eviction.h"

#include <algorithm>
#include <string_view>

#include "engine/core/error.h"
#include "probes/number_list.h"

namespace longshadow {
namespace {

std::vector<bool> parse_flags(const std::string& list, const char* option, const Counted& of) {
  std::vector<bool> flags(of.count, list == "all");
  if (list == "all") return flags;
  for (const Range& range : parse_ranges(list, option + (" " + list), of)) {
    std::fill(flags.begin() + range.begin, flags.begin() + range.end, true);
  }
  return flags;
}

}  // namespace

EvictAt parse_evict_at(const std::string& text) {
  if (text == "end") return {EvictAt::Kind::end, 0};
  if (text.starts_with("lag:")) {
    return {EvictAt::Kind::lag, parse_number(std::string_view(text).substr(4), text)};
  }
  throw UsageError("--evict-at \"" + text + "\": expected end or lag:W, as in lag:16");
}

std::size_t start_of(const EvictAt& evict_at, const Range& span, std::size_t context) {
  return evict_at.kind == EvictAt::Kind::end ? context : span.end + evict_at.lag;
}

std::size_t tokens_needed(const EvictAt& evict_at, std::size_t context, std::size_t horizon) {
  return context + horizon + (evict_at.kind == EvictAt::Kind::end ? 0 : evict_at.lag);
}

CachePart parse_cache_part(const std::string& layers, const std::string& heads,
                           const ModelConfig& config) {
  return {parse_flags(layers, "--layers", {"layer", "model", config.n_layers}),
          parse_flags(heads, "--heads", {"KV head", "model", config.n_kv_heads})};
}

}  // namespace longshadow
