#include "probes/entropy_head.h"

#include <span>
#include <type_traits>

#include "engine/backend/tile_product.h"
#include "engine/core/range.h"

namespace longshadow {

template <class T>
EntropyHead<T>::EntropyHead(Cpu& cpu, const Weights<T>& weights) : weights_(weights) {
  if constexpr (std::is_same_v<T, float>) {
    if (has_byte_products()) screening_.emplace(cpu, weights.output());
  }
}

template <class T>
std::vector<float> EntropyHead<T>::entropies(Cpu& cpu, const FullPass<T>& full, std::size_t n,
                                             std::size_t k) const {
  std::vector<float> entropies(n);
  const MatrixView<const T> hidden = full.hidden.view().row_range(0, round_up(n, kRowTile));
  if constexpr (std::is_same_v<T, float>) {
    if (screening_) {
      screened_entropies_of_top_k(cpu, hidden, weights_.output(), *screening_, k,
                                  std::span(entropies));
      return entropies;
    }
  }
  entropies_of_top_k(cpu, hidden, weights_.packed_output, k, std::span(entropies));
  return entropies;
}

template class EntropyHead<float>;
template class EntropyHead<double>;

}  // namespace longshadow
