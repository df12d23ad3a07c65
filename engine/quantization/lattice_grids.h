#pragma once

#include <array>
#include <cstdint>

namespace longshadow {

// The points that the codes of ggml's IQ types stand for: subsets of lattices, chosen by ggml's
// authors. A point's coordinates are small codes, coordinate 0 in the lowest bits.

/// Eight coordinates of 2 bits: 0, 1, 2 for the magnitudes 8, 25, 43.
extern const std::array<std::uint16_t, 256> kIq2XxsGrid;
extern const std::array<std::uint16_t, 512> kIq2XsGrid;
extern const std::array<std::uint16_t, 1024> kIq2SGrid;
/// Four coordinates of 4 bits: 0 to 7 for the magnitudes 4, 12, 20, 28, 36, 44, 52, 62.
extern const std::array<std::uint16_t, 256> kIq3XxsGrid;
/// Four coordinates of 4 bits: 0 to 7 for the magnitudes 1, 3, 5, 7, 9, 11, 13, 15.
extern const std::array<std::uint16_t, 512> kIq3SGrid;
/// Eight coordinates of 2 bits: 0, 1, 2 for the values -1, 0, 1.
extern const std::array<std::uint16_t, 2048> kIq1Grid;

}  // namespace longshadow
