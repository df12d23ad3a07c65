#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/model/full_pass.h"
#include "engine/ops/common/paired_rows.h"
#include "engine/ops/experts/routing.h"
#include "probes/measure/counterfactual.h"

namespace longshadow {

/// The rows of counterfactuals, `horizon` each, beside their positions in the text.
std::vector<PairedRows> text_rows_of(std::span<const Counterfactual> batch, std::size_t horizon);

/// Writes column `layer` of rerouted [text_rows.size(), L], unless that is empty: the share of each
/// counterfactual's rows whose routes are to other experts than the full pass's.
void share_of_rerouted(const FullPass& full, std::size_t layer, const Routes& routes,
                       std::span<const PairedRows> text_rows, std::span<double> rerouted);

}  // namespace longshadow
