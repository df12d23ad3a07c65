#include "probes/measure/kl_from_full.h"

#include "engine/backend/cuda/cuda.h"
#include "engine/ops/common/rows.h"
#include "engine/ops/divergence/kl_divergence.h"

namespace longshadow {

template <class Device, class T>
void kl_from_full(Device& device, const Weights<T>& weights, const FullPass<T>& full,
                  std::span<const PairedRows> streams, MatrixView<T> hidden,
                  std::span<double> kl_nats) {
  for (const PairedRows& stream : streams) {
    subtract_rows(device, full.hidden.view().row_range(stream.full_row, stream.n_rows),
                  hidden.row_range(stream.first_row, stream.n_rows));
  }
  kl_divergence(device,
                OutputWeights<T, T>{weights.head.output, weights.head.packed_output,
                                    weights.head.packed_output},
                FullPredictions<T>{full.hidden.view(), full.log_normalisers, full.likeliest},
                MatrixView<const T>(hidden), streams, kl_nats);
}

#define LONGSHADOW_INSTANTIATE(Device, T)                                    \
  template void kl_from_full(Device&, const Weights<T>&, const FullPass<T>&, \
                             std::span<const PairedRows>, MatrixView<T>, std::span<double>);
LONGSHADOW_INSTANTIATE(Cpu, float)
LONGSHADOW_INSTANTIATE(Cpu, double)
LONGSHADOW_INSTANTIATE(Cuda, float)
LONGSHADOW_INSTANTIATE(Cuda, double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
