#include "engine/ops/common/column_tiles.h"

#include <catch2/catch.hpp>

#include "tests/support/contracts.h"

namespace longshadow {
namespace {

TEST_CASE("column tiles cover every column once, in few shapes") {
  CHECK(column_tiles(0).empty());
  for (std::size_t columns = 1; columns < 1300; ++columns) {
    for (const std::size_t widest : {64, 128, 512}) {
      std::size_t covered = 0;
      std::size_t last_width = widest;
      for (const ColumnTile& tile : column_tiles(columns, widest)) {
        REQUIRE(tile.begin == covered);
        REQUIRE(tile.used >= 1);
        REQUIRE(tile.used <= tile.width);
        REQUIRE(tile.width <= last_width);
        REQUIRE((tile.width == 64 || tile.width == 128 || tile.width == 256 || tile.width == 512));
        // Only the last tile is padded, and it is the narrowest.
        REQUIRE((tile.used == tile.width || (tile.width == 64 && covered + tile.used == columns)));
        covered += tile.used;
        last_width = tile.width;
      }
      REQUIRE(covered == columns);
    }
  }
}

#ifdef LONGSHADOW_CONTRACTS
TEST_CASE("column_tiles refuses a widest tile that tiles do not come in", "[contract]") {
  CHECK(test::error_of([&] { column_tiles(9, 100); }) ==
        "column_tiles: widest is 100, expected a multiple of 64");
  CHECK(test::error_of([&] { column_tiles(9, 192); }) ==
        "column_tiles: widest is 192, expected a divisor of 512");
}
#endif

}  // namespace
}  // namespace longshadow
