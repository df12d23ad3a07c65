#include "engine/policies/learned/head_budgets.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/policies/registry.h"
#include "engine/policy/top_slots.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace longshadow {
namespace {

using Slots = std::vector<std::size_t>;

constexpr std::size_t kLayers = 2, kHeads = 2;
const std::string kDigest = "0123456789abcdef0123456789abcdef";

/// A good file, whose parts a test replaces.
const std::string kFile = R"({"format": "longshadow head budgets", "format_version": 1,
 "model": {"name": "tiny", "weights_sha256": "0123456789abcdef0123456789abcdef"},
 "layers": 2, "kv_heads": 2, "ranking": "h2o", "budgets": [0.25, 0.5],
 "shares": [[[0.7, 0.1], [0.1, 0.1]], [[1, 0.4], [0.3, 0.3]]]})";

std::string with(const std::string& part, const std::string& other) {
  std::string text = kFile;
  const std::size_t begin = text.find(part);
  REQUIRE(begin != std::string::npos);
  return text.replace(begin, part.size(), other);
}

struct Folder {
  test::TemporaryFolder folder;
  PolicyModel model{kLayers, kHeads, [] { return kDigest; }, folder.path(),
                    [](const std::string& ranking) { return "learn budgets for " + ranking; }};

  std::filesystem::path write(const std::string& text, const std::string& name = "b.json") const {
    const std::filesystem::path path = folder.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }
  std::string refusal(const std::string& text) const {
    const std::filesystem::path path = write(text);
    const std::string message = test::error_of([&] { read_head_budgets(path, model); });
    CHECK(message.find(path.string()) == 0);
    CHECK(message.find('\n') == std::string::npos);
    return message;
  }
};

std::size_t sum(const Slots& slots) {
  return std::accumulate(slots.begin(), slots.end(), std::size_t{0});
}

TEST_CASE("Head budgets are read as they were written, and shared out in whole slots") {
  const Folder folder;
  const HeadBudgets table = read_head_budgets(folder.write(kFile), folder.model);
  CHECK(table.budgets == std::vector<double>{0.25, 0.5});
  CHECK(slots_by_head(table, 100, 25, 1) == Slots{70, 10, 10, 10});
  CHECK(slots_by_head(table, 100, 50, 1) == Slots{100, 40, 30, 30});
  CHECK(slots_by_head(table, 100, 100, 1) == Slots(4, 100));
  // In proportion below the first, on lines between and above: (0.7 + 1) / 2 at 0.375, and at 0.75
  // halfway from 0.5 to all.
  CHECK(slots_by_head(table, 200, 25, 1) == Slots{70, 10, 10, 10});
  CHECK(slots_by_head(table, 80, 30, 1) == Slots{68, 20, 16, 16});
  CHECK(slots_by_head(table, 100, 75, 1) == Slots{100, 70, 65, 65});
  // What the floors take, the others give by one factor: 16 + 16 + 16 leave 52 of 100.
  CHECK(slots_by_head(table, 100, 25, 16) == Slots{52, 16, 16, 16});
}

TEST_CASE("Slots in all are the budget's, whatever the shares") {
  const Folder folder;
  const HeadBudgets table = read_head_budgets(folder.write(kFile), folder.model);
  for (std::size_t n = 5; n < 200; n += 13) {
    for (std::size_t mean = 4; mean <= n; ++mean) {
      CAPTURE(n, mean);
      const Slots slots = slots_by_head(table, n, mean, 4);
      CHECK(sum(slots) == mean * kLayers * kHeads);
      CHECK(*std::max_element(slots.begin(), slots.end()) <= n);
      CHECK(*std::min_element(slots.begin(), slots.end()) >= 4);
    }
  }
  CHECK_THROWS_WITH(slots_by_head(table, 100, 3, 4),
                    Catch::Contains("3 of 100 slots") && Catch::Contains("sure of 4"));
}

TEST_CASE("A file of budgets that is not as it should be is refused in one line") {
  const Folder folder;
  CHECK_THAT(folder.refusal("{"), Catch::Contains("b.json"));
  CHECK_THAT(folder.refusal(with("longshadow head budgets", "other")),
             Catch::Contains("found format \"other\", version 1"));
  CHECK_THAT(folder.refusal(with("\"format_version\": 1", "\"format_version\": 2")),
             Catch::Contains("version 2"));
  CHECK_THAT(folder.refusal(with("0123456789abcdef0123", "ff23456789abcdef0123")),
             Catch::Contains("those of another (ff23456789abcdef...)"));
  CHECK_THAT(folder.refusal(with("\"layers\": 2", "\"layers\": 3")),
             Catch::Contains("expected 2 layers of 2 KV heads, found 3 of 2"));
  CHECK_THAT(folder.refusal(with("[0.25, 0.5]", "[0.5, 0.25]")), Catch::Contains("that ascend"));
  CHECK_THAT(folder.refusal(with("[0.25, 0.5]", "[0, 0.5]")), Catch::Contains("above 0"));
  CHECK_THAT(folder.refusal(with("[0.25, 0.5]", "[]")), Catch::Contains("at least one"));
  CHECK_THAT(folder.refusal(with("[0.25, 0.5]", "[0.25, 0.5, 1]")),
             Catch::Contains("expected a list of 3, found one of 2"));
  CHECK_THAT(folder.refusal(with("[0.7, 0.1]", "[0.8, 0.1]")), Catch::Contains("a mean of 0.275"));
  CHECK_THAT(folder.refusal(with("[0.7, 0.1]", "[1.7, -0.9]")),
             Catch::Contains("numbers from 0 to 1"));
  CHECK_THAT(folder.refusal(with("[0.7, 0.1]", "[0.7, \"0.1\"]")),
             Catch::Contains("numbers from 0 to 1"));
  CHECK_THAT(folder.refusal(with("[0.7, 0.1]", "[0.7]")), Catch::Contains("found one of 1"));
  CHECK_THAT(folder.refusal(with("[0.7, 0.1]", "0.8")), Catch::Contains("something else"));
  CHECK_THAT(folder.refusal(with("\"shares\"", "\"share\"")), Catch::Contains("shares"));
}

TEST_CASE("Budgets divide another policy's slots, by a file named or left for the model") {
  const Folder folder;
  const std::filesystem::path path = folder.write(kFile, "in/a folder/budgets.json");
  const std::string named = "budgets:" + path.string() + "/knorm";
  const auto policy = make_policy(named, folder.model);
  CHECK(policy->traits().files_sha256.size() == 1);
  CHECK(policy->traits().n_sink == 4);
  CHECK(make_policy("knorm")->traits().files_sha256.empty());

  std::vector<TokenScores> layers(kLayers, TokenScores(kHeads, 100));
  for (TokenScores& layer : layers) {
    for (std::size_t head = 0; head < kHeads; ++head) {
      for (std::size_t i = 0; i < 100; ++i) {
        layer.head(head)[i] = static_cast<double>(i * 37 % 100);
      }
    }
  }
  const std::vector<KeptSlots> kept = keep(*policy, layers, 0.25);
  const Slots slots{70, 10, 10, 10};
  for (std::size_t head = 0; head < 4; ++head) {
    const TokenScores& scores = layers[head / kHeads];
    CHECK(kept[head / kHeads].by_head[head % kHeads] ==
          top_slots(scores.head(head % kHeads), slots[head]));
  }

  CHECK_THAT(test::error_of([&] { make_policy("budgets/h2o", folder.model); }),
             Catch::Contains("0123456789abcdef/budgets-h2o.json, found no such file") &&
                 Catch::Contains("make it in two minutes: learn budgets for h2o"));
  folder.write(kFile, "0123456789abcdef/budgets-h2o.json");
  CHECK(make_policy("budgets/h2o", folder.model)->traits().attention_queries == kAllQueries);
  CHECK_THAT(test::error_of([&] { make_policy("budgets/h2o"); }),
             Catch::Contains("a file made for one model, and none is given"));
  CHECK_THAT(test::error_of([&] { make_policy("adakv:b.json/h2o", folder.model); }),
             Catch::Contains("found \"b.json\""));
  CHECK_THAT(test::error_of([&] { make_policy("budgets:a,b/h2o", folder.model); }),
             Catch::Contains("found \"b\""));
}

}  // namespace
}  // namespace longshadow
