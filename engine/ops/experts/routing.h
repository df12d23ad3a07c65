#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace longshadow {

// The numbers of a router, some for each row, are chosen and weighed on the host; the rows
// themselves go to experts and back by operations (weighted_rows.h).

/// The rule by which a router turns a row's E logits into experts: it takes the k largest. Their
/// weights are the softmax over these k (Mixtral, arXiv 2401.04088), or, where not renormalised,
/// over all E.
struct RouterRule {
  std::size_t n_experts;  ///< E
  std::size_t n_chosen;   ///< k
  bool renormalised;
};

/// An id of no expert and of no row.
inline constexpr std::int32_t kNowhere = -1;

/// The experts that rows go to, and how what these give is weighed.
struct Routes {
  std::vector<std::int32_t> experts;  ///< [rows, k], by falling logit; kNowhere in unused rows
  std::vector<double> weights;        ///< [rows, k]

  void resize(std::size_t rows, std::size_t n_chosen) {
    experts.assign(rows * n_chosen, kNowhere);
    weights.assign(rows * n_chosen, 0.0);
  }
};

/// Chooses a row's experts [k] by its logits [E], and weighs them [k]. Of equal logits the lower
/// index goes first; a logit that is not a number goes before all, so that its weight, which is
/// none either, is not lost.
void choose_experts(const RouterRule& rule, std::span<const double> logits,
                    std::span<std::int32_t> experts, std::span<double> weights);

/// The exact change of the weights of a row's experts when its logits [E] change by `changes` [E]:
/// w' - w [k] of the experts that `from` chose, with w' = 0 where `to` does not choose the expert.
/// With p the softmax that weighs and C the experts that it is over, before and after,
///   delta = sum_{C and C'} p expm1(d) + sum_{C' alone} p e^d - sum_{C alone} p,
///   w' - w = w expm1(d - log1p(delta)),
/// so that the error is relative to the change. `from` and `to` [k] are what choose_experts() gives
/// for the logits before and after.
void weight_changes(const RouterRule& rule, std::span<const double> logits,
                    std::span<const double> changes, std::span<const std::int32_t> from,
                    std::span<const double> weights, std::span<const std::int32_t> to,
                    std::span<double> differences);

/// The gradient at a row's logits [E] from that at the weights [k] of its experts [k]; the choice
/// itself is held: dl_i = sum_e dw_e w_e (1[i = e] - p_i), with p the softmax that weighs.
void logit_gradients(const RouterRule& rule, std::span<const double> logits,
                     std::span<const std::int32_t> experts, std::span<const double> weights,
                     std::span<const double> weight_gradients, std::span<double> gradients);

/// Whether two rows go to the same experts [k], in whichever order.
bool same_experts(std::span<const std::int32_t> a, std::span<const std::int32_t> b);

/// The rows of a batch that go to one expert. Each takes a slot, a row of the matrices that the
/// expert's products read and write.
struct ExpertGroup {
  std::size_t expert;
  std::size_t first_slot;
  std::vector<std::int32_t> choices;  ///< ascending indices into experts [rows, k], of the slots
};

/// Choices of a batch sorted by expert.
struct ExpertGroups {
  std::vector<ExpertGroup> groups;  ///< by ascending expert, of those that any row goes to
  std::vector<std::int32_t> slots;  ///< [rows, k], of each choice; kNowhere where it has none
  std::size_t end_slot;             ///< behind the last group's tiles
};

/// Sorts choices `experts` [rows, k], kNowhere left out, into slots from `first_slot` on, each
/// group in whole tiles of `tile` rows: a product then has one shape, and a row's bits do not
/// depend on how many others go to its expert.
ExpertGroups group_by_expert(std::span<const std::int32_t> experts, std::size_t n_experts,
                             std::size_t tile, std::size_t first_slot = 0);

/// Upper bound on the slots of `choices` choices.
constexpr std::size_t max_slots(std::size_t choices, std::size_t n_experts, std::size_t tile) {
  const std::size_t groups = choices < n_experts ? choices : n_experts;
  return choices + groups * (tile - 1);
}

}  // namespace longshadow
