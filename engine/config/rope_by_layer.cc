#include "engine/config/rope_by_layer.h"

#include <utility>

#include "engine/text/utf8.h"

namespace longshadow {

using nlohmann::json;

void settle_rope_by_layer(json& config, const std::string& source, double window_theta) {
  constexpr const char* kKey = "rope_parameters";
  const json* by_layer = json_object_find(config, kKey, source);
  const auto of = [&](const char* kind) {
    const json* found = by_layer == nullptr
                            ? nullptr
                            : json_object_find(*by_layer, kind, source + ": " + quote(kKey));
    return found == nullptr ? json::object() : *found;
  };
  json windowed = of("sliding_attention"), full = of("full_attention");
  if (!windowed.contains("rope_theta")) windowed["rope_theta"] = window_theta;
  config["window_rope_parameters"] = std::move(windowed);
  config[kKey] = std::move(full);
}

}  // namespace longshadow
