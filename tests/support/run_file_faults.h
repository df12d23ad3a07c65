#pragma once

#include <hdf5.h>

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "analysis/runs/run_reader.h"
#include "data/format/run_writer.h"
#include "tests/support/temporary_folder.h"

/// What tests do to a run file behind the reader's back, and how they compare what it gives.
namespace longshadow::test {

/// Bit for bit, because surprisal holds a NaN.
inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::ranges::equal(a, b, {}, std::bit_cast<std::uint32_t, float>,
                            std::bit_cast<std::uint32_t, float>);
}

/// Deletes attribute `name` of `object` and puts a 64-bit integer in its place.
inline void replace_attribute(hid_t file, const char* object, const char* name,
                              std::int64_t value) {
  REQUIRE(H5Adelete_by_name(file, object, name, H5P_DEFAULT) >= 0);
  const hid_t space = H5Screate(H5S_SCALAR);
  const hid_t attribute = H5Acreate_by_name(file, object, name, H5T_STD_I64LE, space, H5P_DEFAULT,
                                            H5P_DEFAULT, H5P_DEFAULT);
  REQUIRE(H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0);
  H5Aclose(attribute);
  H5Sclose(space);
}

/// Overwrites the first value of a dataset of at most five dimensions.
template <typename T>
void replace_first(hid_t file, const std::string& name, hid_t type, T value) {
  const hid_t dataset = H5Dopen2(file, name.c_str(), H5P_DEFAULT);
  REQUIRE(dataset >= 0);
  const hid_t space = H5Dget_space(dataset);
  const hsize_t zero[] = {0, 0, 0, 0, 0};
  const hsize_t one[] = {1, 1, 1, 1, 1};
  H5Sselect_hyperslab(space, H5S_SELECT_SET, zero, nullptr, one, nullptr);
  const hid_t scalar = H5Screate(H5S_SCALAR);
  REQUIRE(H5Dwrite(dataset, type, scalar, space, H5P_DEFAULT, &value) >= 0);
  H5Sclose(scalar);
  H5Sclose(space);
  H5Dclose(dataset);
}

/// What can be wrong with a run file, and what its refusal says of it.
struct Fault {
  const char* message;
  std::function<void(hid_t file)> make;
};

/// Writes the run once for each fault, makes the fault, and sees the reader refuse the file in one
/// line that names it and that no terminal obeys.
inline void check_each_is_refused(const std::vector<Fault>& faults, const RunFile& run) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "run.h5";
  for (const Fault& fault : faults) {
    std::filesystem::remove(path);
    write_run(path, run);
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    REQUIRE(file >= 0);
    fault.make(file);
    REQUIRE(H5Fclose(file) >= 0);
    CHECK_THROWS_WITH(read_run(path, Projections::read),
                      Catch::Contains(fault.message) && Catch::Contains(path.string()) &&
                          !Catch::Contains("\n") && !Catch::Contains("\x1b"));
  }
}

}  // namespace longshadow::test
