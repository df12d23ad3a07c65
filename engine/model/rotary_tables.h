#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "engine/ops/projection/rotary.h"

namespace longshadow {

/// The rotary tables of a model's layers, of which those that rotate alike share one.
class RotaryTables {
 public:
  /// For positions below `positions`; frequencies [L] of [d / 2], as layer_frequencies(); scales
  /// [L] as RotaryTable has them, or none: all 1.
  RotaryTables(Device& device, Element element, std::span<const std::vector<double>> frequencies,
               std::size_t positions, std::span<const double> scales = {}) {
    const auto scale = [&](std::size_t layer) { return scales.empty() ? 1.0 : scales[layer]; };
    std::vector<std::size_t> first_layers;  // of each table
    for (std::size_t layer = 0; layer < frequencies.size(); ++layer) {
      const auto same = std::ranges::find_if(first_layers, [&](std::size_t first) {
        return frequencies[first] == frequencies[layer] && scale(first) == scale(layer);
      });
      tables_of_layers_.push_back(static_cast<std::size_t>(same - first_layers.begin()));
      if (same != first_layers.end()) continue;
      first_layers.push_back(layer);
      tables_.push_back(
          make_rotary_table(device, element, frequencies[layer], positions, scale(layer)));
    }
  }

  const RotaryTable& of(std::size_t layer) const { return tables_[tables_of_layers_[layer]]; }

 private:
  std::vector<RotaryTable> tables_;
  std::vector<std::size_t> tables_of_layers_;  ///< [L]
};

}  // namespace longshadow
