#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <vector>

#include "data/format/descriptor.h"
#include "data/format/run_plan.h"

namespace longshadow {

// A journal keeps what one process measured of a shard before all of it is there: records of
//   magic "LSJ1", bytes of the payload (u32), unit (u64), payload (f64...), CRC-32 of all before it
// one behind the other, little-endian. A process writes journals of its own name only and none but
// reads them, so that a process that was taken for dead and is not can spoil nothing.

/// Values by unit.
using UnitValues = std::map<std::size_t, std::vector<double>>;

/// A new journal of the shard that will be `shard`.
class Journal {
 public:
  /// Throws FormatError where the file cannot be made.
  explicit Journal(const std::filesystem::path& shard);

  /// `values` [units, n]. Returns when the disk has them. Throws FormatError where it refuses.
  void append(std::span<const std::size_t> units, std::span<const double> values);

 private:
  Descriptor file_;
};

/// Of all journals of `shard` the records that are whole, of units in `units` with `n_values`
/// values. A record that a kill tore, and what follows it, is left out.
UnitValues replay_journals(const std::filesystem::path& shard, UnitRange units,
                           std::size_t n_values);

/// After the shard is published: nobody needs them.
void remove_journals(const std::filesystem::path& shard);

}  // namespace longshadow
