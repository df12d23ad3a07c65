// A GGUF file, its tensors' values, and what a model reads of its metadata: configuration and
// tokenizer.
#include "engine/io/gguf.h"

#include <vector>

#include "engine/config/config.h"
#include "engine/core/error.h"
#include "engine/quantization/dequantize.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/fuzz/target.h"

namespace longshadow::fuzz {
namespace {

void read_tokenizer(const Gguf& gguf) {
  const Tokenizer tokenizer = Tokenizer::from_gguf(gguf, "m.gguf");
  for (const Token& token : tokenizer.encode("A text, it's 3\xff.")) {
    require(token.id >= 0 && static_cast<std::size_t>(token.id) < tokenizer.vocab_size());
  }
}

}  // namespace
}  // namespace longshadow::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longshadow;
  fuzz::answers<Error>([&] {
    const Gguf gguf = parse_gguf(fuzz::bytes_of(data, size), "m.gguf");
    for (const StoredTensor& tensor : gguf.tensors) {
      fuzz::require(tensor.data.data() >= fuzz::bytes_of(data, size).data() &&
                    tensor.data.data() + tensor.data.size() <=
                        fuzz::bytes_of(data, size).data() + size);
      std::vector<float> values(tensor.elements());
      dequantize(tensor, 0, values);
    }
    fuzz::answers<Error>([&] { config_from_gguf(gguf); });
    fuzz::answers<Error>([&] { fuzz::read_tokenizer(gguf); });
  });
  return 0;
}
