#include "engine/quantization/dequantize.h"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/io/gguf.h"
#include "engine/io/mapped_file.h"
#include "engine/io/stored_tensor.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::error_of;

constexpr auto kTypes = [] {
  std::array<StorageType, static_cast<std::size_t>(StorageType::iq3_s) + 1> types{};
  for (std::size_t k = 0; k < types.size(); ++k) types[k] = static_cast<StorageType>(k);
  return types;
}();

std::vector<float> decode(const StoredTensor& tensor) {
  std::vector<float> values(tensor.elements());
  dequantize(tensor, 0, values);
  return values;
}

// Blocks and expected values are llama.cpp's (tests/parity/make_dequantize_fixture.py). Every
// product of a code and its scales fits f32 exactly, at most one rounding is left, so bits must
// agree.
TEST_CASE("every storage type decodes to ggml's own values, bit for bit") {
  const MappedFile file(LONGSHADOW_FIXTURES "/dequantize.gguf");
  const Gguf gguf = parse_gguf(file.bytes(), "dequantize.gguf");
  for (const StorageType type : kTypes) {
    DYNAMIC_SECTION(name_of(type)) {
      const StoredTensor* stored = gguf.find(name_of(type));
      const StoredTensor* expected = gguf.find(std::string(name_of(type)) + ".expected");
      REQUIRE(stored != nullptr);
      REQUIRE(expected != nullptr);
      REQUIRE(stored->type == type);
      REQUIRE(stored->elements() >= 512);
      const std::vector<float> values = decode(*stored);
      const std::vector<float> ggml = decode(*expected);
      REQUIRE(values.size() == ggml.size());
      CHECK(std::memcmp(values.data(), ggml.data(), ggml.size() * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("a range of blocks decodes as it does within the whole tensor") {
  const MappedFile file(LONGSHADOW_FIXTURES "/dequantize.gguf");
  const Gguf gguf = parse_gguf(file.bytes(), "dequantize.gguf");
  for (const StorageType type : kTypes) {
    const StoredTensor* stored = gguf.find(name_of(type));
    REQUIRE(stored != nullptr);
    const std::size_t block = block_elements(type);
    const std::vector<float> whole = decode(*stored);
    std::vector<float> part(block);
    dequantize(*stored, block, part);
    CHECK(std::equal(part.begin(), part.end(), whole.begin() + static_cast<long>(block)));
  }
}

TEST_CASE("half types decode their extremes, wherever the bytes lie") {
  const std::array<std::uint16_t, 6> halves = {0x7bff, 0x0001, 0x8400, 0x8000, 0x7c00, 0xfe00};
  std::vector<std::byte> bytes(1 + sizeof halves);  // one off any alignment
  std::memcpy(bytes.data() + 1, halves.data(), sizeof halves);
  StoredTensor tensor{"t", StorageType::f16, {6}, std::span(bytes).subspan(1)};
  std::vector<float> values = decode(tensor);
  CHECK(values[0] == 65504.0f);
  CHECK(values[1] == 0x1p-24f);
  CHECK(values[2] == -0x1p-14f);
  CHECK(values[3] == 0.0f);
  CHECK(std::signbit(values[3]));
  CHECK(values[4] == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(values[5]));

  tensor.type = StorageType::bf16;
  values = decode(tensor);
  CHECK(values[1] == 0x1p-133f);
  CHECK(values[2] == -0x1p-119f);
}

TEST_CASE("a range outside the tensor or within a block is refused") {
  const std::vector<std::byte> bytes(2 * block_bytes(StorageType::q8_0));
  const StoredTensor tensor{"t", StorageType::q8_0, {64}, bytes};
  std::vector<float> values(32);
  CHECK_NOTHROW(dequantize(tensor, 32, values));
  for (const std::size_t first : {std::size_t{16}, std::size_t{64}, SIZE_MAX - 31}) {
    CHECK_THAT(error_of([&] { dequantize(tensor, first, values); }), Contains("'t'"));
  }
  values.resize(33);
  CHECK_THAT(error_of([&] { dequantize(tensor, 0, values); }), Contains("whole blocks"));
  values.resize(96);
  CHECK_THAT(error_of([&] { dequantize(tensor, 0, values); }), Contains("64 elements"));
}

}  // namespace
}  // namespace longshadow
