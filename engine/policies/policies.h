#pragma once

#include <memory>

#include "engine/policy/policy.h"
#include "engine/policy/policy_options.h"

/// The policies' factories, each in the file of its policy, which names the paper and the options.
/// registry.cc gives them their names. Those that read a learnt file are in learned.h.
namespace longshadow {

std::unique_ptr<Policy> make_full(PolicyOptions& options);
std::unique_ptr<Policy> make_random(PolicyOptions& options);
std::unique_ptr<Policy> make_streaming_llm(PolicyOptions& options);
std::unique_ptr<Policy> make_h2o(PolicyOptions& options);
std::unique_ptr<Policy> make_snapkv(PolicyOptions& options);
std::unique_ptr<Policy> make_pyramidkv(PolicyOptions& options);
std::unique_ptr<Policy> make_cake(PolicyOptions& options);
std::unique_ptr<Policy> make_dropkv(PolicyOptions& options);
std::unique_ptr<Policy> make_tova(PolicyOptions& options);
std::unique_ptr<Policy> make_knorm(PolicyOptions& options);
std::unique_ptr<Policy> make_keydiff(PolicyOptions& options);
std::unique_ptr<Policy> make_expected_attention(PolicyOptions& options);
std::unique_ptr<Policy> make_lagkv(PolicyOptions& options);
std::unique_ptr<Policy> make_infokv(PolicyOptions& options);
std::unique_ptr<Policy> make_oracle(PolicyOptions& options);
std::unique_ptr<Policy> make_rpc(PolicyOptions& options);

/// Wrappers take the policy whose scores they select by.
std::unique_ptr<Policy> make_adakv(PolicyOptions& options, std::unique_ptr<Policy> scorer);
std::unique_ptr<Policy> make_chunkkv(PolicyOptions& options, std::unique_ptr<Policy> scorer);
std::unique_ptr<Policy> make_key_rotation(PolicyOptions& options, std::unique_ptr<Policy> scorer);

}  // namespace longshadow
