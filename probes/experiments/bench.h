#pragma once

#include <cstddef>

#include "engine/checkpoint/checkpoint.h"
#include "probes/cost/memory_plan.h"

namespace longshadow {

struct BenchOptions {
  std::size_t context;   ///< T
  std::size_t horizon;   ///< H
  std::size_t subjects;  ///< counterfactuals of one round
  Precision precision;
  Method method;
};

/// One phase: how many tokens or counterfactuals a second, its matrix products' FLOP/s (the causal
/// half of attention, no padding), and their share of the peak. Medians over the rounds.
struct PhaseRate {
  double per_second;
  double flops_per_second;
  double share_of_peak;
};

struct BenchResult {
  double full_peak_flops_per_second;   ///< products in the full pass's precision
  double delta_peak_flops_per_second;  ///< products in the counterfactuals' precision
  PhaseRate prefill;                   ///< T tokens to keys, values and the last distribution
  PhaseRate full_pass;                 ///< T + H tokens, with every distribution and the tape
  PhaseRate counterfactuals;
};

/// Times the phases on random tokens. The peak is that of products with one layer's feed-forward
/// weights, as the device runs them; it takes turns with the phases, so that both meet the
/// same mood of the machine.
BenchResult run_bench(Device& device, const Checkpoint& checkpoint, const BenchOptions& options);

}  // namespace longshadow
