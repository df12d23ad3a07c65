#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/policy/policy.h"
#include "engine/policy/policy_options.h"

namespace longshadow {

/// The policy that `text` describes: a name, its options after a colon, and after a slash the
/// policy that a wrapper scores by: "snapkv", "infokv:alpha=0.8,entropy=at",
/// "adakv:alpha=0.1/expected-attention", "budgets:FILE/h2o". A wrapper with nothing after it wraps
/// snapkv. Files are read for `model`. Throws UsageError; for an unknown name or option it suggests
/// the nearest; and Error where a file is malformed.
std::unique_ptr<Policy> make_policy(std::string_view text, const PolicyModel& model = {});

/// Every name, wrappers last.
std::vector<std::string_view> policy_names();

}  // namespace longshadow
