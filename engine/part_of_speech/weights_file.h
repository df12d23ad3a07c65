#pragma once

#include <cstddef>
#include <filesystem>
#include <iosfwd>
#include <span>
#include <string>

#include "engine/part_of_speech/perceptron.h"

namespace longshadow {

// The weights of a perceptron in a file, little-endian:
//   8 bytes   "LSTAGGER"
//   u32       format version, 1
//   u64       number of lexicon entries; for each, keys ascending: u32 key, u32 set of tags (a bit
//             for each, by value)
//   u64 F     number of features
//   u64 E     number of weights
//   u32 [F]   features, ascending
//   u8  [F]   how many weights each has
//   E times   u8 tag, i8 weight
//   64 bytes  SHA-256 of all before, hexadecimal

void write_weights(std::ostream& out, const Perceptron& perceptron);

/// `source` names the file. Throws Error where it is malformed: of another format or version, cut
/// short, with a checksum, an order, a count or a tag that cannot be.
Perceptron parse_weights(std::span<const std::byte> bytes, const std::string& source);

Perceptron load_weights(const std::filesystem::path& path);

}  // namespace longshadow
