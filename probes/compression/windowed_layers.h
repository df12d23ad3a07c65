#pragma once

#include <cstddef>
#include <vector>

#include "engine/config/config.h"
#include "engine/kv/kept_slots.h"
#include "engine/policy/policy.h"

namespace longshadow {

// Layers whose attention has a window hold the window's tokens whatever a policy chooses: what lies
// outside of it is gone there anyway, and nobody may count it as saved. Policies compress the other
// layers, and see no others.

/// The layers that policies compress in a text of `tokens`, in order: those in which every token
/// sees all before it.
std::vector<std::size_t> compressed_layers(const ModelConfig& config, std::size_t tokens);

/// The cache that policies compress in a text of `tokens`.
CacheShape compressed_shape(const ModelConfig& config, std::size_t tokens);

/// Throws UsageError where a text of `tokens` leaves the policy no layer to compress, or not those
/// that it was learnt for.
void check_windows(const PolicyTraits& traits, const ModelConfig& config, std::size_t tokens);

/// A text of `tokens`, of which the first n are the context.
struct ContextOfText {
  std::size_t context;      ///< n
  std::size_t text_tokens;  ///< all tokens, context included, which rotary scaling goes by
};

/// Names the slots that a layer holds of the context where no policy compresses it: what the next
/// token sees.
KeptSlots slots_seen_next(const ModelConfig& config, std::size_t layer, const ContextOfText& text);

/// The slots of all layers and KV heads that slots_seen_next() names.
std::size_t n_slots_seen_next(const ModelConfig& config, const ContextOfText& text);

}  // namespace longshadow
