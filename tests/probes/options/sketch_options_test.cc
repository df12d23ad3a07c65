#include "probes/options/sketch_options.h"

#include <catch2/catch.hpp>

#include "engine/core/error.h"

namespace longshadow {
namespace {

using Bins = std::vector<Range>;

TEST_CASE("bins as written") {
  CHECK(parse_bins("0:16,16:64") == Bins{{0, 16}, {16, 64}});
  CHECK(parse_bins("5:7,0:7") == Bins{{5, 7}, {0, 7}});
  CHECK(parse_bins("auto").empty());
  for (const char* text : {"", "16", "16:", ":16", "16:16", "16:4", "0:16,", ",0:16", "0:16,x:20",
                           "-1:5", "0:5 ", "0:99999999999999999999", "0:1:2"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_bins(text), UsageError);
  }
}

TEST_CASE("bins that are not given quadruple") {
  CHECK(automatic_bins(512) == Bins{{0, 16}, {16, 64}, {64, 256}, {256, 512}});
  CHECK(automatic_bins(10) == Bins{{0, 10}});
  CHECK(automatic_bins(64) == Bins{{0, 16}, {16, 64}});
  CHECK(automatic_bins(~std::size_t{0}).size() == 31);  // ends
}

TEST_CASE("bins end with the future") {
  SketchingOptions options;
  options.bins = {{0, 65}};
  CHECK(options.sketch(65, 0).bins == options.bins);
  CHECK_THROWS_WITH(options.sketch(64, 0), Catch::Contains("0:65 ends beyond --future 64"));
}

TEST_CASE("shares as written") {
  CHECK(parse_share("10%") == 0.1);
  CHECK(parse_share("0.5%") == 0.005);
  CHECK(parse_share("100%") == 1.0);
  for (const char* text : {"", "10", "%", "0%", "-1%", "101%", "nan%", "inf%", "10%%", "10 %"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_share(text), UsageError);
  }
}

}  // namespace
}  // namespace longshadow
