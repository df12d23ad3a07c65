#include "engine/kv/kept_slots.h"

#include <catch2/catch.hpp>

#include "tests/support/contracts.h"

namespace longshadow {
namespace {

TEST_CASE("What KV heads do not keep leaves as ranges, by head") {
  const KeptSlots kept{6, {{1, 2, 5}, {0}, {0, 1, 2, 3, 4, 5}, {}}};
  CHECK(kept.total() == 10);
  const std::vector<std::vector<Range>> expected{{{0, 1}, {3, 5}}, {{1, 6}}, {}, {{0, 6}}};
  CHECK(kept.removed() == expected);
}

#ifdef LONGSHADOW_CONTRACTS
TEST_CASE("slots that are no ascending slots of the layer are refused", "[contract]") {
  CHECK(test::error_of([&] {
          (KeptSlots{6, {{2, 2}}}.removed());
        }) == "KeptSlots::removed: slots[1] is 2, expected more than 2");
  CHECK(test::error_of([&] {
          (KeptSlots{6, {{1, 6}}}.removed());
        }) == "KeptSlots::removed: slots[1] is 6, expected at least 0 and below 6");
}
#endif

}  // namespace
}  // namespace longshadow
