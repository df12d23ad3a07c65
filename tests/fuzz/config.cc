// A Hugging Face config.json.
#include "engine/model/config.h"

#include "engine/core/error.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longshadow;
  fuzz::answers<Error>([&] {
    const ModelConfig config = config_from_json(fuzz::bytes_of(data, size), "config.json");
    fuzz::require(config.n_heads % config.n_kv_heads == 0 && config.head_dim % 2 == 0);
  });
  return 0;
}
