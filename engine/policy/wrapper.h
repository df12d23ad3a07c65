#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "engine/policy/policy.h"

namespace longshadow {

/// A policy that scores as another one does, and differs in what it makes of the scores.
class Wrapper : public Policy {
 public:
  explicit Wrapper(std::unique_ptr<Policy> scorer)
      : Policy(scorer->traits()), scorer_(std::move(scorer)) {}
  /// With traits of its own.
  Wrapper(const PolicyTraits& traits, std::unique_ptr<Policy> scorer)
      : Policy(traits), scorer_(std::move(scorer)) {}

  TokenScores scores(const LayerView& view) const override { return scorer_->scores(view); }
  std::size_t budget(const LayerPlace& place, std::size_t n, double compression) const override {
    return scorer_->budget(place, n, compression);
  }
  std::optional<std::size_t> kept_while_writing(std::size_t every, std::size_t cut) const override {
    return scorer_->kept_while_writing(every, cut);
  }

 private:
  std::unique_ptr<Policy> scorer_;
};

}  // namespace longshadow
