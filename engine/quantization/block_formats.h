#pragma once

#include <cstdint>

#include "engine/core/half.h"

namespace longshadow {

// ggml's quantised blocks (https://github.com/ggml-org/ggml, ggml-common.h) as they lie in the
// file.

/// Bit i is element i's code: its sign.
struct BlockQ1_0 {
  F16 scale;
  std::uint8_t bits[16];
};

/// Codes of two bits, four neighbours a byte.
struct BlockQ2_0 {
  F16 scale;
  std::uint8_t pairs[16];
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

struct BlockQ8_0 {
  F16 scale;
  std::int8_t codes[32];
};

/// Sixteen sub-blocks of 16 elements, each with a 4-bit scale (low) and a 4-bit minimum (high).
struct BlockQ2_K {
  std::uint8_t packed[16];
  std::uint8_t pairs[64];
  F16 scale;
  F16 minimum;
};

/// Sixteen sub-blocks of 16 elements, each with a 6-bit scale; codes of 2 low and 1 high bits.
struct BlockQ3_K {
  std::uint8_t third_bits[32];
  std::uint8_t pairs[64];
  std::uint8_t packed[12];
  F16 scale;
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

/// Values -1, 0 and 1: five to a byte, as base-3 digits, but for the last 16, four to a byte.
struct BlockTQ1_0 {
  std::uint8_t fives[48];
  std::uint8_t fours[4];
  F16 scale;
};

struct BlockTQ2_0 {
  std::uint8_t pairs[64];
  F16 scale;
};

/// The scale is a power of two, 2^(exponent - 127); the values are 4-bit floats (OCP MX, E2M1).
struct BlockMXFP4 {
  std::uint8_t exponent;
  std::uint8_t nibbles[16];
};

/// Four sub-blocks of 16 elements, each with an unsigned 8-bit float (E4M3) as its scale.
struct BlockNVFP4 {
  std::uint8_t scales[4];
  std::uint8_t nibbles[32];
};

struct BlockIQ4_NL {
  F16 scale;
  std::uint8_t nibbles[16];
};

/// Eight sub-blocks of 32 elements, each with a 6-bit scale: 4 low bits and 2 high ones.
struct BlockIQ4_XS {
  F16 scale;
  std::uint16_t scales_high;
  std::uint8_t scales_low[4];
  std::uint8_t nibbles[128];
};

/// In all the IQ formats that follow: eight sub-blocks of 32 elements, each four runs of eight.

/// A sub-block's word: three bits of each run's point, three of a scale, one of a shift.
struct BlockIQ1_S {
  F16 scale;
  std::uint8_t points_low[32];
  std::uint16_t words[8];
};

/// A run's nibble of `high`: three bits of its point, one of its shift. `packed` are four 16-bit
/// words: twelve bits are 3-bit scales of 16 elements, the four highest a quarter of the block's.
struct BlockIQ1_M {
  std::uint8_t points_low[32];
  std::uint8_t high[16];
  std::uint8_t packed[8];
};

/// A sub-block: four bytes are its points, the next 32 bits four times 7 signs and a 4-bit scale.
struct BlockIQ2_XXS {
  F16 scale;
  std::uint8_t sub_blocks[8][8];
};

/// A run's 16 bits: 9 of its point, 7 of its signs.
struct BlockIQ2_XS {
  F16 scale;
  std::uint16_t runs[32];
  std::uint8_t scales[8];
};

struct BlockIQ2_S {
  F16 scale;
  std::uint8_t points_low[32];
  std::uint8_t signs[32];
  std::uint8_t points_high[8];
  std::uint8_t scales[8];
};

/// Two points of four elements a run; a sub-block's word as in IQ2_XXS.
struct BlockIQ3_XXS {
  F16 scale;
  std::uint8_t points[64];
  std::uint8_t words[8][4];
};

struct BlockIQ3_S {
  F16 scale;
  std::uint8_t points_low[64];
  std::uint8_t points_high[8];
  std::uint8_t signs[32];
  std::uint8_t scales[4];
};

}  // namespace longshadow
