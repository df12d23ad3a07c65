#pragma once

#include <span>

#include "engine/model/full_pass.h"
#include "engine/model/weights.h"
#include "engine/ops/common/paired_rows.h"

namespace longshadow {

/// KL(full || other) in nats for every row of every stream, from the other pass's last hidden
/// states after the final norm, `hidden` [rows + kRowTile, D], which become their difference to the
/// full pass's; kl_nats [rows + kRowTile] is written at the streams' rows.
void kl_from_full(Device& device, const Weights& weights, const FullPass& full,
                  std::span<const PairedRows> streams, TensorView hidden,
                  std::span<double> kl_nats);

}  // namespace longshadow
