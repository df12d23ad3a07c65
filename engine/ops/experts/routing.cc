#include "engine/ops/experts/routing.h"

#include <algorithm>
#include <cmath>

#include "engine/core/range.h"
#include "engine/core/require.h"

namespace longshadow {
namespace {

void check_rule(const char* operation, const RouterRule& rule, std::size_t logits,
                std::size_t experts) {
  require_at_least(operation, "n_chosen", rule.n_chosen, 1);
  require_at_most(operation, "n_chosen", rule.n_chosen, rule.n_experts);
  require_equal(operation, "logits.size()", logits, rule.n_experts);
  require_equal(operation, "experts.size()", experts, rule.n_chosen);
}

bool contains(std::span<const std::int32_t> experts, std::size_t expert) {
  return std::ranges::find(experts, static_cast<std::int32_t>(expert)) != experts.end();
}

/// Calls body(i) for the experts that the softmax is over.
template <class Body>
void for_each_weighed(const RouterRule& rule, std::span<const std::int32_t> experts,
                      const Body& body) {
  if (rule.renormalised) {
    for (const std::int32_t expert : experts) body(static_cast<std::size_t>(expert));
  } else {
    for (std::size_t expert = 0; expert < rule.n_experts; ++expert) body(expert);
  }
}

/// The softmax that weighs experts: the share of logit l is e^(l - largest) / sum.
struct Softmax {
  double largest;
  double sum = 0;

  /// `logit(i)` is that of expert i; the first of `experts` has the largest.
  template <class Logit>
  Softmax(const RouterRule& rule, std::span<const std::int32_t> experts, const Logit& logit)
      : largest(logit(static_cast<std::size_t>(experts.front()))) {
    for_each_weighed(rule, experts, [&](std::size_t i) { sum += std::exp(logit(i) - largest); });
  }

  double share(double logit) const { return std::exp(logit - largest) / sum; }
};

}  // namespace

void choose_experts(const RouterRule& rule, std::span<const double> logits,
                    std::span<std::int32_t> experts, std::span<double> weights) {
  check_rule("choose_experts", rule, logits.size(), experts.size());
  require_equal("choose_experts", "weights.size()", weights.size(), rule.n_chosen);
  const auto goes_before = [&](std::size_t a, std::size_t b) {
    if (std::isnan(logits[a]) || std::isnan(logits[b])) return !std::isnan(logits[b]);
    return logits[a] > logits[b];
  };
  for (std::size_t j = 0; j < rule.n_chosen; ++j) {
    const std::span<const std::int32_t> taken = experts.first(j);
    std::size_t best = rule.n_experts;
    for (std::size_t i = 0; i < rule.n_experts; ++i) {
      if (!contains(taken, i) && (best == rule.n_experts || goes_before(i, best))) best = i;
    }
    experts[j] = static_cast<std::int32_t>(best);
  }
  const Softmax softmax(rule, experts, [&](std::size_t i) { return logits[i]; });
  for (std::size_t j = 0; j < rule.n_chosen; ++j) {
    weights[j] = softmax.share(logits[static_cast<std::size_t>(experts[j])]);
  }
}

void weight_changes(const RouterRule& rule, std::span<const double> logits,
                    std::span<const double> changes, std::span<const std::int32_t> from,
                    std::span<const double> weights, std::span<const std::int32_t> to,
                    std::span<double> differences) {
  check_rule("weight_changes", rule, logits.size(), from.size());
  check_rule("weight_changes", rule, changes.size(), to.size());
  require_equal("weight_changes", "weights.size()", weights.size(), rule.n_chosen);
  require_equal("weight_changes", "differences.size()", differences.size(), rule.n_chosen);
  const Softmax before(rule, from, [&](std::size_t i) { return logits[i]; });
  const auto share = [&](std::size_t i) { return before.share(logits[i]); };
  const auto weighed_in = [&](std::span<const std::int32_t> chosen, std::size_t i) {
    return !rule.renormalised || contains(chosen, i);
  };
  double delta = 0;
  for_each_weighed(rule, from, [&](std::size_t i) {
    delta += weighed_in(to, i) ? share(i) * std::expm1(changes[i]) : -share(i);
  });
  for_each_weighed(rule, to, [&](std::size_t i) {
    if (!weighed_in(from, i)) delta += share(i) * std::exp(changes[i]);
  });
  // Beyond 1 there is nothing to cancel, and a sum of large powers may overflow.
  double shift = std::log1p(delta);
  if (!(std::abs(delta) < 1)) {
    const Softmax after(rule, to, [&](std::size_t i) { return logits[i] + changes[i]; });
    shift = after.largest - before.largest + std::log(after.sum / before.sum);
  }
  for (std::size_t j = 0; j < from.size(); ++j) {
    const auto i = static_cast<std::size_t>(from[j]);
    differences[j] = contains(to, i) ? weights[j] * std::expm1(changes[i] - shift) : -weights[j];
  }
}

void logit_gradients(const RouterRule& rule, std::span<const double> logits,
                     std::span<const std::int32_t> experts, std::span<const double> weights,
                     std::span<const double> weight_gradients, std::span<double> gradients) {
  check_rule("logit_gradients", rule, logits.size(), experts.size());
  require_equal("logit_gradients", "weights.size()", weights.size(), rule.n_chosen);
  require_equal("logit_gradients", "weight_gradients.size()", weight_gradients.size(),
                rule.n_chosen);
  require_equal("logit_gradients", "gradients.size()", gradients.size(), rule.n_experts);
  std::ranges::fill(gradients, 0.0);
  double sum = 0;
  for (std::size_t j = 0; j < experts.size(); ++j) sum += weight_gradients[j] * weights[j];
  const Softmax softmax(rule, experts, [&](std::size_t i) { return logits[i]; });
  for_each_weighed(rule, experts,
                   [&](std::size_t i) { gradients[i] = -sum * softmax.share(logits[i]); });
  for (std::size_t j = 0; j < experts.size(); ++j) {
    gradients[static_cast<std::size_t>(experts[j])] += weight_gradients[j] * weights[j];
  }
}

bool same_experts(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  return a.size() == b.size() && std::ranges::all_of(a, [&](std::int32_t expert) {
           return std::ranges::find(b, expert) != b.end();
         });
}

ExpertGroups group_by_expert(std::span<const std::int32_t> experts, std::size_t n_experts,
                             std::size_t tile, std::size_t first_slot) {
  std::vector<std::vector<std::int32_t>> choices(n_experts);
  for (std::size_t choice = 0; choice < experts.size(); ++choice) {
    if (experts[choice] == kNowhere) continue;
    choices[static_cast<std::size_t>(experts[choice])].push_back(static_cast<std::int32_t>(choice));
  }
  ExpertGroups sorted{{}, std::vector<std::int32_t>(experts.size(), kNowhere), first_slot};
  for (std::size_t expert = 0; expert < n_experts; ++expert) {
    if (choices[expert].empty()) continue;
    auto slot = static_cast<std::int32_t>(sorted.end_slot);
    for (const std::int32_t choice : choices[expert]) {
      sorted.slots[static_cast<std::size_t>(choice)] = slot++;
    }
    sorted.groups.push_back({expert, sorted.end_slot, std::move(choices[expert])});
    sorted.end_slot += round_up(sorted.groups.back().choices.size(), tile);
  }
  return sorted;
}

}  // namespace longshadow
