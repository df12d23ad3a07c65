#include "probes/kl_from_full.h"

#include "engine/ops/kl_divergence.h"
#include "engine/ops/rows.h"

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
                OutputWeights<T, T>{weights.output(), weights.packed_output, weights.packed_output},
                FullPredictions<T>{full.hidden.view(), full.log_normalisers, full.likeliest},
                MatrixView<const T>(hidden), streams, kl_nats);
}

template void kl_from_full(Cpu&, const Weights<float>&, const FullPass<float>&,
                           std::span<const PairedRows>, MatrixView<float>, std::span<double>);
template void kl_from_full(Cpu&, const Weights<double>&, const FullPass<double>&,
                           std::span<const PairedRows>, MatrixView<double>, std::span<double>);

}  // namespace longshadow
