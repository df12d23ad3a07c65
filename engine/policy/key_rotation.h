#pragma once

#include <span>

#include "engine/ops/heads.h"
#include "engine/policy/kept_slots.h"

namespace longshadow {

/// What PolicyTraits::rotates_keys asks for: kept key number `new` of a KV head, once at position
/// `old`, becomes row `new` of `to`, turned by (new - old) frequency, so that its position is
/// `new`. keys and to: K heads; keys at positions [0, n), after rotation; to of at least as many
/// rows as a head keeps; frequencies [d / 2], radians per position. Angles are computed in f32, as
/// kvpress 0.5.5 computes them.
void rotate_kept_keys(HeadRows<const float> keys, const KeptSlots& kept,
                      std::span<const double> frequencies, HeadRows<float> to);

}  // namespace longshadow
