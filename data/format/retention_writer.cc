#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "data/format/run_writer_parts.h"

namespace longshadow {

using hdf5::Dataset;
using hdf5::Group;

void check_retention(const DocumentRun& document) {
  if (document.retention.empty()) return;
  const auto n = static_cast<std::int64_t>(document.tokens.id.size());
  if (document.context_tokens + document.future_tokens > n) {
    refuse("expected the context and the future of a retention within " + std::to_string(n) +
           " tokens, found " + std::to_string(document.context_tokens) + " and " +
           std::to_string(document.future_tokens));
  }
  std::set<std::string> names;
  for (const RunRetention& one : document.retention) {
    if (one.policy.empty() || one.budget.empty() || !names.insert(one.link_name()).second) {
      refuse("expected each policy at each budget once, found '" + one.name() +
             "' twice or without a name");
    }
  }
}

void write_retention(const Group& group, const DocumentRun& document, const RunModel& model) {
  const auto n_layers = static_cast<std::size_t>(model.n_layers);
  const auto n_heads = static_cast<std::size_t>(model.n_kv_heads);
  const auto n_tokens = static_cast<std::size_t>(document.context_tokens);
  const auto horizon = static_cast<std::size_t>(document.future_tokens);
  const Dataset layers = write_scale(group, schema::kLayer, n_layers);
  const Dataset heads = write_scale(group, schema::kKvHead, n_heads);
  const Dataset positions = write_scale(group, schema::kPosition, n_tokens);
  const Dataset offsets = write_scale(group, schema::kOffset, horizon);
  const Axis layer{layers, "layer", n_layers};
  const Axis head{heads, "kv_head", n_heads};
  const Axis token{positions, "token", n_tokens};
  const Axis offset{offsets, "offset", horizon};
  for (const RunRetention& one : document.retention) {
    const Group policy = group.create_group(one.link_name());
    write_array(policy, schema::kKept, one.kept, {layer, head, token}, "1: kept");
    write_array(policy, schema::kKl, one.kl, {offset}, schema::kNats);
    write_array(policy, schema::kTop1, one.top1, {offset}, "1: the same likeliest token");
    write_array(policy, schema::kSurprisal, one.surprisal, {offset}, schema::kNats);
    policy.write_attribute(schema::kPolicy, one.policy);
    policy.write_attribute(schema::kBudget, one.budget);
    policy.write_attribute(schema::kBytesKept, one.bytes_kept);
    policy.write_attribute(schema::kBytesFull, one.bytes_full);
    policy.write_attribute(schema::kKvBits, one.kv_bits);
    policy.write_attribute(schema::kSeed, one.seed);
  }
}

}  // namespace longshadow
