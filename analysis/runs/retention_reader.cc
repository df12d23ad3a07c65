#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "analysis/runs/run_reader_parts.h"
#include "data/format/schema.h"

namespace longshadow {

namespace {

using hdf5::Group;

/// A share in (0, 1], as it was spelled.
bool is_budget(const std::string& text) {
  double share = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), share);
  return failure == std::errc() && end == text.data() + text.size() && share > 0 && share <= 1;
}

void check_retention(const Group& group, const RunRetention& retention) {
  // The policy's spelling is printed, and a terminal must not obey it.
  if (retention.policy.empty() || has_control_character(retention.policy)) {
    refuse(group, "expected the name of a policy, without control characters");
  }
  if (!is_budget(retention.budget)) {
    refuse(group, "expected a budget above 0 and at most 1");
  }
  if (!group.path().ends_with("/" + retention.link_name() + "/")) {
    refuse(group,
           "expected a group of the name " + retention.link_name() + ", of its policy and budget");
  }
  const auto is_no_flag = [](std::uint8_t value) { return value > 1; };
  for (const auto* flags : {&retention.kept, &retention.top1}) {
    if (std::any_of(flags->begin(), flags->end(), is_no_flag)) {
      refuse(group, "expected 0 or 1 in kept and top1, found another value");
    }
  }
  if (std::any_of(retention.kl.begin(), retention.kl.end(), is_impossible_kl) ||
      std::any_of(retention.kl.begin(), retention.kl.end(),
                  [](double kl) { return std::isnan(kl); })) {
    refuse(group, "expected divergences of at least 0 nats, found another value");
  }
  const auto impossible = [](float nats) { return std::isinf(nats) || nats < -1; };
  if (std::any_of(retention.surprisal.begin(), retention.surprisal.end(), impossible)) {
    refuse(group, "expected surprisals of at least 0 nats, found a negative or infinite one");
  }
  if (retention.bytes_kept < 1 || retention.bytes_full < 1) {
    refuse(group, "expected at least 1 byte kept, and of the full cache");
  }
  const auto& known = schema::kKvBitsKnown;
  if (std::find(known.begin(), known.end(), retention.kv_bits) == known.end()) {
    refuse(group,
           "expected kv_bits 4, 8, 16, 32 or 64, found " + std::to_string(retention.kv_bits));
  }
}

RunRetention read_policy(const Group& group, const DocumentRun& document, const RunModel& model) {
  const auto n_tokens = static_cast<std::uint64_t>(document.context_tokens);
  const auto horizon = static_cast<std::uint64_t>(document.future_tokens);
  RunRetention retention;
  retention.policy = group.string_attribute(schema::kPolicy);
  retention.budget = group.string_attribute(schema::kBudget);
  retention.kept = group.read<std::uint8_t>(
      schema::kKept, {static_cast<std::uint64_t>(model.n_layers),
                      static_cast<std::uint64_t>(model.n_kv_heads), n_tokens});
  retention.kl = group.read<double>(schema::kKl, {horizon});
  retention.top1 = group.read<std::uint8_t>(schema::kTop1, {horizon});
  retention.surprisal = group.read<float>(schema::kSurprisal, {horizon});
  retention.bytes_kept = group.int64_attribute(schema::kBytesKept);
  retention.bytes_full = group.int64_attribute(schema::kBytesFull);
  retention.kv_bits = group.int64_attribute(schema::kKvBits);
  retention.seed = group.uint64_attribute(schema::kSeed);
  check_retention(group, retention);
  return retention;
}

}  // namespace

std::vector<RunRetention> read_retention(const Group& group, const DocumentRun& document,
                                         const RunModel& model) {
  check_context(group, document);
  const std::int64_t n_after =
      static_cast<std::int64_t>(document.tokens.id.size()) - document.context_tokens;
  if (document.future_tokens < 1 || document.future_tokens > n_after) {
    refuse(group, "expected a future of 1 to " + std::to_string(n_after) + " tokens, found " +
                      std::to_string(document.future_tokens));
  }
  std::vector<RunRetention> retention;
  for (const std::string& name : group.names()) {  // the other members are dimension scales
    if (name.find('@') == std::string::npos) continue;
    if (has_control_character(name)) refuse(group, "expected names without control characters");
    retention.push_back(read_policy(group.group(name), document, model));
  }
  if (retention.empty()) refuse(group, "expected at least one policy, found none");
  return retention;
}

}  // namespace longshadow
