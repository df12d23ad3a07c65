#include "engine/policies/policies.h"
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

}  // namespace longshadow
