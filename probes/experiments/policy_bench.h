#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint.h"

namespace longshadow {

/// A prefill of T tokens to keys, values and the last distribution, with all that one policy looks
/// at, its choice in every layer and the compressed cache. Medians over rounds.
struct PolicyPrefill {
  std::string policy;  ///< empty: the prefill alone
  double seconds;
  double over_alone;  ///< share of the time that it takes beyond the prefill alone
  double over_first;  ///< beyond the first policy's
};

/// Times the prefill alone and with each policy in f32, in turns on random tokens, so that all meet
/// the same mood of the machine; `share` of the slots is kept. Throws UsageError as make_policy()
/// and check_prompt() do.
std::vector<PolicyPrefill> bench_policies(Device& device, const Checkpoint& checkpoint,
                                          std::size_t context,
                                          std::span<const std::string> policies, double share);

}  // namespace longshadow
