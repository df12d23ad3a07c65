#pragma once

#include <filesystem>

namespace longshadow::hdf5 {

/// libhdf5 1.10 walks the objects of a global heap collection, where attributes of variable length
/// live, without asking whether a step leads anywhere: a free space of 0 bytes keeps it there for
/// ever. Walks every collection that the file has in its stead (HDF5 File Format Specification 3.0,
/// III.E, offsets and lengths of 8 bytes). Throws FormatError naming the file and the byte where a
/// step leads nowhere or out of the collection, or where the file cannot be read.
void check_global_heaps(const std::filesystem::path& path);

}  // namespace longshadow::hdf5
