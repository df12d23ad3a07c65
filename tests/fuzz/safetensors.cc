// A safetensors file: tensors that lie in it, one behind the other.
#include "engine/io/safetensors.h"

#include "engine/core/error.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longshadow;
  fuzz::answers<Error>([&] {
    const auto file = fuzz::bytes_of(data, size);
    for (const StoredTensor& tensor : parse_safetensors(file, "m.safetensors").tensors) {
      fuzz::require(tensor.data.data() >= file.data() &&
                    tensor.data.data() + tensor.data.size() <= file.data() + size);
    }
  });
  return 0;
}
