// A Hugging Face config.json.
#include "engine/config/config.h"

#include <cmath>

#include "engine/config/rotary_frequencies.h"
#include "engine/core/error.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longshadow;
  fuzz::answers<Error>([&] {
    const ModelConfig config = config_from_json(fuzz::bytes_of(data, size), "config.json");
    fuzz::require(config.n_heads % config.n_kv_heads == 0 && config.head_dim % 2 == 0);
    const std::size_t n_tokens = 2 * config.max_context;
    for (const double frequency : rotary_frequencies(config.rope, config.head_dim, n_tokens)) {
      fuzz::require(std::isfinite(frequency) && frequency >= 0);
    }
    fuzz::require(std::isfinite(config.rope.attention_factor));
  });
  return 0;
}
