#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/kv/kept_slots.h"
#include "engine/model/checkpoint.h"
#include "engine/model/full_pass.h"
#include "engine/policy/policy.h"
#include "engine/policy/policy_options.h"
#include "probes/measured_influence.h"
#include "probes/policy_inputs.h"
#include "probes/progress.h"

namespace longshadow {

using Policies = std::vector<std::unique_ptr<Policy>>;

/// A policy and the share of the slots that it may keep.
struct PolicyAtShare {
  std::size_t policy;  ///< an index of the policies
  double share;        ///< in (0, 1]
};

/// The model as policies' files must fit it, which must outlive what is returned.
PolicyModel policy_model(const Checkpoint& checkpoint);

/// The policies that make_policy() reads, in their order, each protecting at least `n_sinks` first
/// tokens. Throws as make_policy() does.
Policies make_policies(std::span<const std::string> texts, std::size_t n_sinks,
                       const PolicyModel& model);

std::vector<PolicyTraits> traits_of(const Policies& policies);

/// Whether one of them looks at all queries of the context, for which there must be memory.
bool need_queries(const Policies& policies);

/// SHA-256 of the files that policies read, in their order: what a run's values depend on.
std::vector<std::string> files_of(const Policies& policies);

/// What policies keep of a context's cache, [choices][L]: `choices` are policies at shares. The
/// full pass is the one that `inputs` observed; `influence` may be empty where no policy looks at
/// it. Throws Interrupted between policies.
template <class Device, class T>
std::vector<std::vector<KeptSlots>> choose_slots(const Policies& policies,
                                                 std::span<const PolicyAtShare> choices,
                                                 const FullPass<T>& full,
                                                 PolicyInputs<Device, T>& inputs,
                                                 const MeasuredInfluence& influence,
                                                 std::uint64_t seed, Progress& progress);

}  // namespace longshadow
