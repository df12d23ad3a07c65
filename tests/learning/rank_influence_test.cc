#include "probes/learning/rank_influence.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace longshadow {
namespace {

using Numbers = std::vector<double>;

TEST_CASE("What does not rise is the nearest such sequence") {
  const Numbers falling{5, 3, 3, 1};
  CHECK(not_rising(falling) == falling);
  CHECK(not_rising(Numbers{1, 3}) == Numbers{2, 2});
  CHECK(not_rising(Numbers{4, 1, 2, 3, 0}) == Numbers{4, 2, 2, 2, 0});
  CHECK(not_rising(Numbers{1, 2, 6}) == Numbers{3, 3, 3});
  CHECK(not_rising(Numbers{}).empty());
}

/// Two layers of two KV heads with six tokens, of which the first is a sink.
constexpr CacheShape kShape{2, 2};
constexpr std::size_t kTokens = 6, kSinks = 1;

std::vector<TokenScores> scores_of(const Numbers& all) {
  std::vector<TokenScores> layers(kShape.n_layers, TokenScores(kShape.n_kv_heads, kTokens));
  auto next = all.begin();
  for (TokenScores& layer : layers) {
    for (std::size_t head = 0; head < kShape.n_kv_heads; ++head) {
      for (double& score : layer.head(head)) score = *next++;
    }
  }
  return layers;
}

/// The same as RankInfluence::slots() by the plainest way: one slot after the other to the head
/// whose next rank has the highest influence, along which it does not rise.
std::vector<std::size_t> twin_slots(const std::vector<Numbers>& by_rank, std::size_t total) {
  std::vector<Numbers> falling;
  for (const Numbers& head : by_rank) falling.push_back(not_rising(head));
  std::vector<std::size_t> slots(falling.size(), kSinks);
  for (std::size_t given = falling.size() * kSinks; given < total; ++given) {
    std::size_t best = falling.size();
    for (std::size_t head = 0; head < falling.size(); ++head) {
      const std::size_t rank = slots[head] - kSinks;
      if (rank == falling[head].size()) continue;
      if (best == falling.size()) {
        best = head;
        continue;
      }
      const std::size_t best_rank = slots[best] - kSinks;
      const double value = falling[head][rank], best_value = falling[best][best_rank];
      if (value > best_value || (value == best_value && rank < best_rank)) best = head;
    }
    ++slots[best];
  }
  return slots;
}

TEST_CASE("Slots go where a ranking's next token matters most, in the mean over documents") {
  std::mt19937_64 random(3);
  const auto draw = [&] { return static_cast<double>(random() % 7); };  // with equal ones
  for (int round = 0; round < 50; ++round) {
    RankInfluence influence(kShape, kTokens, kSinks);
    std::vector<Numbers> by_rank(4, Numbers(kTokens - kSinks));
    for (int document = 0; document < 3; ++document) {
      Numbers scores(4 * kTokens), nats(4 * kTokens);
      std::generate(scores.begin(), scores.end(), draw);
      std::generate(nats.begin(), nats.end(), draw);
      nats[1] += 1;  // not all zero
      influence.add(scores_of(scores), nats);
      double sum = 0;
      for (std::size_t i = 0; i < nats.size(); ++i) sum += i % kTokens < kSinks ? 0 : nats[i];
      for (std::size_t head = 0; head < 4; ++head) {
        std::vector<std::size_t> tokens(kTokens - kSinks);
        std::iota(tokens.rbegin(), tokens.rend(), kSinks);  // the latest first
        std::stable_sort(tokens.begin(), tokens.end(), [&](std::size_t a, std::size_t b) {
          return scores[head * kTokens + a] > scores[head * kTokens + b];
        });
        for (std::size_t rank = 0; rank < tokens.size(); ++rank) {
          by_rank[head][rank] += nats[head * kTokens + tokens[rank]] / sum;
        }
      }
    }
    for (std::size_t total = 4; total <= 24; ++total) {
      CAPTURE(round, total);
      const std::vector<std::size_t> slots = influence.slots(total);
      CHECK(std::accumulate(slots.begin(), slots.end(), std::size_t{0}) == total);
      CHECK(slots == twin_slots(by_rank, total));
    }
  }
}

TEST_CASE("A table has the mean of its shares as budgets, each once") {
  RankInfluence influence(kShape, kTokens, kSinks);
  Numbers scores(24), nats(24);
  std::iota(scores.begin(), scores.end(), 0.0);
  for (std::size_t i = 0; i < nats.size(); ++i) nats[i] = 1 / (1.0 + static_cast<double>(i));
  influence.add(scores_of(scores), nats);
  // Under the sinks' four slots of 24 no head can go; 0.5 and 0.51 are the same twelve.
  const HeadBudgets table =
      head_budgets(influence, kShape, kTokens, kSinks, Numbers{0.01, 0.5, 0.51, 1});
  CHECK(table.budgets == Numbers{4.0 / 24, 0.5, 1});
  REQUIRE(table.shares.size() == 12);
  for (std::size_t b = 0; b < 3; ++b) {
    const auto shares = table.shares.begin() + static_cast<std::ptrdiff_t>(4 * b);
    CHECK(std::accumulate(shares, shares + 4, 0.0) / 4 == Approx(table.budgets[b]).epsilon(1e-14));
    CHECK(*std::min_element(shares, shares + 4) >= 1.0 / 6);
  }
}

TEST_CASE("A document without influence teaches nothing") {
  RankInfluence influence(kShape, kTokens, kSinks);
  CHECK_THROWS_WITH(influence.add(scores_of(Numbers(24)), Numbers(24)),
                    Catch::Contains("without any influence"));
}

}  // namespace
}  // namespace longshadow
