#include "engine/kv/kept_slots.h"

#include <catch2/catch.hpp>

namespace longshadow {
namespace {

TEST_CASE("What KV heads do not keep leaves as ranges, by head") {
  const KeptSlots kept{6, {{1, 2, 5}, {0}, {0, 1, 2, 3, 4, 5}, {}}};
  CHECK(kept.total() == 10);
  const std::vector<std::vector<Range>> expected{{{0, 1}, {3, 5}}, {{1, 6}}, {}, {{0, 6}}};
  CHECK(kept.removed() == expected);
}

}  // namespace
}  // namespace longshadow
