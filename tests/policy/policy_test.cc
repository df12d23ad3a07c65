#include "engine/policy/policy.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/policies/registry.h"
#include "tests/policy/layer_fixture.h"
#include "tests/support/error_of.h"
#include "tests/support/keep_layer.h"

namespace longshadow {
namespace {

using test::kPolicyFixtures;
using test::LayerFixture;
using test::PolicyFixture;
using Slots = std::vector<std::uint32_t>;

/// One layer, of two KV heads of size 2, whose keys and attention are what a test makes of them.
struct SmallLayer {
  explicit SmallLayer(std::size_t tokens)
      : n(tokens),
        keys(4 * tokens, 1),
        values(4 * tokens, 1),
        attention(2 * tokens),
        window(4 * tokens, 1),
        entropy(tokens),
        drift(tokens),
        influence(tokens) {}

  LayerView view(std::size_t window_queries = 0) const {
    return {.place = {0, 2},
            .n = n,
            .keys = {keys.data(), 2, n, 2},
            .values = {values.data(), 2, n, 2},
            .queries = {},
            .frequencies = {},
            .window_queries = {window.data(), 2, std::min(n, window_queries), 2},
            .attention = {attention.data(), 2, n, n},
            .entropy = entropy,
            .drift = drift,
            .influence = influence};
  }
  Slots kept(const char* policy, double share, std::size_t head = 0) const {
    const auto made = make_policy(policy);
    return test::keep_layer(*made, view(made->traits().window_queries), share).by_head[head];
  }

  std::size_t n;
  std::vector<float> keys, values;
  std::vector<double> attention;
  std::vector<float> window;  ///< the last queries, a KV head's one query head
  std::vector<float> entropy, drift;
  std::vector<double> influence;
};

TEST_CASE("The number kept is that of IEEE double arithmetic as written") {
  CHECK(n_kept(1000, 0.9) == 99);
  CHECK(n_kept(1000, 0.8) == 199);
  CHECK(n_kept(4096, 0.9) == 409);
  CHECK(n_kept(1000, 0) == 1000);
  CHECK(n_kept(3, 0.9) == 1);
  CHECK(n_kept(1000, 1) == 0);
}

TEST_CASE("PyramidKV's budgets are kvpress's to the slot") {
  const auto pyramid = make_policy("pyramidkv");
  const auto budgets = [&](std::size_t n, double compression) {
    const std::vector<std::size_t> all = pyramid->budget({32, 2}, n, compression);
    std::vector<std::size_t> of_layers;
    for (const std::size_t layer : {0, 1, 15, 31}) {
      CHECK(all[2 * layer] == all[2 * layer + 1]);
      of_layers.push_back(all[2 * layer]);
    }
    return of_layers;
  };
  using Budgets = std::vector<std::size_t>;
  CHECK(budgets(4096, 0.5) == Budgets{3994, 3868, 2111, 102});
  CHECK(budgets(4096, 0.25) == Budgets{4032, 3970, 3103, 2112});
  CHECK(budgets(16384, 0.9) == Budgets{3195, 3094, 1689, 82});
  CHECK(budgets(2048, 0.5) == Budgets{1984, 1922, 1055, 64});
  CHECK(budgets(4096, 0.9) == Budgets{410, 410, 410, 410});
  CHECK(pyramid->budget({1, 1}, 4096, 0.5).front() == 3994);  // one layer: no step
  CHECK(pyramid->budget({32, 1}, 3, 0.9).front() == 1);
  CHECK(pyramid->budget({32, 1}, 5, 0.5).front() == 2);  // half to even
}

TEST_CASE("A budget is above 0 and at most 1, and 1 keeps everything") {
  const SmallLayer layer(80);
  for (const std::string_view name : policy_names()) {
    if (name == "expected-attention") continue;  // needs queries; the fixture's layers have them
    if (name == "budgets" || name == "learned") continue;  // need a file
    CAPTURE(name);
    const auto policy = make_policy(name);
    const std::vector<TokenScores> layers(
        1, protected_scores(*policy, layer.view(policy->traits().window_queries)));
    CHECK(keep(*policy, layers, 1).front().total() == 160);
    for (const double share : {0.0, -0.5, 1.5, std::nan("")}) {
      CHECK_THAT(test::error_of([&] { keep(*policy, layers, share); }),
                 Catch::Contains("above 0 and at most 1"));
    }
  }
}

TEST_CASE("A prompt must be longer than what is protected, and the view complete") {
  const SmallLayer layer(64);
  CHECK_THAT(test::error_of([&] { layer.kept("snapkv", 0.5); }),
             Catch::Contains("more than 64 tokens, found 64"));
  const PolicyTraits rpc = make_policy("rpc")->traits();
  CHECK_THAT(
      test::error_of([&] { check_prompt(rpc, 5000); }),
      Catch::Contains("keeps every token of a prompt") && Catch::Contains("longshadow generate"));
  LayerView view = layer.view();
  view.influence = {};
  CHECK_THAT(test::error_of([&] { test::keep_layer(*make_policy("oracle"), view, 0.5); }),
             Catch::Contains("needs influence of 64 tokens"));
  CHECK_THAT(
      test::error_of([&] { test::keep_layer(*make_policy("expected-attention"), view, 0.5); }),
      Catch::Contains("needs queries"));
}

TEST_CASE("A score that is not a number is refused") {
  SmallLayer layer(10);
  layer.influence[7] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THAT(test::error_of([&] { layer.kept("oracle", 0.5); }),
             Catch::Contains("score of token 7 is not a number"));
}

TEST_CASE("Sinks outrank the window, and both all other tokens") {
  SmallLayer layer(100);
  std::iota(layer.influence.begin(), layer.influence.end(), 0.0);
  CHECK(layer.kept("oracle:n_sink=2", 0.04) == Slots{0, 1, 98, 99});
  CHECK(layer.kept("streaming-llm", 0.06) == Slots{0, 1, 2, 3, 98, 99});
  // Of 12 slots 4 go to the sinks and 8 to the most recent of the window's 64.
  const Slots kept = layer.kept("infokv", 0.12);
  CHECK(kept.front() == 0);
  CHECK(kept[3] == 3);
  CHECK(kept[4] >= 36);
  // The attention is zero everywhere, and H2O's recent tokens are kept all the same.
  CHECK(layer.kept("h2o:recent=3,n_sink=1", 0.04) == Slots{0, 97, 98, 99});
}

TEST_CASE("Full keeps all at any budget") { CHECK(SmallLayer(30).kept("full", 0.1).size() == 30); }

TEST_CASE("Random is fixed by its seed, the layer and the head") {
  const SmallLayer layer(200);
  CHECK(layer.kept("random", 0.5) == layer.kept("random:seed=0", 0.5));
  CHECK(layer.kept("random", 0.5) != layer.kept("random:seed=1", 0.5));
  CHECK(layer.kept("random", 0.5, 0) != layer.kept("random", 0.5, 1));
  LayerView next = layer.view();
  next.place.layer = 1;
  CHECK(layer.kept("random", 0.5) !=
        test::keep_layer(*make_policy("random"), next, 0.5).by_head[0]);
  // The C++ standard fixes the generator and its seeding, so this holds on every platform.
  const TokenScores scores = make_policy("random:seed=7")->scores(layer.view());
  CHECK(scores.head(1)[0] == 0x1.21edbcf0d5bf2p-1);
}

TEST_CASE("Heads that look together keep the same slots") {
  SmallLayer layer(12);
  layer.attention[1] = 8;       // of head 0
  layer.attention[12 + 5] = 4;  // of head 1
  layer.attention[12 + 6] = 3;
  const auto policy = make_policy("rpc:window=2,kernel=3");
  const TokenScores scores = policy->scores(layer.view());
  // A mean over two queries and two heads, and a sum over three neighbours by three.
  for (const std::size_t head : {0U, 1U}) {
    CHECK(scores.head(head)[0] == Approx(8.0 / 4 / 3));
    CHECK(scores.head(head)[5] == Approx(7.0 / 4 / 3));
    CHECK(scores.head(head)[7] == Approx(3.0 / 4 / 3));
    CHECK(scores.head(head)[9] == 0);
  }
  CHECK(test::keep_layer(*policy, layer.view(), 0.5).by_head ==
        std::vector<Slots>(2, Slots{0, 1, 2, 6, 10, 11}));  // of equal scores the later one
  for (const char* name : {"rpc", "tova", "chunkkv/rpc", "key-rotation/tova"}) {
    CHECK(make_policy(name)->traits().joint_heads);
  }
  CHECK(!make_policy("adakv/tova")->traits().joint_heads);
}

TEST_CASE("InfoKV adds a softmax of entropy, weighted by drift, to the attention of the window") {
  SmallLayer layer(20);
  // Window 4, kernel 1: attention is a sum over the window's queries, here of shares 2 and 1.
  layer.attention[6] = 8;
  layer.attention[20 + 9] = 4;
  layer.entropy[4] = 3;  // before token 5
  layer.entropy[10] = 1;
  layer.drift[5] = 0.5;
  layer.drift[11] = 0.25;
  layer.drift[10] = 0.125;
  const auto scores = [&](const char* options) {
    const auto policy = make_policy(std::string("infokv:window=4,kernel=1,n_sink=1,") + options);
    return policy->scores(layer.view());
  };
  // 15 tokens are neither sink nor window; E is 0 for 13 of them, (0.5 + 1) 3 and (0.25 + 1) 1.
  const double sum = 13 + std::exp(4.5) + std::exp(1.25);
  const TokenScores paper = scores("entropy=before");
  CHECK(paper.head(0)[6] == Approx(0.9 * 2 + 0.1 / sum));
  CHECK(paper.head(1)[9] == Approx(0.9 * 1 + 0.1 / sum));
  CHECK(paper.head(0)[5] == Approx(0.1 * std::exp(4.5) / sum));
  CHECK(paper.head(1)[5] == paper.head(0)[5]);
  CHECK(paper.head(0)[11] == Approx(0.1 * std::exp(1.25) / sum));

  // (0.125 + 2) 1 for token 10 and (0 + 2) 3 for token 4.
  const TokenScores at = scores("entropy=at,tau=2,alpha=0");
  CHECK(at.head(0)[10] == Approx(std::exp(2.125) / (13 + std::exp(2.125) + std::exp(6.0))));

  // Sink and window count as well, and their E is 0 too.
  const TokenScores all = scores("softmax=all,alpha=0.5");
  CHECK(all.head(0)[5] == Approx(0.5 * std::exp(4.5) / (sum + 5)));

  const TokenScores attention = scores("alpha=1");
  const TokenScores snapkv = make_policy("snapkv:window=4,kernel=1")->scores(layer.view());
  for (std::size_t head = 0; head < 2; ++head) {
    CHECK(std::equal(attention.head(head).begin(), attention.head(head).end(),
                     snapkv.head(head).begin()));
  }
}

// Slots that hold tokens 0 to 4, then 9 to 23: what was before token 9 was evicted long ago, and
// yet its entropy is what counts for it.
TEST_CASE("InfoKV finds the signals of slots with gaps by their tokens") {
  SmallLayer layer(20);
  Slots tokens(20);
  for (std::uint32_t i = 0; i < 20; ++i) tokens[i] = i < 5 ? i : i + 4;
  std::vector<float> entropy(24), drift(24);
  entropy[8] = 2;
  entropy[11] = 1;
  drift[9] = 0.5;
  drift[12] = 0.25;
  LayerView view = layer.view();
  view.tokens = tokens;
  view.entropy = entropy;
  view.drift = drift;
  const auto scores = make_policy("infokv:window=4,n_sink=1,alpha=0")->scores(view);
  const double sum = 13 + std::exp(3.0) + std::exp(1.25);
  CHECK(scores.head(0)[5] == Approx(std::exp(3.0) / sum));   // token 9
  CHECK(scores.head(0)[8] == Approx(std::exp(1.25) / sum));  // token 12
  CHECK(scores.head(0)[6] == Approx(1 / sum));
  view.drift = std::span(drift).first(23);
  CHECK_THAT(test::error_of([&] { protected_scores(*make_policy("infokv:window=4"), view); }),
             Catch::Contains("drift"));
}

TEST_CASE("LagKV passes over a channel that the next block holds constant") {
  // All keys and values are equal: every rank is a tie, and nothing divides by zero.
  CHECK(SmallLayer(300).kept("lagkv", 0.5).size() == 150);
  // Too short for a block and the next: the most recent, behind the sinks.
  CHECK(SmallLayer(20).kept("lagkv:n_sink=2", 0.25) == Slots{0, 1, 17, 18, 19});
}

TEST_CASE("One budget may be for the heads of all layers") {
  std::vector<TokenScores> layers(2, TokenScores(2, 20));
  for (std::size_t i = 0; i < 20; ++i) {
    layers[0].head(0)[i] = 1;
    layers[0].head(1)[i] = 2;
    layers[1].head(0)[i] = 3 + static_cast<double>(i);
    layers[1].head(1)[i] = 0;
  }
  // Half of 80 slots: each head is sure of floor(10 * 0.2) of its own, the others go to the
  // highest.
  const std::vector<KeptSlots> kept = keep(*make_policy("adakv:over=model/knorm"), layers, 0.5);
  CHECK(kept[0].by_head[0] == Slots{18, 19});
  CHECK(kept[0].by_head[1] == Slots{4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19});
  CHECK(kept[1].by_head[0].size() == 20);
  CHECK(kept[1].by_head[1] == Slots{18, 19});
  CHECK(make_policy("adakv:over=model/knorm")->traits().across_layers);
  // An oracle over the model: the sinks first, which protected_scores() puts on top.
  for (TokenScores& layer : layers) {
    for (std::size_t head = 0; head < 2; ++head) layer.head(head)[0] = 99;
  }
  const auto oracle = make_policy("oracle:by=global,n_sink=1");
  const std::vector<KeptSlots> best = keep(*oracle, layers, 0.12);
  CHECK(best[0].by_head[0] == Slots{0});
  CHECK(best[0].by_head[1] == Slots{0});
  CHECK(best[1].by_head[0] == Slots{0, 16, 17, 18, 19});
  CHECK(best[1].by_head[1] == Slots{0});
}

TEST_CASE("An oracle knows what tokens do that leave everywhere, or one head alone") {
  SmallLayer layer(4);
  layer.influence = {4, 3, 2, 1, 1, 2, 3, 4};  // by head, [K, n]
  LayerView view = layer.view();
  CHECK(test::keep_layer(*make_policy("oracle:by=head"), view, 0.5).by_head ==
        std::vector<Slots>{{0, 1}, {2, 3}});
  CHECK_THAT(test::error_of([&] { test::keep_layer(*make_policy("oracle"), view, 0.5); }),
             Catch::Contains("needs influence of 4 tokens"));
  view.influence = view.influence.first(4);
  CHECK(test::keep_layer(*make_policy("oracle"), view, 0.5).by_head ==
        std::vector<Slots>{{0, 1}, {0, 1}});
}

TEST_CASE("Ada-KV lets heads keep different numbers, within one budget") {
  SmallLayer layer(20);
  std::fill_n(layer.keys.begin() + 40, 40, 0.5f);  // head 1: all of lower norm than head 0's
  const KeptSlots kept = test::keep_layer(*make_policy("adakv/knorm"), layer.view(), 0.5);
  CHECK(kept.by_head[0].size() == 2);  // floor(10 * 0.2)
  CHECK(kept.by_head[1].size() == 18);
  CHECK(
      test::keep_layer(*make_policy("adakv:alpha=1/knorm"), layer.view(), 0.5).by_head[0].size() ==
      10);
  CHECK(
      test::keep_layer(*make_policy("adakv:alpha=0/knorm"), layer.view(), 0.5).by_head[0].empty());
  // At least one slot, where the share comes to less: 0.2 of 3 or, in doubles, 2.
  CHECK(test::keep_layer(*make_policy("adakv/knorm"), layer.view(), 0.15).by_head[0].size() == 1);
}

TEST_CASE("ChunkKV keeps whole chunks, and by the token where there is none") {
  SmallLayer layer(25);
  layer.influence[24] = 9;
  layer.influence[11] = 8;
  const Slots kept = layer.kept("chunkkv:length=10/oracle", 0.7);
  Slots expected(15);
  std::iota(expected.begin(), expected.end(), 10u);
  CHECK(kept == expected);  // floor(3 * 0.7) chunks: 10 to 19, and the rest
  CHECK(layer.kept("chunkkv:length=30/oracle", 0.1) == Slots{11, 24});
}

TEST_CASE("Policies that kvpress knows nothing of choose from a real layer's view") {
  const PolicyFixture fixture(kPolicyFixtures);
  Cpu cpu(1);
  LayerFixture layer(cpu, fixture, 1);
  for (const char* name : {"infokv", "oracle:n_sink=4", "random", "adakv/infokv"}) {
    CAPTURE(name);
    const auto policy = make_policy(name);
    const KeptSlots kept = test::keep_layer(*policy, layer.view(policy->traits()), 0.25);
    CHECK(kept.total() == fixture.shape.n_kv_heads * n_kept(fixture.n, 0.75));
  }
}

}  // namespace
}  // namespace longshadow
