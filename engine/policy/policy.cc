#include "engine/policy/policy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/error.h"
#include "engine/policy/top_slots.h"

namespace longshadow {
namespace {

void require(bool there, const char* what, const LayerView& view) {
  if (there) return;
  throw Error("layer " + std::to_string(view.place.layer) + ": the policy needs " + what + " of " +
              std::to_string(view.n) + " tokens, and the view has another size; fill it");
}

void check(const PolicyTraits& traits, const LayerView& view) {
  const std::size_t n = view.n;
  check_protected(traits, n);
  const std::size_t n_kv_heads = view.keys.n_heads;
  require(n_kv_heads > 0 && view.keys.rows >= n, "keys", view);
  require(view.values.n_heads == n_kv_heads && view.values.rows >= n, "values", view);
  const bool has_attention = view.attention.rows == n_kv_heads && view.attention.cols == n;
  require(traits.attention_queries == 0 || has_attention, "attention", view);
  const bool has_queries = view.queries.rows >= n &&
                           view.queries.cols % (n_kv_heads * view.keys.head_dim) == 0 &&
                           view.frequencies.size() * 2 == view.keys.head_dim;
  require(!traits.queries || has_queries, "queries and their frequencies", view);
  const HeadRows<const float>& window = view.window_queries;
  const bool has_window = window.rows == std::min(traits.window_queries, n) && window.n_heads > 0 &&
                          window.n_heads % n_kv_heads == 0 &&
                          window.head_dim == view.keys.head_dim && window.rows <= n;
  require(traits.window_queries == 0 || has_window, "the last queries", view);
  const HeadRows<const float>& gram = view.output_gram;
  const bool of_kv_heads = traits.output_gram == OutputGram::of_kv_heads;
  const bool fits_heads =
      of_kv_heads ? gram.n_heads == n_kv_heads : gram.n_heads > 0 && gram.n_heads % n_kv_heads == 0;
  const bool has_gram =
      fits_heads && gram.rows == view.keys.head_dim && gram.head_dim == view.keys.head_dim;
  require(traits.output_gram == OutputGram::none || has_gram, "the output weights' products", view);
  const MatrixView<const double>& replayed = view.replayed;
  const bool has_replayed =
      replayed.rows > 0 && replayed.rows % n_kv_heads == 0 && replayed.cols == n;
  require(traits.replayed == Replayed::nothing || has_replayed, "a second pass", view);
  const bool has_gaps = !view.tokens.empty();
  require(!has_gaps || view.tokens.size() == n, "the tokens", view);
  const auto covers_tokens = [&](std::span<const float> signal) {
    return has_gaps ? signal.size() > view.tokens.back() : signal.size() == n;
  };
  require(!traits.entropy || covers_tokens(view.entropy), "entropy", view);
  require(!traits.drift || covers_tokens(view.drift), "drift", view);
  const std::size_t measured = traits.influence_by_head ? n_kv_heads * n : n;
  require(traits.influence == Influence::none || view.influence.size() == measured, "influence",
          view);
}

void require_numbers(const TokenScores& scores, const LayerView& view) {
  for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
    const auto of_head = scores.head(head);
    const auto bad = std::find_if(of_head.begin(), of_head.end(),
                                  [](double score) { return std::isnan(score); });
    if (bad == of_head.end()) continue;
    throw Error("layer " + std::to_string(view.place.layer) + ", KV head " + std::to_string(head) +
                ": the score of token " + std::to_string(bad - of_head.begin()) +
                " is not a number; look for NaN in what the policy was given");
  }
}

/// Finite scores, rather than infinity, so that a policy that averages over tokens still ranks what
/// is protected in part. Sinks come first: where the budget cannot hold all that is protected, a
/// model loses more with them than with a part of the window.
void protect(const PolicyTraits& traits, TokenScores& scores) {
  const std::size_t end = scores.n() - traits.n_recent;
  double highest = -std::numeric_limits<double>::infinity();
  for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
    const auto of_head = scores.head(head).subspan(traits.n_sink, end - traits.n_sink);
    highest = std::max(highest, *std::max_element(of_head.begin(), of_head.end()));
  }
  for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
    const auto of_head = scores.head(head);
    std::fill_n(of_head.begin(), traits.n_sink, highest + 2);
    std::fill_n(of_head.rbegin(), traits.n_recent, highest + 1);
  }
}

}  // namespace

std::vector<Replay> Policy::second_pass(std::span<const std::int32_t>) const { return {}; }

std::vector<std::size_t> Policy::budget(const CacheShape& shape, std::size_t n,
                                        double compression) const {
  return std::vector<std::size_t>(shape.n_layers * shape.n_kv_heads, n_kept(n, compression));
}

std::optional<std::size_t> Policy::kept_while_writing(std::size_t, std::size_t) const { return {}; }

std::vector<KeptSlots> Policy::select(std::span<const TokenScores> layers,
                                      const SlotBudget& budget) const {
  return top_slots_by_head(layers, budget.slots);
}

std::size_t n_kept(std::size_t n, double compression) {
  if (compression >= 1) return 0;
  const double kept = static_cast<double>(n) * (1.0 - compression);
  return std::max(std::size_t{1}, static_cast<std::size_t>(kept));
}

void check_protected(const PolicyTraits& traits, std::size_t n) {
  const std::size_t n_protected = traits.n_sink + traits.n_recent;
  if (n > n_protected) return;
  throw UsageError("the policy protects the first " + std::to_string(traits.n_sink) +
                   " and the last " + std::to_string(traits.n_recent) +
                   " tokens, so it needs a prompt of more than " + std::to_string(n_protected) +
                   " tokens, found " + std::to_string(n) +
                   "; read more text, or give the policy a smaller n_sink or window");
}

void check_prompt(const PolicyTraits& traits, std::size_t n) {
  if (traits.keeps_prompt) {
    throw UsageError(
        "the policy keeps every token of a prompt and compresses only what is written behind it, "
        "so there is nothing for it to evict here; use it in `longshadow generate` without "
        "`budget`, or name another policy");
  }
  check_protected(traits, n);
}

TokenScores protected_scores(const Policy& policy, const LayerView& view) {
  check(policy.traits(), view);
  TokenScores scores = policy.scores(view);
  require_numbers(scores, view);
  protect(policy.traits(), scores);
  return scores;
}

std::vector<KeptSlots> keep(const Policy& policy, std::span<const TokenScores> layers,
                            double share) {
  if (!(share > 0 && share <= 1)) {
    throw UsageError("a budget is the share of the tokens to keep, above 0 and at most 1, found " +
                     std::to_string(share));
  }
  const double compression = 1.0 - share;
  const CacheShape shape{layers.size(), layers.front().n_kv_heads()};
  return policy.select(layers,
                       {compression, policy.budget(shape, layers.front().n(), compression)});
}

}  // namespace longshadow
