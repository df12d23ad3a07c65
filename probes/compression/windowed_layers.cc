#include "probes/compression/windowed_layers.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>

#include "engine/core/error.h"

namespace longshadow {

std::vector<std::size_t> compressed_layers(const ModelConfig& config, std::size_t tokens) {
  std::vector<std::size_t> layers;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    if (config.sees_all(layer, tokens)) layers.push_back(layer);
  }
  return layers;
}

CacheShape compressed_shape(const ModelConfig& config, std::size_t tokens) {
  return {compressed_layers(config, tokens).size(), config.n_kv_heads};
}

void check_windows(const PolicyTraits& traits, const ModelConfig& config, std::size_t tokens) {
  const std::size_t n_layers = compressed_layers(config, tokens).size();
  if (n_layers == config.n_layers) return;
  const std::string text = "a text of " + std::to_string(tokens) + " tokens, ";
  if (n_layers == 0) {
    throw UsageError(
        text + "the context and what follows it: every layer of the model looks back over " +
        std::to_string(*std::ranges::max_element(config.windows)) +
        " tokens at most and holds no more, so there is nothing for a policy to evict; read a "
        "text that fits into the window");
  }
  if (!traits.files_sha256.empty()) {
    throw UsageError(text + "of which " + std::to_string(config.n_layers - n_layers) + " of " +
                     std::to_string(config.n_layers) +
                     " layers see a window: what was learnt for every layer cannot be used on the "
                     "others alone; use a policy that was not learnt");
  }
}

KeptSlots slots_seen_next(const ModelConfig& config, std::size_t layer, const ContextOfText& text) {
  const std::size_t n = text.context;
  const std::size_t window = config.sees_all(layer, text.text_tokens) ? 0 : config.window(layer);
  const std::size_t first = window != 0 ? n + 1 - std::min(window, n + 1) : 0;
  std::vector<std::uint32_t> slots(n - std::min(first, n));
  std::iota(slots.begin(), slots.end(), static_cast<std::uint32_t>(first));
  return {n, std::vector(config.n_kv_heads, slots), window};
}

std::size_t n_slots_seen_next(const ModelConfig& config, const ContextOfText& text) {
  std::size_t slots = 0;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    slots += slots_seen_next(config, layer, text).total();
  }
  return slots;
}

}  // namespace longshadow
