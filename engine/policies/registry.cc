#include "engine/policies/registry.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/policies/learned/learned.h"
#include "engine/policies/policies.h"
#include "engine/text/nearest_name.h"

namespace longshadow {
namespace {

template <class Make>
using Named = std::pair<std::string_view, Make>;

constexpr std::array<Named<std::unique_ptr<Policy> (*)(PolicyOptions&)>, 17> kScorers{{
    {"full", make_full},
    {"random", make_random},
    {"streaming-llm", make_streaming_llm},
    {"h2o", make_h2o},
    {"snapkv", make_snapkv},
    {"pyramidkv", make_pyramidkv},
    {"cake", make_cake},
    {"dropkv", make_dropkv},
    {"tova", make_tova},
    {"knorm", make_knorm},
    {"keydiff", make_keydiff},
    {"expected-attention", make_expected_attention},
    {"lagkv", make_lagkv},
    {"infokv", make_infokv},
    {"oracle", make_oracle},
    {"learned", make_learned},
    {"rpc", make_rpc},
}};

constexpr std::array<Named<std::unique_ptr<Policy> (*)(PolicyOptions&, std::unique_ptr<Policy>)>, 4>
    kWrappers{{
        {"adakv", make_adakv},
        {"budgets", make_head_budgets},
        {"chunkkv", make_chunkkv},
        {"key-rotation", make_key_rotation},
    }};

constexpr std::string_view kWrappedByDefault = "snapkv";

/// nullptr where the table has no such name.
template <class Table>
auto find(const Table& table, std::string_view name) -> decltype(table[0].second) {
  for (const auto& [known, make] : table) {
    if (known == name) return make;
  }
  return nullptr;
}

void refuse_unknown_name(std::string_view name) {
  const std::vector<std::string_view> names = policy_names();
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  throw UsageError("unknown policy \"" + std::string(name) + "\"; did you mean " +
                   std::string(nearest_name(name, names)) + "? There are " + comma_list(names));
}

/// The slash behind which the wrapped policy stands: the first one with a name of a policy behind
/// it, as a file's path has others; npos where there is none.
std::size_t find_wrapped(std::string_view text) {
  std::size_t slash = text.find('/');
  const std::size_t first = slash;
  for (; slash != std::string_view::npos; slash = text.find('/', slash + 1)) {
    const std::string_view rest = text.substr(slash + 1);
    const std::string_view name = rest.substr(0, rest.find_first_of(":/"));
    if (find(kScorers, name) != nullptr || find(kWrappers, name) != nullptr) return slash;
  }
  return text.find(':') < first ? std::string_view::npos : first;
}

}  // namespace

std::unique_ptr<Policy> make_policy(std::string_view text, const PolicyModel& model) {
  const std::size_t slash = find_wrapped(text);
  const std::string_view outer = text.substr(0, slash);
  const std::size_t colon = outer.find(':');
  const std::string_view name = outer.substr(0, colon);
  refuse_unknown_name(name);
  const std::string_view settings = colon == std::string_view::npos ? "" : outer.substr(colon + 1);

  if (const auto make = find(kScorers, name)) {
    if (slash != std::string_view::npos) {
      throw UsageError("policy \"" + std::string(text) + "\": " + std::string(name) +
                       " wraps no other policy; leave out what follows the slash");
    }
    PolicyOptions options(name, settings, model);
    std::unique_ptr<Policy> policy = make(options);
    options.refuse_unknown();
    return policy;
  }
  const std::string_view wrapped =
      slash == std::string_view::npos ? kWrappedByDefault : text.substr(slash + 1);
  if (find(kWrappers, wrapped.substr(0, wrapped.find_first_of(":/"))) != nullptr) {
    throw UsageError("policy \"" + std::string(text) +
                     "\": a wrapper selects by a policy's scores, and another wrapper has none " +
                     "of its own; name one wrapper and one other policy");
  }
  PolicyOptions options(name, settings, model, wrapped);
  std::unique_ptr<Policy> policy = find(kWrappers, name)(options, make_policy(wrapped, model));
  options.refuse_unknown();
  return policy;
}

std::vector<std::string_view> policy_names() {
  std::vector<std::string_view> names;
  for (const auto& scorer : kScorers) names.push_back(scorer.first);
  for (const auto& wrapper : kWrappers) names.push_back(wrapper.first);
  return names;
}

}  // namespace longshadow
