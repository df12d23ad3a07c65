#pragma once

#include <memory>

#include "engine/policy/policy.h"
#include "engine/policy/policy_options.h"

/// The factories of the policies that read what `longshadow learn` wrote for a model.
namespace longshadow {

/// In learned.cc: scores by a ranking file.
std::unique_ptr<Policy> make_learned(PolicyOptions& options);

/// In head_budgets.cc: slots for each head by a budgets file, to the scores of another policy.
std::unique_ptr<Policy> make_head_budgets(PolicyOptions& options, std::unique_ptr<Policy> scorer);

}  // namespace longshadow
