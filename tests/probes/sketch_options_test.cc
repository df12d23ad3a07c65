#include "probes/sketch_options.h"

#include <catch2/catch.hpp>

#include "engine/core/error.h"

namespace longshadow {
namespace {

TEST_CASE("bins as written") {
  using Bins = std::vector<Range>;
  CHECK(parse_bins("0:16,16:64", 64) == Bins{{0, 16}, {16, 64}});
  CHECK(parse_bins("5:7,0:7", 7) == Bins{{5, 7}, {0, 7}});
  CHECK(parse_bins("auto", 512) == Bins{{0, 16}, {16, 64}, {64, 256}, {256, 512}});
  CHECK(parse_bins("auto", 10) == Bins{{0, 10}});
  CHECK(parse_bins("auto", 64) == Bins{{0, 16}, {16, 64}});
  CHECK(parse_bins("auto", ~std::size_t{0}).size() == 31);  // ends
  for (const char* text : {"", "16", "16:", ":16", "16:16", "16:4", "0:16,", ",0:16", "0:16,x:20",
                           "-1:5", "0:5 ", "0:99999999999999999999", "0:1:2"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_bins(text, 64), UsageError);
  }
  CHECK_THROWS_WITH(parse_bins("0:65", 64), Catch::Contains("ends beyond --future 64"));
}

TEST_CASE("kinds and details as written") {
  for (const ProbeKind kind : {ProbeKind::signs, ProbeKind::sampled}) {
    CHECK(parse_probe_kind(name_of(kind)) == kind);
  }
  for (const MapDetail detail : {MapDetail::token, MapDetail::layer, MapDetail::head}) {
    CHECK(parse_detail(name_of(detail)) == detail);
  }
  CHECK_THROWS_AS(parse_probe_kind("Signs"), UsageError);
  CHECK_THROWS_AS(parse_detail(""), UsageError);
}

}  // namespace
}  // namespace longshadow
