#include "engine/parts/feed_forward.h"

#include <span>

#include "engine/backend/cuda/cuda.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/feed_forward/gated_linear_delta.h"
#include "engine/ops/feed_forward/silu_gate.h"
#include "engine/ops/feed_forward/silu_gate_backward.h"
#include "engine/ops/projection/add_bias.h"
#include "engine/ops/projection/linear.h"

namespace longshadow {

template <class T>
template <class Device>
FeedForwardActivations<T>::FeedForwardActivations(Device& device, const ModelConfig& config,
                                                  std::size_t rows)
    : gate(device.memory(), rows, config.feed_forward_size),
      up(device.memory(), rows, config.feed_forward_size),
      gated(device.memory(), rows, config.feed_forward_size) {}

template <class T>
template <class Device>
FeedForwardTape<T>::FeedForwardTape(Device& device, const ModelConfig& config, std::size_t rows)
    : residual(device.memory(), rows, config.hidden_size),
      gate(device.memory(), rows, config.feed_forward_size),
      up(device.memory(), rows, config.feed_forward_size) {}

template <class T>
template <class Device>
void FeedForwardTape<T>::keep(Device& device, const KeptRows& rows,
                              const FeedForwardActivations<T>& from) {
  keep_rows(device, rows, from.gate.view(), gate);
  keep_rows(device, rows, from.up.view(), up);
}

template <class T>
template <class Device>
FeedForward<T>::FeedForward(const WeightLoader<Device, T, T>& load, const ModelConfig& config,
                            std::size_t layer)
    : norm_{load.plain(WeightKind::feed_forward_norm, layer), config.norm_epsilon},
      gate_bias_(load.plain(WeightKind::gate_bias, layer)),
      up_bias_(load.plain(WeightKind::up_bias, layer)),
      down_bias_(load.plain(WeightKind::down_bias, layer)) {}

template <class T>
void FeedForward<T>::add_names(const ModelConfig& config, LayerNames& names) {
  using enum WeightKind;
  const std::size_t hidden = config.hidden_size, inner = config.feed_forward_size;
  names.add(feed_forward_norm, 1, hidden, "ffn_norm.weight", "post_attention_layernorm.weight");
  names.add(gate, inner, hidden, "ffn_gate.weight", "mlp.gate_proj.weight");
  names.add(up, inner, hidden, "ffn_up.weight", "mlp.up_proj.weight");
  names.add(down, hidden, inner, "ffn_down.weight", "mlp.down_proj.weight");
  if (config.feed_forward_bias) {
    names.add(gate_bias, 1, inner, "ffn_gate.bias", "mlp.gate_proj.bias");
    names.add(up_bias, 1, inner, "ffn_up.bias", "mlp.up_proj.bias");
    names.add(down_bias, 1, hidden, "ffn_down.bias", "mlp.down_proj.bias");
  }
}

template <class T>
PartSize FeedForward<T>::size(const ModelConfig& config) {
  const std::size_t hidden = config.hidden_size, inner = config.feed_forward_size;
  return {.matrices = 3 * hidden * inner,
          .tape = hidden + 2 * inner,
          .forward = 3 * inner,
          .delta = 0,
          .delta_products = inner,
          .gradients = 3 * inner};
}

template <class T>
template <class Device>
void FeedForward<T>::forward(Device& device, const FeedForwardMatrices<T>& matrices,
                             MatrixView<T> normed, FeedForwardActivations<T>& s,
                             MatrixView<T> x) const {
  const MatrixView<T> gate = rows_of(s.gate, x.rows);
  const MatrixView<T> up = rows_of(s.up, x.rows);
  const MatrixView<T> gated = rows_of(s.gated, x.rows);

  norm_.forward(device, x, normed);
  linear(device, MatrixView<const T>(normed), matrices.gate, gate);
  add_bias(device, gate_bias_.view(), gate);
  linear(device, MatrixView<const T>(normed), matrices.up, up);
  add_bias(device, up_bias_.view(), up);
  silu_gate(device, MatrixView<const T>(gate), MatrixView<const T>(up), gated);
  linear(device, MatrixView<const T>(gated), matrices.down, x, Write::add);
  add_bias(device, down_bias_.view(), x);
}

template <class T>
template <class Device, class P>
void FeedForward<T>::delta(Device& device, const FeedForwardMatrices<P>& matrices,
                           const DeltaBatch& batch, const FeedForwardTape<T>& tape,
                           MatrixView<P> dnormed, FeedForwardChanges<P>& s,
                           MatrixView<T> dx) const {
  const std::span<const PairedRows> pairs(batch.tape_rows);
  const MatrixView<P> dgated = rows_of(s.gated, dx.rows);

  norm_.delta(device, tape.residual.view(), dx, pairs, dnormed);
  gated_linear_delta(
      device, MatrixView<const P>(dnormed),
      GatedLinear<T, P>{matrices.gate, matrices.up, tape.gate.view(), tape.up.view()}, pairs,
      dgated);
  linear(device, MatrixView<const P>(dgated), matrices.down, dx, Write::add);
}

template <class T>
template <class Device, class P>
void FeedForward<T>::backward(Device& device, const FeedForwardMatrices<P>& transposed,
                              const GradientBatch& batch, const FeedForwardTape<T>& tape,
                              MatrixView<P> rounded, MatrixView<T> dnormed,
                              FeedForwardGradients<T, P>& s, MatrixView<T> dx) const {
  const std::span<const PairedRows> pairs(batch.tape_rows);
  const MatrixView<T> dgated = rows_of(s.gated, dx.rows);
  const MatrixView<P> dgate = rows_of(s.gate, dx.rows);
  const MatrixView<P> dup = rows_of(s.up, dx.rows);

  linear(device, rounded_rows(device, MatrixView<const T>(dx), rounded), transposed.down, dgated);
  silu_gate_backward(device, tape.gate.view(), tape.up.view(), MatrixView<const T>(dgated), pairs,
                     dgate, dup);
  linear(device, MatrixView<const P>(dgate), transposed.gate, dnormed);
  linear(device, MatrixView<const P>(dup), transposed.up, dnormed, Write::add);
  norm_.backward(device, tape.residual.view(), dnormed, pairs, dx);
}

template class FeedForward<float>;
template class FeedForward<double>;

#define LONGSHADOW_INSTANTIATE(Device, T)                                                      \
  template FeedForwardActivations<T>::FeedForwardActivations(Device&, const ModelConfig&,      \
                                                             std::size_t);                     \
  template FeedForwardTape<T>::FeedForwardTape(Device&, const ModelConfig&, std::size_t);      \
  template void FeedForwardTape<T>::keep(Device&, const KeptRows&,                             \
                                         const FeedForwardActivations<T>&);                    \
  template FeedForward<T>::FeedForward(const WeightLoader<Device, T, T>&, const ModelConfig&,  \
                                       std::size_t);                                           \
  template void FeedForward<T>::forward(Device&, const FeedForwardMatrices<T>&, MatrixView<T>, \
                                        FeedForwardActivations<T>&, MatrixView<T>) const;
LONGSHADOW_INSTANTIATE(Cpu, float)
LONGSHADOW_INSTANTIATE(Cpu, double)
LONGSHADOW_INSTANTIATE(Cuda, float)
LONGSHADOW_INSTANTIATE(Cuda, double)
#undef LONGSHADOW_INSTANTIATE

#define LONGSHADOW_INSTANTIATE(Device, T, P)                                                     \
  template void FeedForward<T>::delta(Device&, const FeedForwardMatrices<P>&, const DeltaBatch&, \
                                      const FeedForwardTape<T>&, MatrixView<P>,                  \
                                      FeedForwardChanges<P>&, MatrixView<T>) const;              \
  template void FeedForward<T>::backward(                                                        \
      Device&, const FeedForwardMatrices<P>&, const GradientBatch&, const FeedForwardTape<T>&,   \
      MatrixView<P>, MatrixView<T>, FeedForwardGradients<T, P>&, MatrixView<T>) const;
LONGSHADOW_INSTANTIATE(Cpu, float, float)
LONGSHADOW_INSTANTIATE(Cpu, float, BF16)
LONGSHADOW_INSTANTIATE(Cpu, double, double)
LONGSHADOW_INSTANTIATE(Cuda, float, float)
LONGSHADOW_INSTANTIATE(Cuda, float, BF16)
LONGSHADOW_INSTANTIATE(Cuda, double, double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
