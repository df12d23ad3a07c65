#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/core/range.h"
#include "engine/kv/kept_slots.h"
#include "engine/policy/layer_view.h"
#include "engine/policy/token_scores.h"

namespace longshadow {

/// The measured Forward Influence that a policy looks at: on the nearest of the positions that
/// follow, on the farthest, or on all of them.
enum class Influence { none, near, far, total };

/// Over which tokens the softmax goes that LayerView::attention sums.
enum class SoftmaxOver {
  seen,         ///< all that a query sees, as in the model
  unprotected,  ///< neither the first n_sink nor the last n_recent, which are the last queries' own
};

/// The number that LayerView::replayed holds for a slot, over all queries of a policy's second pass
/// (Policy::second_pass()).
enum class Replayed {
  nothing,              ///< there is no second pass
  attention,            ///< the largest softmax entry that a query gives to the slot
  attention_over_norm,  ///< the largest entry divided by the norm of the hidden state that the
                        ///< query was projected from
};

/// The query heads that each matrix of LayerView::output_gram is over.
enum class OutputGram {
  none,
  of_kv_heads,     ///< the mean over each KV head's query heads
  of_query_heads,  ///< each by itself
};

/// Tokens that the model reads behind a prefilled context, on the context's cache alone, so that a
/// policy sees what they attend to: KVzip's replay of a part of the context (Kim et al. 2025, arXiv
/// 2505.23416).
struct Replay {
  std::vector<std::int32_t> tokens;  ///< at the positions n, n + 1, ... behind the context's n
  Range slots;                       ///< the context's slots that LayerView::replayed tells of
  /// First slots that the softmax of LayerView::replayed goes over, besides `slots` and the
  /// replay's own tokens. The pass itself attends to the whole context.
  std::size_t n_sink = 0;
};

/// The tokens that a policy protects, and all that it looks at besides keys and values.
struct PolicyTraits {
  std::size_t n_sink = 0;    ///< the first tokens, ranked above all others
  std::size_t n_recent = 0;  ///< the last tokens, likewise
  /// A text's prompt is never evicted: n_sink is its length at least, by protect_sinks(), once it
  /// is known, and the policy has nothing to do but while text is written.
  bool keeps_prompt = false;
  /// The KV heads of a layer keep the same slots, for what all of them look at. While text is
  /// written they are scored together; those of other policies, which come to hold different
  /// tokens, each by itself.
  bool joint_heads = false;
  /// It divides slots between layers by all their scores, which while text is written it never has
  /// at once.
  bool across_layers = false;
  /// The last queries that LayerView::attention sums over, at most n of them; 0: not needed.
  std::size_t attention_queries = 0;
  SoftmaxOver softmax_over = SoftmaxOver::seen;  ///< `unprotected` only where keeps_prompt
  bool queries = false;                          ///< with their frequencies
  /// The number of last queries that LayerView::window_queries has; 0: not needed.
  std::size_t window_queries = 0;
  OutputGram output_gram = OutputGram::none;  ///< LayerView::output_gram
  Replayed replayed = Replayed::nothing;      ///< LayerView::replayed
  bool entropy = false;
  bool drift = false;
  Influence influence = Influence::none;
  bool influence_by_head = false;  ///< of tokens that leave one KV head of one layer alone
  /// The kept keys move to positions 0, 1, ... (rotate_kept_keys) and later tokens follow them;
  /// else keys stay as they are and later tokens go on from position n.
  bool rotates_keys = false;
  /// SHA-256 of every file of learnt numbers that the policy read, hexadecimal: what it chooses
  /// depends on them.
  std::vector<std::string> files_sha256{};
};

/// The cache that a policy compresses.
struct CacheShape {
  std::size_t n_layers;    ///< L
  std::size_t n_kv_heads;  ///< K
};

/// The part of a cache that stays.
struct SlotBudget {
  double compression;              ///< the share to drop, as asked for
  std::vector<std::size_t> slots;  ///< [L, K] that each KV head is to keep
};

/// Likeliest tokens that LayerView::entropy is over, unless asked otherwise: what InfoKV's paper
/// found best (arXiv 2606.26875).
inline constexpr std::size_t kEntropyTopK = 256;

/// All of a document's queries, for PolicyTraits::attention_queries.
inline constexpr std::size_t kAllQueries = static_cast<std::size_t>(-1);

/// A rule for the slots of a prefilled cache to keep: a score for every token and KV head, layer by
/// layer; a budget for every KV head; and a selection by both, which sees all layers. keep() is the
/// way to use one.
class Policy {
 public:
  explicit Policy(const PolicyTraits& traits) : traits_(traits) {}
  virtual ~Policy() = default;

  const PolicyTraits& traits() const { return traits_; }

  /// Protects at least the first n tokens, so that policies are compared with their sinks alike.
  void protect_sinks(std::size_t n) { traits_.n_sink = std::max(traits_.n_sink, n); }

  /// Names what the model is to read behind a prefilled context of these tokens, for policies whose
  /// traits ask for LayerView::replayed. Replays run one by one; a slot of none has 0 there.
  virtual std::vector<Replay> second_pass(std::span<const std::int32_t> context) const;

  /// Higher is kept. What becomes of protected tokens' scores is protected_scores()' business.
  virtual TokenScores scores(const LayerView& view) const = 0;

  /// Slots that each KV head is to keep of n tokens, [L, K]; `compression` is the share to drop.
  /// Throws UsageError where so few cannot be shared out.
  virtual std::vector<std::size_t> budget(const CacheShape& shape, std::size_t n,
                                          double compression) const;

  /// While text is written and the user names no target, how many slots a KV head keeps besides
  /// the protected ones at cut number `cut` (0, 1, ...), each of which comes behind `every` tokens;
  /// empty: the policy has no rule for it.
  virtual std::optional<std::size_t> kept_while_writing(std::size_t every, std::size_t cut) const;

  /// Selects what stays of each layer: the highest scores of every KV head by itself, as many as
  /// the budget says. While text is written, of one head of one layer, or all heads of one.
  virtual std::vector<KeptSlots> select(std::span<const TokenScores> layers,
                                        const SlotBudget& budget) const;

 private:
  PolicyTraits traits_;
};

/// 0 for compression >= 1, else max(1, floor(n (1 - compression))) in IEEE double, as kvpress 0.5.5
/// computes it: (1000, 0.9) gives 99.
std::size_t n_kept(std::size_t n, double compression);

/// Throws UsageError where n tokens, of a prompt or of a text so far, are not more than what is
/// protected of them.
void check_protected(const PolicyTraits& traits, std::size_t n);

/// Throws UsageError where the policy cannot compress a prompt of n tokens: it keeps any, or
/// protects as many.
void check_prompt(const PolicyTraits& traits, std::size_t n);

/// The policy's scores, with those of the last n_recent tokens one and those of the sinks two above
/// the highest other score of the layer. Throws as check_protected() does, and Error where the view
/// lacks what the traits ask for or a score is not a number.
TokenScores protected_scores(const Policy& policy, const LayerView& view);

/// Selects what stays of each layer, by the protected_scores() of all layers. `share`, of the
/// tokens, is in (0, 1]; throws UsageError where it is not, and as budget() does.
std::vector<KeptSlots> keep(const Policy& policy, std::span<const TokenScores> layers,
                            double share);

}  // namespace longshadow
