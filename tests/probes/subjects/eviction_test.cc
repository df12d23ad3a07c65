#include "probes/subjects/eviction.h"

#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::error_of;

TEST_CASE("evict-at: end and lag") {
  const EvictAt end = parse_evict_at("end");
  CHECK(start_of(end, {3, 4}, 100) == 100);
  CHECK(tokens_needed(end, 100, 20) == 120);
  // A token at i is gone from i + W + 1 on, a span from that of its last token.
  const EvictAt lag = parse_evict_at("lag:16");
  CHECK(start_of(lag, {3, 4}, 100) == 20);
  CHECK(start_of(lag, {3, 8}, 100) == 24);
  // The last token, 99, starts at 116 and is measured on 116 to 135.
  CHECK(tokens_needed(lag, 100, 20) == 136);
  CHECK(start_of(parse_evict_at("lag:0"), {3, 4}, 100) == 4);
  for (const std::string text : {"", "End", "lag", "lag:", "lag:x", "lag:-1", "lag:1 "}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_evict_at(text), UsageError);
  }
}

TEST_CASE("layers and heads: all, or those of a list") {
  ModelConfig config;
  config.n_layers = 4;
  config.n_kv_heads = 2;
  using Flags = std::vector<bool>;
  const auto part_of = [&](const std::string& layers, const std::string& heads) {
    return cache_part(parse_number_list(layers), parse_number_list(heads), config);
  };
  const CachePart everywhere = part_of("all", "all");
  CHECK(everywhere.layers == Flags{true, true, true, true});
  CHECK(everywhere.kv_heads == Flags{true, true});
  const CachePart part = part_of("3,0-1", "1");
  CHECK(part.layers == Flags{true, true, false, true});
  CHECK(part.kv_heads == Flags{false, true});
  CHECK_THAT(error_of([&] { part_of("2-4", "all"); }),
             Contains("`layers` 2-4") && Contains("layer 4") && Contains("0 to 3"));
  CHECK_THAT(error_of([&] { part_of("all", "2"); }),
             Contains("`heads` 2") && Contains("KV heads 0 to 1"));
  for (const std::string text : {"", "none", "1,", "2-1", "-1", "All", "18446744073709551615"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_number_list(text), UsageError);
  }
}

}  // namespace
}  // namespace longshadow
