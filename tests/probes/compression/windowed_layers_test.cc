#include "probes/compression/windowed_layers.h"

#include <catch2/catch.hpp>

#include "tests/support/error_of.h"

namespace longshadow {
namespace {

/// Windows of 16, none, and of 100.
ModelConfig three_layers() {
  ModelConfig config;
  config.n_layers = 3;
  config.n_kv_heads = 2;
  config.windows = {16, 0, 100};
  return config;
}

TEST_CASE("policies compress the layers in which a text's tokens see all before them") {
  const ModelConfig config = three_layers();
  CHECK(compressed_layers(config, 16) == std::vector<std::size_t>{0, 1, 2});
  CHECK(compressed_layers(config, 17) == std::vector<std::size_t>{1, 2});
  CHECK(compressed_layers(config, 101) == std::vector<std::size_t>{1});
  CHECK(compressed_shape(config, 101).n_layers == 1);
  CHECK(compressed_shape(config, 101).n_kv_heads == 2);
}

TEST_CASE("a layer with a window holds what the next token sees") {
  const ModelConfig config = three_layers();
  const ContextOfText text{60, 90};
  const KeptSlots window = slots_seen_next(config, 0, text);
  CHECK(window.n == 60);
  CHECK(window.window == 16);
  REQUIRE(window.by_head.size() == 2);
  CHECK(window.by_head[1].size() == 15);
  CHECK(window.by_head[1].front() == 45);
  CHECK(window.by_head[1].back() == 59);
  for (const std::size_t layer : {1, 2}) {  // no token of the text reaches the window of 100
    CHECK(slots_seen_next(config, layer, text).window == 0);
    CHECK(slots_seen_next(config, layer, text).total() == 120);
  }
  CHECK(n_slots_seen_next(config, text) == 30 + 2 * 120);
  CHECK(slots_seen_next(config, 0, {10, 90}).total() == 20);  // less than the window
}

TEST_CASE("texts beyond every window, and policies learnt for every layer, are refused") {
  ModelConfig config = three_layers();
  const PolicyTraits plain, learnt{.files_sha256 = {"0123"}};
  check_windows(plain, config, 300);
  check_windows(learnt, config, 16);
  CHECK(test::error_of([&] { check_windows(learnt, config, 90); }) ==
        "a text of 90 tokens, of which 1 of 3 layers see a window: what was learnt for every layer "
        "cannot be used on the others alone; use a policy that was not learnt");
  config.windows[1] = 50;
  check_windows(plain, config, 100);
  CHECK(test::error_of([&] { check_windows(plain, config, 101); }) ==
        "a text of 101 tokens, the context and what follows it: every layer of the model looks "
        "back over 100 tokens at most and holds no more, so there is nothing for a policy to "
        "evict; read a text that fits into the window");
}

}  // namespace
}  // namespace longshadow
