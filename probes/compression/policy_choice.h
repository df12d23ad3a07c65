#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint.h"
#include "engine/policy/policy.h"
#include "engine/policy/policy_options.h"

namespace longshadow {

using Policies = std::vector<std::unique_ptr<Policy>>;

/// The model as policies must know it, which must outlive what is returned.
PolicyModel policy_model(const Checkpoint& checkpoint);

/// The policies that make_policy() reads, in their order, each protecting at least `n_sinks` first
/// tokens. Throws as make_policy() does.
Policies make_policies(std::span<const std::string> texts, std::size_t n_sinks,
                       const PolicyModel& model);

std::vector<PolicyTraits> traits_of(const Policies& policies);

/// The policies, as a Compressor takes them.
std::vector<const Policy*> pointers_to(const Policies& policies);

/// Tells whether one of the policies looks at all queries of the context, for which there must be
/// memory.
bool need_queries(const Policies& policies);

/// SHA-256 of the files that policies read, in their order: what a run's values depend on.
std::vector<std::string> files_of(const Policies& policies);

}  // namespace longshadow
