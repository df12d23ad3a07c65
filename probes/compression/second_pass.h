#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/matrix.h"
#include "engine/model/full_pass.h"
#include "engine/policy/policy.h"

namespace longshadow {

/// Throws UsageError where a replay that the policy asks for behind these tokens does not fit the
/// context, the vocabulary or the positions that the model can read.
void check_second_pass(const Policy& policy, std::span<const std::int32_t> context,
                       const ModelConfig& config);

/// Runs each replay behind the first `context` positions of a full pass, whose cache stays as it
/// is, and gathers what LayerView::replayed shows: on the host, by layer, [H, context]. All of a
/// replay's rows go through the layers at once. Throws as check_second_pass() does, and
/// Interrupted.
std::vector<Matrix<double>> run_second_pass(Device& device, const Weights& weights,
                                            const FullPass& full, std::size_t context,
                                            std::span<const Replay> replays, Replayed wanted);

}  // namespace longshadow
