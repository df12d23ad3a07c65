#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

namespace longshadow::test {

/// With logits that are off by e, KL = KL(p, q) is off by e sum |q - p| <= e sqrt(2 KL) (Pinsker)
/// from the change of the logits, e² at second order, and 4 e KL from p.
inline void check_kl(const std::vector<double>& found, const std::vector<double>& expected,
                     double logit_error) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double kl = expected[i];
    const double bound = logit_error * (std::sqrt(2 * kl) + 4 * kl + logit_error);
    CAPTURE(i, kl, found[i]);
    CHECK(std::abs(found[i] - kl) <= bound);
  }
}

}  // namespace longshadow::test
