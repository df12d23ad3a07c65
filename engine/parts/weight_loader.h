#pragma once

#include <cstddef>
#include <map>
#include <numeric>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/backend/transfer.h"
#include "engine/config/config.h"
#include "engine/core/matrix.h"
#include "engine/ops/common/rounding.h"
#include "engine/parts/weight_name.h"

namespace longshadow {

/// Something that has every tensor of a model.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual const ModelConfig& config() const = 0;
  /// The tensor as f32 [rows, cols]; out.size() must be rows * cols. Throws Error, also where a
  /// value is not finite.
  virtual void read(const WeightName& weight, std::span<float> out) const = 0;
};

/// Which side of a matrix consists of heads: its tiles then hold whole ones.
enum class HeadSide { none, outputs, inputs };

/// Reads a model's tensors and brings them into the form that a device wants: vectors in T,
/// matrices packed for products in P.
template <class Device, class T, class P>
class WeightLoader {
 public:
  WeightLoader(Device& device, const WeightSource& source, std::span<const WeightName> table)
      : device_(device), source_(source) {
    for (const WeightName& name : table) names_.emplace(std::pair(name.kind, name.layer), name);
  }

  Device& device() const { return device_; }

  /// [rows, cols], or [0, 0] where the model has no such tensor.
  Matrix<T> plain(WeightKind kind, std::size_t layer = 0) const {
    const auto found = names_.find({kind, layer});
    return found == names_.end() ? Matrix<T>() : on_device(device_, read<T>(found->second));
  }

  PackedWeights<P> packed(WeightKind kind, std::size_t layer, HeadSide heads) const {
    const WeightName& name = names_.at({kind, layer});
    if constexpr (std::is_same_v<Device, Cuda> && std::is_same_v<P, float>) {
      if (source_.config().bf16_layers) {
        return PackedWeights<float>::kept_in_bf16(on_device(device_, read<BF16>(name)));
      }
    }
    return pack(device_, on_device(device_, read<P>(name)), multiple(heads == HeadSide::outputs));
  }

  /// For products that carry gradients from outputs to inputs: dx = dy W is linear(dy, Wᵀ).
  PackedWeights<P> transposed(WeightKind kind, std::size_t layer, HeadSide heads) const {
    const Matrix<P> plain = read<P>(names_.at({kind, layer}));
    Matrix<P> turned(Cpu::memory(), plain.cols(), plain.rows());
    for (std::size_t r = 0; r < plain.rows(); ++r) {
      for (std::size_t c = 0; c < plain.cols(); ++c) turned.row(c)[r] = plain.row(r)[c];
    }
    return pack(device_, on_device(device_, std::move(turned)),
                multiple(heads == HeadSide::inputs));
  }

 private:
  /// Outputs come in tiles that hold a multiple of so many.
  std::size_t multiple(bool whole_heads) const {
    return whole_heads ? std::lcm(source_.config().head_dim, kOutputMultiple) : kOutputMultiple;
  }

  template <class Element>
  Matrix<Element> read(const WeightName& name) const {
    Matrix<Element> matrix(Cpu::memory(), name.rows, name.cols);
    const std::size_t size = name.rows * name.cols;
    if constexpr (std::is_same_v<Element, float>) {
      source_.read(name, {matrix.data(), size});
    } else {
      std::vector<float> values(size);
      source_.read(name, values);
      for (std::size_t i = 0; i < size; ++i) {
        if constexpr (std::is_same_v<Element, BF16>) {
          matrix.data()[i] = to_bf16(values[i]);
        } else {
          matrix.data()[i] = static_cast<Element>(values[i]);
        }
      }
    }
    return matrix;
  }

  Device& device_;
  const WeightSource& source_;
  std::map<std::pair<WeightKind, std::size_t>, WeightName> names_;
};

}  // namespace longshadow
