#include "engine/policy/top_slots.h"

#include <catch2/catch.hpp>

namespace longshadow {
namespace {

using Slots = std::vector<std::uint32_t>;

TEST_CASE("The top slots are sorted, and of equal scores the later ones stay") {
  const std::vector<double> scores{5, 1, 3, 3, 3, 9};
  CHECK(top_slots(scores, 3) == Slots{0, 4, 5});
  CHECK(top_slots(scores, 0).empty());
  CHECK(top_slots(scores, 6) == Slots{0, 1, 2, 3, 4, 5});
}

}  // namespace
}  // namespace longshadow
