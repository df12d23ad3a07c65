#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>

#include "engine/ops/cache/key_rotation.h"
#include "engine/policies/registry.h"
#include "tests/policy/layer_fixture.h"
#include "tests/support/keep_layer.h"
#include "tests/support/larger.h"
#include "tests/support/skip.h"

namespace longshadow {
namespace {

using test::kPolicyFixtures;
using test::LayerFixture;
using test::PolicyFixture;

/// kvpress computes in f32: scores nearer to each other than this may change places.
constexpr double kNearTie = 1e-4;

using Slots = std::vector<std::vector<std::uint32_t>>;

bool starts_with(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }

/// The scores by which the policy's selection compares two slots.
TokenScores compared_scores(const std::string& policy, TokenScores scores) {
  if (!starts_with(policy, "chunkkv")) return scores;
  const std::size_t length = policy.find("length=16") == std::string::npos ? 20 : 16;
  for (std::size_t begin = 0; begin < scores.n(); begin += length) {
    const std::size_t size = std::min(length, scores.n() - begin);
    double sum = 0;
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (const double score : scores.head(head).subspan(begin, size)) sum += score;
    }
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (double& score : scores.head(head).subspan(begin, size)) {
        score = sum / static_cast<double>(size);
      }
    }
  }
  return scores;
}

/// Of all layers and heads. Sets that differ by slots of equal scores alone are equally right: any
/// choice inside a tie is.
struct Difference {
  std::size_t kept = 0;
  std::size_t tied = 0;        ///< slots of ours alone that tie with those of theirs alone
  std::size_t differing = 0;   ///< the other slots of ours alone
  double worst_agreement = 1;  ///< share of a layer's and head's slots, the dropped ones too
  double widest_gap = 0;       ///< relative, between a slot of ours alone and one of theirs alone
};

/// The scores of the slots of head `head` that `a` has and `b` has not.
void add_scores_of_missing(const TokenScores& scores, std::size_t head, const Slots& a,
                           const Slots& b, std::vector<double>& to) {
  for (const std::uint32_t slot : a[head]) {
    if (!std::binary_search(b[head].begin(), b[head].end(), slot)) {
      to.push_back(scores.head(head)[slot]);
    }
  }
}

/// Adds what sets of `slots` slots differ by: the scores of the slots that one has alone.
void add(const std::vector<double>& ours, const std::vector<double>& theirs, std::size_t slots,
         Difference& to) {
  REQUIRE(ours.size() == theirs.size());
  if (ours.empty()) return;
  const double best = *std::max_element(ours.begin(), ours.end());
  const double worst = *std::min_element(theirs.begin(), theirs.end());
  REQUIRE(best >= worst);
  if (best == worst) {
    to.tied += ours.size();
    return;
  }
  to.differing += ours.size();
  to.worst_agreement =
      test::smaller(to.worst_agreement, 1 - 2 * double(ours.size()) / double(slots));
  to.widest_gap =
      test::larger(to.widest_gap, (best - worst) / std::max(std::abs(best), std::abs(worst)));
}

void compare(const std::string& policy, const TokenScores& scores, const Slots& ours,
             const Slots& theirs, Difference& difference) {
  const bool heads_compete = starts_with(policy, "adakv");
  std::vector<double> ours_alone, theirs_alone;
  for (std::size_t head = 0; head < ours.size(); ++head) {
    difference.kept += ours[head].size();
    add_scores_of_missing(scores, head, ours, theirs, ours_alone);
    add_scores_of_missing(scores, head, theirs, ours, theirs_alone);
    if (heads_compete && head + 1 < ours.size()) continue;
    add(ours_alone, theirs_alone, scores.n() * (heads_compete ? ours.size() : 1), difference);
    ours_alone.clear();
    theirs_alone.clear();
  }
}

void check(const Difference& difference) {
  CHECK(difference.widest_gap <= kNearTie);
  CHECK(difference.worst_agreement >= 0.995);
}

/// Every policy and budget of the fixture, "snapkv at 0.4".
std::map<std::string, Difference> compare_all(const PolicyFixture& fixture) {
  Cpu cpu(2);
  std::map<std::string, Difference> differences;
  for (std::size_t layer = 0; layer < fixture.n_layers; ++layer) {
    LayerFixture inputs(cpu, fixture, layer);
    for (const auto& expected : fixture.kept["kept"]) {
      const std::string text = expected["policy"];
      const double budget = expected["budget"];
      const auto policy = make_policy(text);
      const LayerView view = inputs.view(policy->traits());
      const KeptSlots kept = test::keep_layer(*policy, view, budget);
      compare(text, compared_scores(text, protected_scores(*policy, view)), kept.by_head,
              expected["slots"][layer].get<Slots>(),
              differences[text + " at " + expected["budget"].dump()]);
    }
  }
  return differences;
}

TEST_CASE("Kept sets equal kvpress's on a tiny model") {
  const PolicyFixture fixture(kPolicyFixtures);
  std::set<std::string> compared;
  for (const auto& [what, difference] : compare_all(fixture)) {
    CAPTURE(what, difference.kept, difference.differing);
    compared.insert(what.substr(0, what.find_first_of(": ")));
    check(difference);
    // Only ranks recur, from block to block.
    if (!starts_with(what, "lagkv")) CHECK(difference.tied == 0);
  }
  CHECK(compared.size() == 14);
}

TEST_CASE("Kept keys turn to their new positions as kvpress turns them") {
  const PolicyFixture fixture(kPolicyFixtures);
  Cpu cpu(1);
  const auto policy = make_policy("key-rotation/snapkv");
  REQUIRE(policy->traits().rotates_keys);
  for (std::size_t layer = 0; layer < fixture.n_layers; ++layer) {
    LayerFixture inputs(cpu, fixture, layer);
    const LayerView view = inputs.view(policy->traits());
    const KeptSlots kept = test::keep_layer(*policy, view, 0.2);
    CHECK(kept.by_head == test::keep_layer(*make_policy("snapkv"), view, 0.2).by_head);

    std::vector<float> moved;
    for (std::size_t head = 0; head < fixture.shape.n_kv_heads; ++head) {
      const std::vector<std::uint32_t>& slots = kept.by_head[head];
      Matrix<float> keys(cpu.memory(), slots.size(), fixture.shape.head_dim);
      for (std::size_t row = 0; row < slots.size(); ++row) {
        std::copy_n(view.keys.head(head).row(slots[row]), keys.cols(), keys.row(row));
      }
      rotate_kept_keys(cpu, std::span(slots), fixture.frequencies, keys.view());
      moved.insert(moved.end(), keys.data(), keys.data() + keys.rows() * keys.cols());
    }
    const std::vector<float> expected = fixture.tensor(layer, "rotated_keys");
    REQUIRE(expected.size() == moved.size());
    // Two products and their sum round thrice; cos and sin of one angle differ by an ulp between
    // libraries: 5 u of at most |a| + |b|.
    const float largest = *std::max_element(expected.begin(), expected.end(), [](float a, float b) {
      return std::abs(a) < std::abs(b);
    });
    const double tolerance = 5 * 0x1p-24 * 2 * std::abs(largest);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      REQUIRE(double(moved[i]) == Approx(expected[i]).margin(tolerance).epsilon(0));
    }
  }
}

TEST_CASE("Kept sets equal kvpress's on a real model", "[parity][long]") {
  const char* folder = std::getenv("LONGSHADOW_POLICY_PARITY");
  if (folder == nullptr) {
    return test::skip(
        "LONGSHADOW_POLICY_PARITY names no folder that tests/parity/make_policy_fixtures.py wrote");
  }
  for (const auto& [what, difference] : compare_all(PolicyFixture(folder))) {
    WARN(what << ": of " << difference.kept << " kept slots " << difference.differing
              << " differ, by a score gap of " << difference.widest_gap << ", and "
              << difference.tied << " tie");
    check(difference);
  }
}

}  // namespace
}  // namespace longshadow
