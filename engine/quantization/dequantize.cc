#include "engine/quantization/dequantize.h"

#include <array>
#include <cstring>

#include "engine/core/error.h"
#include "engine/core/half.h"
#include "engine/quantization/block_formats.h"
#include "engine/quantization/dequantize_tables.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

// A quantised value is (code * scale) + minimum; every product below has at most 24 significant
// bits, so f32 holds it exactly and the results are ggml's own, to the bit, however the compiler
// contracts them.

void decode(const BlockQ1_0& block, float* out) {
  const float scale = to_float(block.scale);
  for (unsigned i = 0; i < 128; ++i) out[i] = (block.bits[i / 8] >> (i % 8)) & 1 ? scale : -scale;
}

void decode(const BlockQ2_0& block, float* out) {
  const float scale = to_float(block.scale);
  for (unsigned i = 0; i < 64; ++i) {
    const int code = (block.pairs[i / 4] >> (2 * (i % 4))) & 3;
    out[i] = scale * static_cast<float>(code - 1);
  }
}

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

/// Code of 2 bits of element i in formats where each half of 128 elements is four runs of 32, and
/// byte k of the half's 32 has two bits for element k of each run.
int two_bit_code(const std::uint8_t* pairs, unsigned i) {
  const unsigned half = i / 128;
  const unsigned run = i % 128 / 32;
  return (pairs[32 * half + i % 32] >> (2 * run)) & 3;
}

void decode(const BlockQ2_K& block, float* out) {
  for (unsigned s = 0; s < 16; ++s) {
    const float scale = to_float(block.scale) * static_cast<float>(block.packed[s] & 15);
    const float minimum = to_float(block.minimum) * static_cast<float>(block.packed[s] >> 4);
    for (unsigned i = 16 * s; i < 16 * s + 16; ++i) {
      out[i] = scale * static_cast<float>(two_bit_code(block.pairs, i)) - minimum;
    }
  }
}

/// Sub-block s's scale has its low four bits in the nibbles of bytes 0-7 (low ones first), its high
/// two in bytes 8-11. A code's third bit is set where 4 is not to be taken from it.
void decode(const BlockQ3_K& block, float* out) {
  for (unsigned s = 0; s < 16; ++s) {
    const int low = (block.packed[s % 8] >> (4 * (s / 8))) & 15;
    const int high = (block.packed[8 + s % 4] >> (2 * (s / 4))) & 3;
    const float scale = to_float(block.scale) * static_cast<float>((low | (high << 4)) - 32);
    for (unsigned i = 16 * s; i < 16 * s + 16; ++i) {
      const int third = (block.third_bits[i % 32] >> (i / 32)) & 1;
      const int code = two_bit_code(block.pairs, i) + 4 * third - 4;
      out[i] = scale * static_cast<float>(code);
    }
  }
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

/// The nth base-3 digit, less 1. A byte holds its digits as a fraction of 243, rounded up to one of
/// 256, so that multiplying by 3 carries the first out at the top.
float ternary(std::uint8_t byte, unsigned n) {
  constexpr std::array<unsigned, 5> kPowersOf3 = {1, 3, 9, 27, 81};
  const unsigned from_nth = (byte * kPowersOf3[n]) & 0xff;
  return static_cast<float>(static_cast<int>(from_nth * 3 >> 8) - 1);
}

/// The nth digits of `count` bytes are neighbours.
void decode_ternary(const std::uint8_t* bytes, unsigned count, unsigned digits, float scale,
                    float* out) {
  for (unsigned i = 0; i < count * digits; ++i)
    out[i] = ternary(bytes[i % count], i / count) * scale;
}

void decode(const BlockTQ1_0& block, float* out) {
  const float scale = to_float(block.scale);
  decode_ternary(block.fives, 32, 5, scale, out);
  decode_ternary(block.fives + 32, 16, 5, scale, out + 160);
  decode_ternary(block.fours, 4, 4, scale, out + 240);
}

void decode(const BlockTQ2_0& block, float* out) {
  const float scale = to_float(block.scale);
  for (unsigned i = 0; i < 256; ++i) {
    out[i] = static_cast<float>(two_bit_code(block.pairs, i) - 1) * scale;
  }
}

void decode(const F16& value, float* out) { *out = to_float(value); }
void decode(const BF16& value, float* out) { *out = to_float(value); }
void decode(const float& value, float* out) { *out = value; }

/// The block's elements follow from its type's entry in the table of formats.
template <class Block>
void decode_blocks(const StoredTensor& tensor, const std::byte* data, std::span<float> out) {
  const std::size_t elements = block_elements(tensor.type);
  for (std::size_t i = 0; i < out.size(); i += elements, data += sizeof(Block)) {
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
      return decode_blocks<float>(tensor, data, out);
    case StorageType::f16:
      return decode_blocks<F16>(tensor, data, out);
    case StorageType::bf16:
      return decode_blocks<BF16>(tensor, data, out);
    case StorageType::q1_0:
      return decode_blocks<BlockQ1_0>(tensor, data, out);
    case StorageType::q2_0:
      return decode_blocks<BlockQ2_0>(tensor, data, out);
    case StorageType::q4_0:
      return decode_blocks<BlockQ4_0>(tensor, data, out);
    case StorageType::q4_1:
      return decode_blocks<BlockQ4_1>(tensor, data, out);
    case StorageType::q5_0:
      return decode_blocks<BlockQ5_0>(tensor, data, out);
    case StorageType::q5_1:
      return decode_blocks<BlockQ5_1>(tensor, data, out);
    case StorageType::q8_0:
      return decode_blocks<BlockQ8_0>(tensor, data, out);
    case StorageType::q2_k:
      return decode_blocks<BlockQ2_K>(tensor, data, out);
    case StorageType::q3_k:
      return decode_blocks<BlockQ3_K>(tensor, data, out);
    case StorageType::q4_k:
      return decode_blocks<BlockQ4_K>(tensor, data, out);
    case StorageType::q5_k:
      return decode_blocks<BlockQ5_K>(tensor, data, out);
    case StorageType::q6_k:
      return decode_blocks<BlockQ6_K>(tensor, data, out);
    case StorageType::tq1_0:
      return decode_blocks<BlockTQ1_0>(tensor, data, out);
    case StorageType::tq2_0:
      return decode_blocks<BlockTQ2_0>(tensor, data, out);
    case StorageType::mxfp4:
      return decode_blocks<BlockMXFP4>(tensor, data, out);
    case StorageType::nvfp4:
      return decode_blocks<BlockNVFP4>(tensor, data, out);
    case StorageType::iq4_nl:
      return decode_blocks<BlockIQ4_NL>(tensor, data, out);
    case StorageType::iq4_xs:
      return decode_blocks<BlockIQ4_XS>(tensor, data, out);
    case StorageType::iq1_s:
      return decode_blocks<BlockIQ1_S>(tensor, data, out);
    case StorageType::iq1_m:
      return decode_blocks<BlockIQ1_M>(tensor, data, out);
    case StorageType::iq2_xxs:
      return decode_blocks<BlockIQ2_XXS>(tensor, data, out);
    case StorageType::iq2_xs:
      return decode_blocks<BlockIQ2_XS>(tensor, data, out);
    case StorageType::iq2_s:
      return decode_blocks<BlockIQ2_S>(tensor, data, out);
    case StorageType::iq3_xxs:
      return decode_blocks<BlockIQ3_XXS>(tensor, data, out);
    case StorageType::iq3_s:
      return decode_blocks<BlockIQ3_S>(tensor, data, out);
  }
}

}  // namespace longshadow
