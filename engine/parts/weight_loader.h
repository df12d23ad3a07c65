#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <utility>

#include "engine/backend/device.h"
#include "engine/backend/packed_weights.h"
#include "engine/config/config.h"
#include "engine/core/tensor.h"
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

/// Reads a model's tensors and brings them into the form that a device wants: vectors in one type,
/// matrices packed for products in one, which may be another.
class WeightLoader {
 public:
  WeightLoader(Device& device, const WeightSource& source, std::span<const WeightName> table,
               const PassElements& elements);

  Device& device() const { return device_; }

  /// [rows, cols], or [0, 0] where the model has no such tensor.
  Tensor plain(WeightKind kind, std::size_t layer = 0) const;

  /// plain() of a norm's weight as rows are multiplied with it: where the file leaves out a 1, that
  /// is added in the activations' type.
  Tensor norm_weight(WeightKind kind, std::size_t layer = 0) const;

  PackedWeights packed(LayerWeight weight, std::size_t layer, HeadSide heads) const;

  /// For products that carry gradients from outputs to inputs: dx = dy W is linear(dy, Wᵀ).
  PackedWeights transposed(LayerWeight weight, std::size_t layer, HeadSide heads) const;

 private:
  /// Outputs come in tiles that hold a multiple of so many.
  std::size_t multiple(bool whole_heads) const;
  /// On the host.
  Tensor read(const WeightName& name, Element element) const;

  Device& device_;
  const WeightSource& source_;
  PassElements elements_;
  std::map<std::pair<LayerWeight, std::size_t>, WeightName> names_;
};

}  // namespace longshadow
