#include "probes/gather/entropy_head.h"

#include <span>

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/tile_product.h"
#include "engine/core/range.h"

namespace longshadow {
namespace {

/// Whether products of bytes may choose the likeliest tokens.
template <class Device, class T>
constexpr bool kScreens = false;
template <>
constexpr bool kScreens<Cpu, float> = true;

}  // namespace

template <class Device, class T>
EntropyHead<Device, T>::EntropyHead(Device& device, const Weights<T>& weights) : weights_(weights) {
  if constexpr (kScreens<Device, T>) {
    if (has_byte_products()) screening_.emplace(device, weights.head.output);
  }
}

template <class Device, class T>
std::vector<float> EntropyHead<Device, T>::entropies(Device& device, const FullPass<T>& full,
                                                     std::size_t n, std::size_t k) const {
  std::vector<float> entropies(n);
  const MatrixView<const T> hidden = full.hidden.view().row_range(0, round_up(n, kRowTile));
  if constexpr (kScreens<Device, T>) {
    if (screening_) {
      screened_entropies_of_top_k(device, hidden, weights_.head.output, *screening_, k,
                                  std::span(entropies));
      return entropies;
    }
  }
  entropies_of_top_k(device, hidden, weights_.head.packed_output, k, std::span(entropies));
  return entropies;
}

template class EntropyHead<Cpu, float>;
template class EntropyHead<Cpu, double>;
template class EntropyHead<Cuda, float>;
template class EntropyHead<Cuda, double>;

}  // namespace longshadow
