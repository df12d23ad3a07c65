#include "probes/gather/entropy_head.h"

#include <span>

#include "engine/backend/cpu.h"
#include "engine/backend/tile_product.h"
#include "engine/core/range.h"

namespace longshadow {

EntropyHead::EntropyHead(Device& device, const Weights& weights) : weights_(weights) {
  if (device.kind() == DeviceKind::cpu && weights.element() == Element::f32 &&
      has_byte_products()) {
    screening_.emplace(cpu_of(device), weights.head.output.as<float>());
  }
}

std::vector<float> EntropyHead::entropies(Device& device, const FullPass& full, std::size_t n,
                                          std::size_t k) const {
  std::vector<float> entropies(n);
  const ConstTensorView hidden = full.hidden.view().row_range(0, round_up(n, kRowTile));
  if (screening_) {
    screened_entropies_of_top_k(cpu_of(device), hidden.as<float>(),
                                weights_.head.output.as<float>(), *screening_,
                                weights_.head.logit_cap, k, entropies);
  } else {
    entropies_of_top_k(device, hidden, weights_.head.packed_output, weights_.head.logit_cap, k,
                       entropies);
  }
  return entropies;
}

}  // namespace longshadow
