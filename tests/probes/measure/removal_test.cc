#include "probes/measure/removal.h"

#include <catch2/catch.hpp>

#include "probes/measure/counterfactual.h"

namespace longshadow {
namespace {

using Ranges = std::vector<Range>;

Ranges ranges(const Removal& removal, std::size_t layer, std::size_t kv_head) {
  const std::span<const Range> span = removal.ranges(layer, kv_head);
  return {span.begin(), span.end()};
}

TEST_CASE("a removal is the same everywhere unless it says otherwise") {
  const Removal nothing;
  const Removal everywhere({{7, 9}, {3, 4}});
  for (const std::size_t layer : {0, 5}) {
    for (const std::size_t head : {0, 2}) {
      CHECK(ranges(nothing, layer, head).empty());
      CHECK(ranges(everywhere, layer, head) == Ranges{{3, 4}, {7, 9}});
    }
  }
}

TEST_CASE("a removal from some layers and heads leaves the others alone") {
  const Removal part({{3, 4}}, {{true, false, true}, {false, true}});
  for (std::size_t layer = 0; layer < 3; ++layer) {
    CHECK(ranges(part, layer, 0).empty());
    CHECK(ranges(part, layer, 1) == (layer == 1 ? Ranges{} : Ranges{{3, 4}}));
  }
}

TEST_CASE("a table removes from each layer and head what it says") {
  const Removal table({{{1, 2}}, {}, {{5, 6}, {4, 5}}, {{0, 9}}}, 2);
  CHECK(ranges(table, 0, 0) == Ranges{{1, 2}});
  CHECK(ranges(table, 0, 1).empty());
  CHECK(ranges(table, 1, 0) == Ranges{{4, 6}});
  CHECK(ranges(table, 1, 1) == Ranges{{0, 9}});
}

TEST_CASE("ranges are joined where they overlap or touch") {
  CHECK(joined({}).empty());
  CHECK(joined({{8, 9}, {1, 5}, {3, 4}, {5, 6}, {0, 1}}) == Ranges{{0, 6}, {8, 9}});
}

TEST_CASE("a batch knows the first layer that loses a token") {
  const std::vector<Counterfactual> none{{Removal(), 5}};
  CHECK(BatchRemovals(none, 3, 2).first_layer() == 3);
  const std::vector<Counterfactual> some{
      {Removal({{1, 2}}, {{false, false, true}, {true, true}}), 5},
      {Removal({{1, 2}}, {{false, true, false}, {false, true}}), 5}};
  CHECK(BatchRemovals(some, 3, 2).first_layer() == 1);
}

}  // namespace
}  // namespace longshadow
