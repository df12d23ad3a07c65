#include "engine/parts/weight_loader.h"

#include <algorithm>
#include <numeric>
#include <type_traits>
#include <vector>

#include "engine/backend/transfer.h"
#include "engine/ops/common/rounding.h"

namespace longshadow {

WeightLoader::WeightLoader(Device& device, const WeightSource& source,
                           std::span<const WeightName> table, const PassElements& elements)
    : device_(device), source_(source), elements_(elements) {
  for (const WeightName& name : table) {
    names_.emplace(std::pair(LayerWeight(name.kind, name.expert), name.layer), name);
  }
}

Tensor WeightLoader::plain(WeightKind kind, std::size_t layer) const {
  const auto found = names_.find({kind, layer});
  if (found == names_.end()) return Tensor(host_memory(), elements_.activations, 0, 0);
  return on_device(device_, read(found->second, elements_.activations));
}

Tensor WeightLoader::norm_weight(WeightKind kind, std::size_t layer) const {
  const auto found = names_.find({kind, layer});
  if (found == names_.end() || !source_.config().norm_weights_less_1) return plain(kind, layer);
  Tensor weight = read(found->second, elements_.activations);
  with_element<double, float>("WeightLoader", weight.element(), [&]<class T>() {
    T* const values = weight.view().as<T>().data;
    std::for_each(values, values + weight.cols(), [](T& value) { value += 1; });
  });
  return on_device(device_, std::move(weight));
}

PackedWeights WeightLoader::packed(LayerWeight weight, std::size_t layer, HeadSide heads) const {
  const WeightName& name = names_.at({weight, layer});
  if (elements_.products == Element::f32 && device_.kind() != DeviceKind::cpu &&
      source_.config().bf16_layers && weight.kind != WeightKind::router) {
    return PackedWeights::kept_in_bf16(on_device(device_, read(name, Element::bf16)));
  }
  return pack(device_, on_device(device_, read(name, elements_.products)),
              multiple(heads == HeadSide::outputs));
}

PackedWeights WeightLoader::transposed(LayerWeight weight, std::size_t layer,
                                       HeadSide heads) const {
  const Tensor plain = read(names_.at({weight, layer}), elements_.products);
  Tensor turned(host_memory(), plain.element(), plain.cols(), plain.rows());
  with_element<double, float, BF16>("WeightLoader", plain.element(), [&]<class P>() {
    const MatrixView<const P> from = plain.view().as<P>();
    const MatrixView<P> to = turned.view().as<P>();
    for (std::size_t r = 0; r < from.rows; ++r) {
      for (std::size_t c = 0; c < from.cols; ++c) to.row(c)[r] = from.row(r)[c];
    }
  });
  return pack(device_, on_device(device_, std::move(turned)), multiple(heads == HeadSide::inputs));
}

std::size_t WeightLoader::multiple(bool whole_heads) const {
  return whole_heads ? std::lcm(source_.config().head_dim, kOutputMultiple) : kOutputMultiple;
}

Tensor WeightLoader::read(const WeightName& name, Element element) const {
  Tensor matrix(host_memory(), element, name.rows, name.cols);
  const std::size_t size = name.rows * name.cols;
  if (element == Element::f32) {
    source_.read(name, {matrix.view().as<float>().data, size});
    return matrix;
  }
  std::vector<float> values(size);
  source_.read(name, values);
  with_element<double, BF16>("WeightLoader", element, [&]<class P>() {
    std::transform(values.begin(), values.end(), matrix.view().as<P>().data, [](float value) {
      if constexpr (std::is_same_v<P, BF16>) {
        return to_bf16(value);
      } else {
        return static_cast<P>(value);
      }
    });
  });
  return matrix;
}

}  // namespace longshadow
