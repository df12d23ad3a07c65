#include "engine/model/output_gram.h"

#include <algorithm>
#include <utility>

#include "engine/backend/device.h"
#include "engine/backend/tile_product.h"
#include "engine/backend/transfer.h"
#include "engine/core/require.h"
#include "engine/ops/projection/linear.h"

namespace longshadow {
namespace {

/// Wᵀ [in, out] on the host: the products of unit rows with the weights, which are exact.
Matrix<float> transposed(Device& device, const PackedWeights& weights) {
  Matrix<float> by_input(host_memory(), weights.inputs(), weights.outputs());
  Tensor products(device.memory(), weights.element(), kRowTile, weights.outputs());
  for (std::size_t first = 0; first < weights.inputs(); first += kRowTile) {
    const std::size_t count = std::min(kRowTile, weights.inputs() - first);
    Tensor units(host_memory(), weights.element(), kRowTile, weights.inputs());
    with_element<double, float>("output_grams", units.element(), [&]<class T>() {
      const MatrixView<T> rows = units.view().as<T>();
      for (std::size_t r = 0; r < count; ++r) rows.row(r)[first + r] = 1;
    });
    const Tensor there = on_device(device, std::move(units));
    linear(device, there.view(), weights, products.view());
    copy_to_host(device, products.view().row_range(0, count),
                 by_input.view().row_range(first, count));
  }
  return by_input;
}

}  // namespace

std::vector<Matrix<float>> output_grams(Device& device, const Weights& weights, std::size_t group) {
  require_divisor("output_grams", "group", group, weights.config.group_size());
  const ModelConfig& config = weights.config;
  const std::size_t d = config.head_dim;
  std::vector<Matrix<float>> grams;
  for (const LayerMatrices& layer : weights.matrices) {
    const Matrix<float> by_input = transposed(device, layer.attention.output);
    Matrix<float>& gram = grams.emplace_back(host_memory(), config.n_heads / group * d, d);
    for (std::size_t head = 0; head < config.n_heads; ++head) {
      const MatrixView<const float> of_head = by_input.view().row_range(head * d, d);
      tile_product<float, float>(of_head, of_head, RightFactor::by_output,
                                 gram.view().row_range(head / group * d, d), head % group != 0);
    }
    const auto share = 1 / static_cast<float>(group);
    std::for_each(gram.data(), gram.data() + gram.rows() * d, [&](float& x) { x *= share; });
  }
  return grams;
}

}  // namespace longshadow
