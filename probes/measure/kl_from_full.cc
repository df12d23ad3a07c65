#include "probes/measure/kl_from_full.h"

#include "engine/backend/device.h"
#include "engine/ops/common/rows.h"
#include "engine/ops/divergence/kl_divergence.h"

namespace longshadow {

void kl_from_full(Device& device, const Weights& weights, const FullPass& full,
                  std::span<const PairedRows> streams, TensorView hidden,
                  std::span<double> kl_nats) {
  for (const PairedRows& stream : streams) {
    subtract_rows(device, full.hidden.view().row_range(stream.full_row, stream.n_rows),
                  hidden.row_range(stream.first_row, stream.n_rows));
  }
  kl_divergence(device,
                OutputWeightsView{weights.head.output, weights.head.packed_output,
                                  weights.head.packed_output, weights.head.logit_cap},
                FullPredictionsView{full.hidden.view(), full.log_normalisers, full.likeliest},
                hidden, streams, kl_nats);
}

}  // namespace longshadow
