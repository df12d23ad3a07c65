#include "engine/core/require.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

#include "engine/core/matrix.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

#ifdef LONGSHADOW_CONTRACTS
TEST_CASE("a broken contract says what was found and what is expected", "[contract]") {
  const auto check = [](const std::string& said, auto&& call) {
    CHECK_THROWS_AS(call(), ContractError);
    CHECK(test::error_of(call) == said);
  };
  check("op: n is 3, expected 4", [] { require_equal("op", "n", 3, 4); });
  check("op: n is 3, expected at least 4", [] { require_at_least("op", "n", 3, 4); });
  check("op: n is 5, expected at most 4", [] { require_at_most("op", "n", 5, 4); });
  check("op: n is 6, expected a multiple of 4", [] { require_multiple("op", "n", 6, 4); });
  check("op: n is 0, expected a divisor of 4", [] { require_divisor("op", "n", 0, 4); });
  check("op: n is odd, expected even", [] { require_that(false, "op", "n", "odd", "even"); });

  const std::vector<std::int32_t> ids{0, 3, 3, -1};
  check("op: ids[1] is 3, expected at least 0 and below 3",
        [&] { require_below("op", "ids", std::span(ids), 3); });
  check("op: ids[3] is -1, expected at least 0 and below 4",
        [&] { require_below("op", "ids", std::span(ids), 4); });
  check("op: ids[2] is 3, expected more than 3",
        [&] { require_ascending("op", "ids", std::span(ids)); });

  constexpr MatrixView<const float> x{nullptr, 5, 4, 6}, overlapping{nullptr, 5, 4, 3};
  check("op: x is [5, 4], expected [5, 3]", [&] { require_shape("op", "x", x, 5, 3); });
  check("op: x.stride is 3, expected at least 4",
        [&] { require_shape("op", "x", overlapping, 5, 4); });
  check("op: x is [5, 4], expected [6, 4] or more rows", [&] { require_rows("op", "x", x, 6, 4); });
  check("op: x.stride is 6, expected 4, its cols", [&] { require_dense("op", "x", x); });
}

TEST_CASE("a contract that is kept says nothing", "[contract]") {
  const std::vector<std::int32_t> ids{0, 2, 5};
  constexpr MatrixView<const float> x{nullptr, 5, 4, 4};
  CHECK_NOTHROW(require_equal("op", "n", 4, 4));
  CHECK_NOTHROW(require_at_least("op", "n", 4, 4));
  CHECK_NOTHROW(require_at_most("op", "n", 4, 4));
  CHECK_NOTHROW(require_multiple("op", "n", 8, 4));
  CHECK_NOTHROW(require_divisor("op", "n", 2, 4));
  CHECK_NOTHROW(require_that(true, "op", "n", "odd", "even"));
  CHECK_NOTHROW(require_below("op", "ids", std::span(ids), 6));
  CHECK_NOTHROW(require_ascending("op", "ids", std::span(ids)));
  CHECK_NOTHROW(require_shape("op", "x", x, 5, 4));
  CHECK_NOTHROW(require_rows("op", "x", x, 3, 4));
  CHECK_NOTHROW(require_dense("op", "x", x));
}
#endif

}  // namespace
}  // namespace longshadow
