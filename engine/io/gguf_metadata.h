#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/io/byte_reader.h"
#include "engine/io/gguf.h"

namespace longshadow {

/// Reads that many key-value pairs into gguf.metadata and returns the alignment of the tensor data,
/// which is one of them (general.alignment) or 32. Throws Error.
std::size_t read_gguf_metadata(ByteReader& reader, std::uint64_t n_pairs, Gguf& gguf);

}  // namespace longshadow
