#include "engine/quantization/dequantize_tables.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "engine/quantization/lattice_grids.h"

namespace longshadow {
namespace {

/// Twice the 4-bit floats E2M1 (OCP Microscaling Formats 1.0); the fourth bit is the sign.
constexpr std::array<int, 16> kTwiceE2M1 = {0, 1,  2,  3,  4,  6,  8,  12,
                                            0, -1, -2, -3, -4, -6, -8, -12};
constexpr std::array<int, 16> kIq4Values = {-127, -104, -83, -65, -49, -35, -22, -10,
                                            1,    13,   25,  38,  53,  69,  89,  113};
constexpr std::array<int, 3> kIq2Magnitudes = {8, 25, 43};
constexpr std::array<int, 8> kIq3XxsMagnitudes = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr std::array<int, 8> kIq3SMagnitudes = {1, 3, 5, 7, 9, 11, 13, 15};
/// What all values of an IQ1 run are shifted by, up or down.
constexpr float kIq1Shift = 0.125f;

/// Low nibbles name elements 0 to n - 1, high nibbles n to 2 n - 1.
template <std::size_t n>
void decode_nibbles(const std::uint8_t* nibbles, const std::array<int, 16>& values, float scale,
                    float* out) {
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = scale * static_cast<float>(values[nibbles[i] & 15u]);
    out[i + n] = scale * static_cast<float>(values[nibbles[i] >> 4]);
  }
}

/// Half of an unsigned E4M3 float; 0x7f, its NaN, is 0.
float half_of_e4m3(std::uint8_t bits) {
  if (bits == 0x7f) return 0.0f;
  const int exponent = (bits >> 3) & 15;
  const int mantissa = bits & 7;
  const float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                    : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return 0.5f * value;
}

std::uint32_t word_at(const std::uint8_t* bytes) {
  std::uint32_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

/// The eight signs of a run, of which seven are stored: the number of minuses is even.
unsigned with_parity(unsigned seven_signs) {
  return seven_signs | (static_cast<unsigned>(std::popcount(seven_signs)) & 1u) << 7;
}

/// A point of n coordinates of `bits` bits each; bit i of `signs` is set where element i is
/// negative.
template <std::size_t n, unsigned bits, std::size_t n_magnitudes>
void decode_point(std::uint16_t point, const std::array<int, n_magnitudes>& magnitudes,
                  unsigned signs, float scale, float* out) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto magnitude =
        static_cast<float>(magnitudes[(point >> (bits * i)) & ((1u << bits) - 1u)]);
    out[i] = scale * ((signs >> i) & 1u ? -magnitude : magnitude);
  }
}

void decode_iq2(std::uint16_t point, unsigned signs, float scale, float* out) {
  decode_point<8, 2>(point, kIq2Magnitudes, signs, scale, out);
}

void decode_iq1(unsigned index, bool down, float scale, float* out) {
  for (unsigned i = 0; i < 8; ++i) {
    const int value = static_cast<int>((kIq1Grid[index] >> (2 * i)) & 3u) - 1;
    out[i] = scale * (static_cast<float>(value) + (down ? -kIq1Shift : kIq1Shift));
  }
}

/// Scale codes count from a half in steps of 1/4 (IQ2) or 1/2 (IQ3_XXS) of the block's scale.
float stepped(float scale, unsigned code, float step) {
  return scale * (0.5f + static_cast<float>(code)) * step;
}

/// Scale codes 0, 1, 2, ... that stand for 1, 3, 5, ... times the block's scale.
float odd_multiple(float scale, unsigned code) { return scale * static_cast<float>(2 * code + 1); }

}  // namespace

void decode(const BlockMXFP4& block, float* out) {
  const float scale = std::ldexp(1.0f, block.exponent - 128);  // the values are doubled
  decode_nibbles<16>(block.nibbles, kTwiceE2M1, scale, out);
}

void decode(const BlockNVFP4& block, float* out) {
  for (std::size_t s = 0; s < 4; ++s) {
    decode_nibbles<8>(block.nibbles + 8 * s, kTwiceE2M1, half_of_e4m3(block.scales[s]),
                      out + 16 * s);
  }
}

void decode(const BlockIQ4_NL& block, float* out) {
  decode_nibbles<16>(block.nibbles, kIq4Values, to_float(block.scale), out);
}

void decode(const BlockIQ4_XS& block, float* out) {
  for (unsigned s = 0; s < 8; ++s) {
    const unsigned low = (block.scales_low[s / 2] >> (4 * (s % 2))) & 15u;
    const unsigned high = (static_cast<unsigned>(block.scales_high) >> (2 * s)) & 3u;
    const int code = static_cast<int>(low | high << 4) - 32;
    decode_nibbles<16>(block.nibbles + 16 * s, kIq4Values,
                       to_float(block.scale) * static_cast<float>(code), out + 32 * s);
  }
}

void decode(const BlockIQ1_S& block, float* out) {
  for (unsigned run = 0; run < 32; ++run) {
    const unsigned word = block.words[run / 4];
    const unsigned high = (word >> (3 * (run % 4))) & 7u;
    const float scale = odd_multiple(to_float(block.scale), (word >> 12) & 7u);
    decode_iq1(block.points_low[run] | high << 8, (word & 0x8000u) != 0, scale, out + 8 * run);
  }
}

void decode(const BlockIQ1_M& block, float* out) {
  std::array<std::uint16_t, 4> words;
  std::memcpy(words.data(), block.packed, sizeof block.packed);
  std::uint16_t scale_bits = 0;
  for (unsigned i = 0; i < 4; ++i) {
    scale_bits = static_cast<std::uint16_t>(scale_bits | (words[i] >> 12) << (4 * i));
  }
  const float block_scale = to_float(F16{scale_bits});
  for (unsigned run = 0; run < 32; ++run) {
    const unsigned nibble = (block.high[run / 2] >> (4 * (run % 2))) & 15u;
    const unsigned pair = run / 2;  // of runs, which share a scale
    const unsigned code = (static_cast<unsigned>(words[pair / 4]) >> (3 * (pair % 4))) & 7u;
    decode_iq1(block.points_low[run] | (nibble & 7u) << 8, (nibble & 8u) != 0,
               odd_multiple(block_scale, code), out + 8 * run);
  }
}

void decode(const BlockIQ2_XXS& block, float* out) {
  for (unsigned run = 0; run < 32; ++run) {
    const std::uint8_t* sub_block = block.sub_blocks[run / 4];
    const std::uint32_t word = word_at(sub_block + 4);
    decode_iq2(kIq2XxsGrid[sub_block[run % 4]], with_parity((word >> (7 * (run % 4))) & 127u),
               stepped(to_float(block.scale), word >> 28, 0.25f), out + 8 * run);
  }
}

/// The 4-bit scale of a run in formats with one for each two runs.
template <class Block>
float scale_of_run(const Block& block, unsigned run) {
  const unsigned code = (block.scales[run / 4] >> (run % 4 < 2 ? 0 : 4)) & 15u;
  return stepped(to_float(block.scale), code, 0.25f);
}

void decode(const BlockIQ2_XS& block, float* out) {
  for (unsigned run = 0; run < 32; ++run) {
    const unsigned bits = block.runs[run];
    decode_iq2(kIq2XsGrid[bits & 511u], with_parity(bits >> 9), scale_of_run(block, run),
               out + 8 * run);
  }
}

void decode(const BlockIQ2_S& block, float* out) {
  for (unsigned run = 0; run < 32; ++run) {
    const unsigned high = (block.points_high[run / 4] >> (2 * (run % 4))) & 3u;
    decode_iq2(kIq2SGrid[block.points_low[run] | high << 8], block.signs[run],
               scale_of_run(block, run), out + 8 * run);
  }
}

void decode(const BlockIQ3_XXS& block, float* out) {
  for (unsigned run = 0; run < 32; ++run) {
    const std::uint32_t word = word_at(block.words[run / 4]);
    const unsigned signs = with_parity((word >> (7 * (run % 4))) & 127u);
    const float scale = stepped(to_float(block.scale), word >> 28, 0.5f);
    for (unsigned half = 0; half < 2; ++half) {
      decode_point<4, 4>(kIq3XxsGrid[block.points[2 * run + half]], kIq3XxsMagnitudes,
                         signs >> (4 * half), scale, out + 8 * run + 4 * half);
    }
  }
}

void decode(const BlockIQ3_S& block, float* out) {
  for (unsigned run = 0; run < 32; ++run) {
    const unsigned code = (block.scales[run / 8] >> (run % 8 < 4 ? 0 : 4)) & 15u;
    const float scale = odd_multiple(to_float(block.scale), code);
    for (unsigned half = 0; half < 2; ++half) {
      const unsigned k = 2 * run + half;
      const unsigned high = (block.points_high[k / 8] >> (k % 8)) & 1u;
      decode_point<4, 4>(kIq3SGrid[block.points_low[k] | high << 8], kIq3SMagnitudes,
                         block.signs[run] >> (4 * half), scale, out + 8 * run + 4 * half);
    }
  }
}

}  // namespace longshadow
