#include "analysis/results/retention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <span>

#include "data/format/token_signals.h"

namespace longshadow {

namespace {

/// A document and one of its policies at a budget.
struct Member {
  const RunModel* model;
  const DocumentRun* document;
  const RunRetention* retention;

  /// kept [T] of each KV head of each layer in which the policy chose.
  std::vector<std::span<const std::uint8_t>> chosen() const {
    const auto context = static_cast<std::size_t>(document->context_tokens);
    const auto n_heads = static_cast<std::size_t>(model->n_kv_heads);
    std::vector<std::span<const std::uint8_t>> rows;
    for (std::size_t row = 0; row < retention->kept.size() / context; ++row) {
      if (model->is_compressed(row / n_heads, document->context_tokens + document->future_tokens)) {
        rows.push_back(std::span(retention->kept).subspan(row * context, context));
      }
    }
    return rows;
  }
};

/// Members of the same policy, budget and bits.
struct Group {
  std::string policy;
  std::string budget;
  std::int64_t kv_bits;
  std::vector<Member> members;
};

/// Groups the members, in the order in which the run has them.
std::vector<Group> groups_of(const RunFile& run) {
  std::vector<Group> groups;
  for (const DocumentRun& document : run.documents) {
    for (const RunRetention& one : document.retention) {
      auto found = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
        return group.policy == one.policy && group.budget == one.budget &&
               group.kv_bits == one.kv_bits;
      });
      if (found == groups.end()) {
        found = groups.insert(found, {one.policy, one.budget, one.kv_bits, {}});
      }
      found->members.push_back({&run.model, &document, &one});
    }
  }
  return groups;
}

/// The first or the last quarter of a future's values, at least one.
std::span<const double> quarter(std::span<const double> values, bool last) {
  const std::size_t count = std::max<std::size_t>(1, values.size() / 4);
  return last ? values.last(count) : values.first(count);
}

KlReport report_kl(const std::vector<Member>& members, bool last, const BootstrapOptions& options) {
  std::vector<double> means, medians;
  for (const Member& member : members) {
    const std::span<const double> kl = quarter(member.retention->kl, last);
    means.push_back(mean(kl));
    medians.push_back(median(kl));
  }
  return {bootstrap_mean(means, options), bootstrap_mean(medians, options)};
}

Estimate report_top1(const std::vector<Member>& members, const BootstrapOptions& options) {
  std::vector<double> shares;
  for (const Member& member : members) {
    const std::vector<std::uint8_t>& same = member.retention->top1;
    shares.push_back(std::accumulate(same.begin(), same.end(), 0.0) /
                     static_cast<double>(same.size()));
  }
  return bootstrap_mean(shares, options);
}

/// By how much the mean surprisal of the text rises, nats; NaN where none is known.
double surprisal_rise(const Member& member) {
  const std::vector<float>& compressed = member.retention->surprisal;
  const std::vector<float>& full = member.document->signals.surprisal;
  const auto first = static_cast<std::size_t>(member.document->context_tokens) + 1;
  double rise = 0;
  std::size_t count = 0;
  for (std::size_t h = 0; h < compressed.size() && first + h < full.size(); ++h) {
    if (std::isnan(compressed[h])) continue;
    rise += static_cast<double>(compressed[h]) - static_cast<double>(full[first + h]);
    ++count;
  }
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : rise / static_cast<double>(count);
}

Estimate report_perplexity(const std::vector<Member>& members, const BootstrapOptions& options) {
  std::vector<double> rises;
  for (const Member& member : members) {
    const double rise = surprisal_rise(member);
    if (!std::isnan(rise)) rises.push_back(rise);
  }
  if (rises.empty()) {
    constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
    return {kUnknown, kUnknown, kUnknown};
  }
  const Estimate rise = bootstrap_mean(rises, options);
  return {std::exp(rise.value), std::exp(rise.low), std::exp(rise.high)};
}

double bytes_share(const std::vector<Member>& members) {
  double kept = 0, full = 0;
  for (const Member& member : members) {
    kept += static_cast<double>(member.retention->bytes_kept);
    full += static_cast<double>(member.retention->bytes_full);
  }
  return kept / full;
}

/// Slots seen and kept, by kind of token.
template <std::size_t N>
struct Tally {
  std::array<double, N> seen{};
  std::array<double, N> kept{};

  void add(std::size_t kind, double n_seen, double n_kept) {
    seen[kind] += n_seen;
    kept[kind] += n_kept;
  }
  std::array<double, N> shares() const {
    std::array<double, N> shares{};
    for (std::size_t i = 0; i < N; ++i) shares[i] = kept[i] / seen[i];  // 0 / 0 is NaN
    return shares;
  }
};

constexpr std::size_t kNoQuarter = 4;

/// [T] 0 for the quarter of the lowest values to 3; kNoQuarter for a token without one. Of equal
/// values the earlier token is the lower.
std::vector<std::size_t> quarters(std::span<const double> values) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isnan(values[i])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<std::size_t> quarter_of(values.size(), kNoQuarter);
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    quarter_of[order[rank]] = 4 * rank / order.size();
  }
  return quarter_of;
}

/// Kinds of a document's context tokens, [T] each.
struct Kinds {
  std::vector<std::size_t> entropy;
  std::vector<std::size_t> drift;
};

Kinds kinds_of(const DocumentRun& document) {
  const auto context = static_cast<std::size_t>(document.context_tokens);
  const auto signals = token_signals(document.signals);
  return {quarters(std::span(signals[kEntropyBefore]).first(context)),
          quarters(std::span(signals[kDrift]).first(context))};
}

KeptShares report_kept(const std::vector<Member>& members) {
  Tally<schema::kUniversalTags.size()> tags;
  Tally<4> entropy, drift;
  Tally<10> position;
  for (const Member& member : members) {
    const auto context = static_cast<std::size_t>(member.document->context_tokens);
    const auto rows = member.chosen();
    const Kinds kinds = kinds_of(*member.document);
    for (std::size_t i = 0; i < context; ++i) {
      double stays = 0;
      for (const auto& kept : rows) stays += kept[i];
      const auto seen = static_cast<double>(rows.size());
      if (!member.document->tokens.upos.empty()) {
        tags.add(member.document->tokens.upos[i], seen, stays);
      }
      if (kinds.entropy[i] != kNoQuarter) entropy.add(kinds.entropy[i], seen, stays);
      if (kinds.drift[i] != kNoQuarter) drift.add(kinds.drift[i], seen, stays);
      position.add(10 * i / context, seen, stays);
    }
  }
  return {tags.shares(), entropy.shares(), drift.shares(), position.shares()};
}

double jaccard(const Member& a, const Member& b) {
  const auto rows_of_a = a.chosen(), rows_of_b = b.chosen();
  double both = 0, either = 0;
  for (std::size_t row = 0; row < rows_of_a.size(); ++row) {
    for (std::size_t i = 0; i < rows_of_a[row].size(); ++i) {
      both += rows_of_a[row][i] & rows_of_b[row][i];
      either += rows_of_a[row][i] | rows_of_b[row][i];
    }
  }
  return both / either;
}

/// Mean over the documents that both have.
double mean_jaccard(const Group& a, const Group& b) {
  std::vector<double> values;
  for (const Member& of_a : a.members) {
    for (const Member& of_b : b.members) {
      if (of_a.document == of_b.document) {
        values.push_back(jaccard(of_a, of_b));
      }
    }
  }
  return values.empty() ? std::numeric_limits<double>::quiet_NaN() : mean(values);
}

/// Bits change what is stored of a slot, not which slots stay: each policy counts once.
RetentionOverlap report_overlap(const std::vector<Group>& groups, const std::string& budget) {
  std::vector<const Group*> compared;
  std::set<std::string> policies;
  for (const Group& group : groups) {
    if (group.budget == budget && policies.insert(group.policy).second) compared.push_back(&group);
  }
  RetentionOverlap overlap{budget, {}, {}};
  for (const Group* a : compared) {
    overlap.policies.push_back(a->policy);
    for (const Group* b : compared) overlap.jaccard.push_back(mean_jaccard(*a, *b));
  }
  return overlap;
}

std::string describe(const RunFile& run) {
  std::set<std::string> shapes;
  std::size_t n_documents = 0;
  for (const DocumentRun& document : run.documents) {
    if (document.retention.empty()) continue;
    ++n_documents;
    shapes.insert("context " + std::to_string(document.context_tokens) + ", future " +
                  std::to_string(document.future_tokens));
  }
  std::string text = std::to_string(n_documents) + (n_documents == 1 ? " document" : " documents");
  for (const std::string& shape : shapes) text += "; " + shape;
  return text;
}

}  // namespace

std::optional<RetentionReport> analyze_retention(const RunFile& run,
                                                 const BootstrapOptions& options) {
  const std::vector<Group> groups = groups_of(run);
  if (groups.empty()) return std::nullopt;
  RetentionReport report;
  report.conditions = describe(run);
  std::vector<std::string> budgets;
  for (const Group& group : groups) {
    RetentionArm arm{group.policy,
                     group.budget,
                     group.kv_bits,
                     group.members.size(),
                     bytes_share(group.members),
                     report_kl(group.members, false, options),
                     report_kl(group.members, true, options),
                     report_top1(group.members, options),
                     report_perplexity(group.members, options),
                     report_kept(group.members)};
    report.arms.push_back(std::move(arm));
    if (std::find(budgets.begin(), budgets.end(), group.budget) == budgets.end()) {
      budgets.push_back(group.budget);
    }
  }
  for (const std::string& budget : budgets) {
    report.overlaps.push_back(report_overlap(groups, budget));
  }
  return report;
}

}  // namespace longshadow
