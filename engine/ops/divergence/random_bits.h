#pragma once

#include <cstddef>
#include <cstdint>

namespace longshadow {

/// The output function of SplitMix64 (Steele, Lea and Flood 2014).
constexpr std::uint64_t mix_bits(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Random bits for one draw at one row, by counter, so that no order of work changes them.
class RandomBits {
 public:
  constexpr RandomBits(std::uint64_t seed, std::size_t draw, std::size_t row)
      : state_(mix_bits(mix_bits(mix_bits(seed + kGamma) + draw + kGamma) + row + kGamma)) {}

  /// The 64 bits of this number.
  constexpr std::uint64_t word(std::size_t index) const {
    return mix_bits(state_ + index + kGamma);
  }
  /// Uniform in [0, 1).
  constexpr double unit(std::size_t index) const {
    return static_cast<double>(word(index) >> 11) * 0x1p-53;
  }

 private:
  static constexpr std::uint64_t kGamma = 0x9e3779b97f4a7c15u;
  std::uint64_t state_;
};

}  // namespace longshadow
