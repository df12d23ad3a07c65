#pragma once

#include <cstddef>
#include <optional>

#include "engine/kv/packed_rows.h"

namespace longshadow {

class OptionSet;

/// In how many bits the cache is kept.
struct QuantizationOptions {
  std::size_t bits = 0;    ///< of an element; 0: as computed
  std::size_t group = 64;  ///< elements that share a scale

  /// Adds --kv-bits and --kv-group.
  void declare(OptionSet& options);

  /// Empty where no bits are given. Throws UsageError as check_quantization() does.
  std::optional<Quantization> quantization(const OptionSet& options) const;
};

}  // namespace longshadow
