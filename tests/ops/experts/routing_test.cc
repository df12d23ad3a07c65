#include "engine/ops/experts/routing.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/support/contracts.h"
#include "tests/support/larger.h"

namespace longshadow {
namespace {

using Row = std::vector<double>;
using Ids = std::vector<std::int32_t>;

struct Route {
  Ids experts;
  Row weights;
};

Route choose(const RouterRule& rule, const Row& logits) {
  Route route{Ids(rule.n_chosen), Row(rule.n_chosen)};
  choose_experts(rule, logits, route.experts, route.weights);
  return route;
}

/// Softmax over the chosen or all, as its formula reads and in long double.
long double weight_of(const RouterRule& rule, const Row& logits, const Ids& chosen, std::size_t i) {
  long double total = 0;
  for (std::size_t e = 0; e < logits.size(); ++e) {
    const bool is_chosen = std::ranges::find(chosen, static_cast<int>(e)) != chosen.end();
    if (is_chosen || !rule.renormalised) total += std::exp(static_cast<long double>(logits[e]));
  }
  return std::exp(static_cast<long double>(logits[i])) / total;
}

Row random_row(std::size_t size, double scale, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, scale);
  Row row(size);
  for (double& value : row) value = normal(random);
  return row;
}

TEST_CASE("a router chooses the largest logits and weighs them by a softmax") {
  const Row logits{0.5, 2, -1, 1.5, 0};
  const Route among = choose({5, 2, true}, logits);
  CHECK(among.experts == Ids{1, 3});
  CHECK(among.weights[0] == Approx(1 / (1 + std::exp(-0.5))).epsilon(1e-15));
  CHECK(among.weights[0] + among.weights[1] == Approx(1).epsilon(1e-15));
  const Route of_all = choose({5, 2, false}, logits);
  CHECK(of_all.experts == Ids{1, 3});
  const double total = std::exp(0.5) + std::exp(2) + std::exp(-1) + std::exp(1.5) + 1;
  CHECK(of_all.weights[0] == Approx(std::exp(2) / total).epsilon(1e-15));
  CHECK(of_all.weights[1] == Approx(std::exp(1.5) / total).epsilon(1e-15));
  // Large logits neither overflow nor vanish.
  CHECK(choose({3, 2, true}, {1000, 999, -1000}).weights[0] ==
        Approx(1 / (1 + std::exp(-1))).epsilon(1e-15));
}

TEST_CASE("of equal logits the lower index is chosen first") {
  CHECK(choose({6, 3, true}, {1, 2, 2, 0, 2, 2}).experts == Ids{1, 2, 4});
  CHECK(choose({4, 4, true}, {7, 7, 7, 7}).experts == Ids{0, 1, 2, 3});
}

TEST_CASE("a logit that is not a number is chosen, so that its row is not a number either") {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const Route route = choose({4, 2, true}, {1, none, 3, none});
  CHECK(route.experts == Ids{1, 3});
  CHECK(std::isnan(route.weights[0]));
  CHECK(choose({4, 2, true}, {1, 2, none, 0}).experts == Ids{2, 1});
}

// Changes of 1e-9: subtracting two weights would leave seven digits. Roundings are relative to the
// largest change of a logit, of which expm1's argument is a difference, and, where experts are
// swapped, to the shares of those: the row's change then holds what such an expert gives as a
// whole.
TEST_CASE("changes of weights are exact, however small and whichever experts stay") {
  for (const bool renormalised : {true, false}) {
    const RouterRule rule{8, 3, renormalised};
    for (unsigned seed = 0; seed < 200; ++seed) {
      const double scale = seed % 2 == 0 ? 1e-9 : 0.7;
      Row logits = random_row(8, 1, seed);
      const Row changes = random_row(8, scale, seed + 1000);
      const Route from = choose(rule, logits);
      if (seed % 4 == 0) {  // two neighbours in rank so close that the change swaps them
        const auto last = static_cast<std::size_t>(from.experts.back());
        std::size_t next = 8;
        for (std::size_t i = 0; i < 8; ++i) {
          if (std::ranges::find(from.experts, static_cast<int>(i)) != from.experts.end()) continue;
          if (next == 8 || logits[i] > logits[next]) next = i;
        }
        logits[next] = logits[last] - 1e-12;
      }
      Row after = logits;
      for (std::size_t i = 0; i < 8; ++i) after[i] += changes[i];
      const Route before = choose(rule, logits), to = choose(rule, after);
      Row found(3);
      weight_changes(rule, logits, changes, before.experts, before.weights, to.experts, found);
      // The twin adds in long double, whose eps is 2^-64: of a change of 1e-9 it has ten digits.
      std::vector<long double> exact_after(8);
      long double total_before = 0, total_after = 0;
      double swapped = 0, largest = 0;
      for (const double change : changes) largest = test::larger(largest, std::abs(change));
      for (std::size_t i = 0; i < 8; ++i) {
        const auto in = [&](const Ids& chosen) {
          return !renormalised || std::ranges::find(chosen, static_cast<int>(i)) != chosen.end();
        };
        exact_after[i] = static_cast<long double>(logits[i]) + changes[i];
        if (in(before.experts) != in(to.experts)) {
          swapped += static_cast<double>(std::exp(static_cast<long double>(logits[i])));
        }
        if (in(before.experts)) total_before += std::exp(static_cast<long double>(logits[i]));
        if (in(to.experts)) total_after += std::exp(exact_after[i]);
      }
      for (std::size_t j = 0; j < 3; ++j) {
        const auto i = static_cast<std::size_t>(before.experts[j]);
        const bool stays = std::ranges::find(to.experts, before.experts[j]) != to.experts.end();
        const long double was = std::exp(static_cast<long double>(logits[i])) / total_before;
        const long double is = stays ? std::exp(exact_after[i]) / total_after : 0.0L;
        CAPTURE(renormalised, seed, j, found[j]);
        const double relative = stays ? largest + swapped / static_cast<double>(total_before) : 1.0;
        CHECK(std::abs(found[j] - static_cast<double>(is - was)) <=
              8 * 0x1p-53 * relative * before.weights[j] + 4 * 0x1p-64);
      }
    }
    const Row logits = random_row(8, 1, 5);
    const Route route = choose(rule, logits);
    Row found(3);
    weight_changes(rule, logits, Row(8), route.experts, route.weights, route.experts, found);
    CHECK(found == Row{0, 0, 0});
    // A change beyond all bounds of e^x leaves a finite number.
    Row large(8);
    large[static_cast<std::size_t>(route.experts[0])] = 5000;
    weight_changes(rule, logits, large, route.experts, route.weights, route.experts, found);
    CHECK(found[0] == Approx(1 - route.weights[0]).epsilon(1e-12));
    CHECK(found[1] == Approx(-route.weights[1]).epsilon(1e-12));
  }
}

// Central differences of step h are off by h² and by 2^-53 / h.
TEST_CASE("gradients at the logits are those of the weights while the choice is held") {
  constexpr double kStep = 1e-5;
  for (const bool renormalised : {true, false}) {
    const RouterRule rule{6, 3, renormalised};
    const Row logits = random_row(6, 1, 3), weight_gradients = random_row(3, 1, 4);
    const Route route = choose(rule, logits);
    Row found(6);
    logit_gradients(rule, logits, route.experts, route.weights, weight_gradients, found);
    for (std::size_t i = 0; i < 6; ++i) {
      const auto value = [&](double step) {
        Row moved = logits;
        moved[i] += step;
        long double sum = 0;
        for (std::size_t j = 0; j < 3; ++j) {
          sum += weight_gradients[j] *
                 weight_of(rule, moved, route.experts, static_cast<std::size_t>(route.experts[j]));
        }
        return sum;
      };
      const auto slope = static_cast<double>((value(kStep) - value(-kStep)) / (2 * kStep));
      CAPTURE(renormalised, i);
      CHECK(std::abs(found[i] - slope) <= 1e-10);
    }
  }
}

TEST_CASE("choices are sorted by expert, each expert's in whole tiles") {
  const Ids experts{2, 0, kNowhere, kNowhere, 0, 2, 2, 1};  // [4, 2]
  const ExpertGroups groups = group_by_expert(experts, 5, 2, 4);
  REQUIRE(groups.groups.size() == 3);
  CHECK(groups.groups[0].expert == 0);
  CHECK(groups.groups[0].first_slot == 4);
  CHECK(groups.groups[0].choices == Ids{1, 4});
  CHECK(groups.groups[1].expert == 1);
  CHECK(groups.groups[1].first_slot == 6);
  CHECK(groups.groups[1].choices == Ids{7});
  CHECK(groups.groups[2].expert == 2);
  CHECK(groups.groups[2].first_slot == 8);
  CHECK(groups.groups[2].choices == Ids{0, 5, 6});
  CHECK(groups.end_slot == 12);
  CHECK(groups.slots == Ids{8, 4, kNowhere, kNowhere, 5, 9, 10, 6});
  CHECK(groups.end_slot - 4 <= max_slots(experts.size(), 5, 2));
}

TEST_CASE("routes are the same whatever their order") {
  CHECK(same_experts(Ids{3, 1}, Ids{1, 3}));
  CHECK_FALSE(same_experts(Ids{3, 1}, Ids{3, 2}));
}

#ifdef LONGSHADOW_CONTRACTS
TEST_CASE("routing refuses numbers that are not its rule's", "[contract]") {
  Ids experts(2);
  Row weights(2);
  CHECK(test::error_of([&] {
          choose_experts({4, 2, true}, Row(3), experts, weights);
        }) == "choose_experts: logits.size() is 3, expected 4");
  CHECK(test::error_of([&] {
          choose_experts({1, 2, true}, Row(1), experts, weights);
        }) == "choose_experts: n_chosen is 2, expected at most 1");
}
#endif

}  // namespace
}  // namespace longshadow
