#include <array>
#include <bit>
#include <cstring>

#include "engine/core/error.h"
#include "engine/core/half.h"
#include "engine/io/stored_tensor.h"
#include "engine/io/utf8.h"

namespace longshadow {
namespace {

// The blocks as they lie in the file. A quantised value is (code * scale) + minimum; every product
// below has at most 24 significant bits, so f32 holds it exactly and the results are ggml's own, to
// the bit, however the compiler contracts them.

struct BlockQ8_0 {
  F16 scale;
  std::int8_t codes[32];
};

/// `low` nibbles are elements 0-15, high nibbles 16-31, in all the 32-element formats.
struct BlockQ4_0 {
  F16 scale;
  std::uint8_t nibbles[16];
};

struct BlockQ4_1 {
  F16 scale;
  F16 minimum;
  std::uint8_t nibbles[16];
};

/// Bit i of `fifth_bits` is the highest bit of element i.
struct BlockQ5_0 {
  F16 scale;
  std::uint8_t fifth_bits[4];
  std::uint8_t nibbles[16];
};

struct BlockQ5_1 {
  F16 scale;
  F16 minimum;
  std::uint8_t fifth_bits[4];
  std::uint8_t nibbles[16];
};

/// Eight sub-blocks of 32 elements, each with a 6-bit scale and a 6-bit minimum.
struct BlockQ4_K {
  F16 scale;
  F16 minimum;
  std::uint8_t packed[12];
  std::uint8_t nibbles[128];
};

/// Bit s of `fifth_bits[i]` is the highest bit of element i of sub-block s.
struct BlockQ5_K {
  F16 scale;
  F16 minimum;
  std::uint8_t packed[12];
  std::uint8_t fifth_bits[32];
  std::uint8_t nibbles[128];
};

/// Sixteen sub-blocks of 16 elements, each with an 8-bit scale; codes of 4 low and 2 high bits.
struct BlockQ6_K {
  std::uint8_t low[128];
  std::uint8_t high[64];
  std::int8_t scales[16];
  F16 scale;
};

void decode(const BlockQ8_0& block, float* out) {
  const float scale = to_float(block.scale);
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(block.codes[i]);
}

void decode(const BlockQ4_0& block, float* out) {
  const float scale = to_float(block.scale);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>((block.nibbles[i] & 15) - 8);
    out[i + 16] = scale * static_cast<float>((block.nibbles[i] >> 4) - 8);
  }
}

void decode(const BlockQ4_1& block, float* out) {
  const float scale = to_float(block.scale);
  const float minimum = to_float(block.minimum);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(block.nibbles[i] & 15) + minimum;
    out[i + 16] = scale * static_cast<float>(block.nibbles[i] >> 4) + minimum;
  }
}

/// The 32 codes of a block that keeps four bits in nibbles and the fifth apart.
template <class Block>
std::array<int, 32> five_bit_codes(const Block& block) {
  std::uint32_t fifth;
  std::memcpy(&fifth, block.fifth_bits, sizeof fifth);
  std::array<int, 32> codes;
  for (unsigned i = 0; i < 16; ++i) {
    codes[i] = static_cast<int>((block.nibbles[i] & 15u) | (((fifth >> i) & 1u) << 4));
    codes[i + 16] = static_cast<int>((block.nibbles[i] >> 4) | (((fifth >> (i + 16)) & 1u) << 4));
  }
  return codes;
}

void decode(const BlockQ5_0& block, float* out) {
  const float scale = to_float(block.scale);
  const std::array<int, 32> codes = five_bit_codes(block);
  for (std::size_t i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(codes[i] - 16);
}

void decode(const BlockQ5_1& block, float* out) {
  const float scale = to_float(block.scale);
  const float minimum = to_float(block.minimum);
  const std::array<int, 32> codes = five_bit_codes(block);
  for (std::size_t i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(codes[i]) + minimum;
}

struct ScaleAndMinimum {
  float scale;
  float minimum;
};

/// Sub-block s of a Q4_K or Q5_K block. Its 12 packed bytes hold the 6-bit scales and minima of
/// sub-blocks 0-3 in bytes 0-3 and 4-7; those of 4-7 have their low four bits in bytes 8-11 and
/// their high two in the spare bits of bytes 0-7.
template <class Block>
ScaleAndMinimum sub_block(const Block& block, unsigned s) {
  const std::uint8_t* packed = block.packed;
  unsigned scale;
  unsigned minimum;
  if (s < 4) {
    scale = packed[s] & 63u;
    minimum = packed[s + 4] & 63u;
  } else {
    scale = (packed[s + 4] & 15u) | ((packed[s - 4] >> 6) << 4);
    minimum = (packed[s + 4] >> 4) | ((packed[s] >> 6) << 4);
  }
  return {to_float(block.scale) * static_cast<float>(scale),
          to_float(block.minimum) * static_cast<float>(minimum)};
}

/// Two neighbouring sub-blocks share 32 bytes: the low nibbles are the first's elements.
void decode(const BlockQ4_K& block, float* out) {
  for (unsigned s = 0; s < 8; ++s) {
    const auto [scale, minimum] = sub_block(block, s);
    const std::uint8_t* nibbles = block.nibbles + 32 * (s / 2);
    const unsigned shift = 4 * (s % 2);
    for (unsigned i = 0; i < 32; ++i) {
      out[32 * s + i] = scale * static_cast<float>((nibbles[i] >> shift) & 15) - minimum;
    }
  }
}

void decode(const BlockQ5_K& block, float* out) {
  for (unsigned s = 0; s < 8; ++s) {
    const auto [scale, minimum] = sub_block(block, s);
    const std::uint8_t* nibbles = block.nibbles + 32 * (s / 2);
    const unsigned shift = 4 * (s % 2);
    for (unsigned i = 0; i < 32; ++i) {
      const int code = ((nibbles[i] >> shift) & 15) | (((block.fifth_bits[i] >> s) & 1) << 4);
      out[32 * s + i] = scale * static_cast<float>(code) - minimum;
    }
  }
}

/// Each half of 128 elements is four runs of 32: runs 0 and 1 have their low bits in the low
/// nibbles of 64 bytes, runs 2 and 3 in the high ones; byte i of `high` has two bits for element i
/// of each.
void decode(const BlockQ6_K& block, float* out) {
  const float scale = to_float(block.scale);
  for (unsigned run = 0; run < 8; ++run) {
    const unsigned half = run / 4;
    const unsigned r = run % 4;
    const std::uint8_t* low = block.low + 64 * half + 32 * (r % 2);
    const std::uint8_t* high = block.high + 32 * half;
    for (unsigned i = 0; i < 32; ++i) {
      const int code = ((low[i] >> (4 * (r / 2))) & 15) | (((high[i] >> (2 * r)) & 3) << 4);
      const float sub_scale = scale * static_cast<float>(block.scales[2 * run + i / 16]);
      out[32 * run + i] = sub_scale * static_cast<float>(code - 32);
    }
  }
}

void decode(const F16& value, float* out) { *out = to_float(value); }
void decode(const BF16& value, float* out) { *out = to_float(value); }
void decode(const float& value, float* out) { *out = value; }

template <class Block, std::size_t kElements>
void decode_blocks(const std::byte* data, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); i += kElements, data += sizeof(Block)) {
    Block block;
    std::memcpy(&block, data, sizeof block);
    decode(block, out.data() + i);
  }
}

}  // namespace

void dequantize(const StoredTensor& tensor, std::size_t first, std::span<float> out) {
  const std::size_t elements = block_elements(tensor.type);
  const std::size_t bytes = block_bytes(tensor.type);
  const std::size_t stored = tensor.data.size() / bytes * elements;
  if (first % elements != 0 || out.size() % elements != 0 || first > stored ||
      out.size() > stored - first) {
    throw Error("tensor " + quote(tensor.name) + ": elements " + std::to_string(first) + " to " +
                std::to_string(first + out.size()) + " are not whole blocks of its " +
                std::to_string(stored) + " elements");
  }
  const std::byte* data = tensor.data.data() + first / elements * bytes;
  switch (tensor.type) {
    case StorageType::f32:
      return decode_blocks<float, 1>(data, out);
    case StorageType::f16:
      return decode_blocks<F16, 1>(data, out);
    case StorageType::bf16:
      return decode_blocks<BF16, 1>(data, out);
    case StorageType::q8_0:
      return decode_blocks<BlockQ8_0, 32>(data, out);
    case StorageType::q4_0:
      return decode_blocks<BlockQ4_0, 32>(data, out);
    case StorageType::q4_1:
      return decode_blocks<BlockQ4_1, 32>(data, out);
    case StorageType::q5_0:
      return decode_blocks<BlockQ5_0, 32>(data, out);
    case StorageType::q5_1:
      return decode_blocks<BlockQ5_1, 32>(data, out);
    case StorageType::q4_k:
      return decode_blocks<BlockQ4_K, 256>(data, out);
    case StorageType::q5_k:
      return decode_blocks<BlockQ5_K, 256>(data, out);
    case StorageType::q6_k:
      return decode_blocks<BlockQ6_K, 256>(data, out);
  }
}

}  // namespace longshadow
