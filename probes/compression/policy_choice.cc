#include "probes/compression/policy_choice.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "engine/core/error.h"
#include "engine/policies/registry.h"
#include "engine/tokenizer/tokenizer.h"

namespace longshadow {

namespace {

/// Where programs keep what can be made again.
std::filesystem::path cache_folder() {
  const auto of = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  const std::filesystem::path cache = of("XDG_CACHE_HOME");
  return (cache.is_absolute() ? cache : std::filesystem::path(of("HOME")) / ".cache") /
         "longshadow";
}

/// Says what makes a learnt file, as PolicyModel::recipe does.
std::string how_to_learn(const std::string& ranking) {
  return "longshadow probe --method sketch --detail head --document A.txt B.txt -o by_head.h5, "
         "then longshadow learn " +
         (ranking.empty() ? "ranking by_head.h5" : "budgets by_head.h5 --ranking " + ranking);
}

}  // namespace

PolicyModel policy_model(const Checkpoint& checkpoint) {
  return {checkpoint.config().n_layers,
          checkpoint.config().n_kv_heads,
          [&checkpoint] { return checkpoint.weights_sha256(); },
          cache_folder(),
          how_to_learn,
          [&checkpoint](std::string_view text) {
            std::vector<TokenId> ids;
            for (const Token& token : checkpoint.tokenizer().encode(text, SpecialTokens::as_text)) {
              ids.push_back(token.id);
            }
            return ids;
          }};
}

Policies make_policies(std::span<const std::string> texts, std::size_t n_sinks,
                       const PolicyModel& model) {
  Policies policies;
  for (const std::string& text : texts) {
    policies.push_back(make_policy(text, model));
    policies.back()->protect_sinks(n_sinks);
  }
  return policies;
}

std::vector<PolicyTraits> traits_of(const Policies& policies) {
  std::vector<PolicyTraits> traits;
  for (const auto& policy : policies) traits.push_back(policy->traits());
  return traits;
}

std::vector<const Policy*> pointers_to(const Policies& policies) {
  std::vector<const Policy*> pointers;
  for (const auto& policy : policies) pointers.push_back(policy.get());
  return pointers;
}

bool need_queries(const Policies& policies) {
  return std::any_of(policies.begin(), policies.end(),
                     [](const auto& policy) { return policy->traits().queries; });
}

std::vector<std::string> files_of(const Policies& policies) {
  std::vector<std::string> files;
  for (const auto& policy : policies) {
    const std::vector<std::string>& read = policy->traits().files_sha256;
    files.insert(files.end(), read.begin(), read.end());
  }
  return files;
}

}  // namespace longshadow
