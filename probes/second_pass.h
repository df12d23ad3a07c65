#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/core/matrix.h"
#include "engine/model/full_pass.h"
#include "engine/policy/policy.h"

namespace longshadow {

/// Runs each replay behind the first `context` positions of a full pass, whose cache stays as it
/// is, and gathers what LayerView::replayed shows: on the host, by layer, [H, context]. All of a
/// replay's rows go through the layers at once. Throws UsageError where a replay does not fit the
/// context, the vocabulary or the positions that the model can read, and Interrupted.
template <class Device, class T>
std::vector<Matrix<double>> run_second_pass(Device& device, const Weights<T>& weights,
                                            const FullPass<T>& full, std::size_t context,
                                            std::span<const Replay> replays, Replayed wanted);

}  // namespace longshadow
