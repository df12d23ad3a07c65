#pragma once

#include <hdf5.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "data/format/hdf5.h"

// What the sources of hdf5.h share; nothing else includes it.
namespace longshadow::hdf5 {

/// Throws FormatError "cannot WHAT: " and the reason on the library's error stack.
[[noreturn]] void fail(const std::string& what);

/// The result of a C call, after a throw where it says failure.
template <typename Result>
Result check(Result result, const std::string& what) {
  if (result < 0) fail(what);
  return result;
}

/// The element type of T's values in a run file, and of our arrays in memory.
template <typename T>
hid_t element_type() {
  static_assert(std::endian::native == std::endian::little, "libhdf5 converts on other machines");
  if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_STD_U8LE;
  if constexpr (std::is_same_v<T, std::int32_t>) return H5T_STD_I32LE;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_STD_I64LE;
  if constexpr (std::is_same_v<T, std::uint64_t>) return H5T_STD_U64LE;
  if constexpr (std::is_same_v<T, float>) return H5T_IEEE_F32LE;
  if constexpr (std::is_same_v<T, double>) return H5T_IEEE_F64LE;
}

/// UTF-8 of `size` bytes padded with NUL, or of any length with H5T_VARIABLE.
Handle utf8_type(std::size_t size);

}  // namespace longshadow::hdf5
