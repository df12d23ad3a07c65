#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

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
  std::vector<Replay> second_pass(std::span<const std::int32_t> context) const override {
    return scorer_->second_pass(context);
  }
  std::vector<std::size_t> budget(const CacheShape& shape, std::size_t n,
                                  double compression) const override {
    return scorer_->budget(shape, n, compression);
  }
  std::optional<std::size_t> kept_while_writing(std::size_t every, std::size_t cut) const override {
    return scorer_->kept_while_writing(every, cut);
  }

 private:
  std::unique_ptr<Policy> scorer_;
};

}  // namespace longshadow
