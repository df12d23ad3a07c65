#include "engine/policy/key_rotation.h"

#include <cmath>

#include "engine/policy/policies.h"
#include "engine/policy/wrapper.h"

namespace longshadow {
namespace {

/// Another policy's choice, with the kept keys moved together: the model sees positions as if the
/// dropped tokens had never been.
class KeyRotation final : public Wrapper {
 public:
  using Wrapper::Wrapper;
};

}  // namespace

std::unique_ptr<Policy> make_key_rotation(PolicyOptions&, std::unique_ptr<Policy> scorer) {
  PolicyTraits traits = scorer->traits();
  traits.rotates_keys = true;
  return std::make_unique<KeyRotation>(traits, std::move(scorer));
}

void rotate_kept_keys(HeadRows<const float> keys, const KeptSlots& kept,
                      std::span<const double> frequencies, HeadRows<float> to) {
  const std::size_t half = frequencies.size();
  for (std::size_t head = 0; head < kept.by_head.size(); ++head) {
    for (std::size_t row = 0; row < kept.by_head[head].size(); ++row) {
      const std::size_t old_row = kept.by_head[head][row];
      const float* key = keys.head(head).row(old_row);
      float* moved = to.head(head).row(row);
      const float steps = static_cast<float>(row) - static_cast<float>(old_row);
      for (std::size_t i = 0; i < half; ++i) {
        const float angle = steps * static_cast<float>(frequencies[i]);
        const float cosine = std::cos(angle), sine = std::sin(angle);
        moved[i] = key[i] * cosine - key[i + half] * sine;
        moved[i + half] = key[i + half] * cosine + key[i] * sine;
      }
    }
  }
}

}  // namespace longshadow
