#include "engine/policies/registry.h"

#include <catch2/catch.hpp>

#include "tests/support/error_of.h"

namespace longshadow {
namespace {

std::string refusal_of(const char* text) {
  return test::error_of([&] { make_policy(text); });
}

TEST_CASE("Every policy is made by its name, with its defaults") {
  CHECK(policy_names().size() == 21);
  for (const std::string_view name : policy_names()) {
    CAPTURE(name);
    if (name == "budgets" || name == "learned") continue;  // need a file of a model
    CHECK(make_policy(name) != nullptr);
  }
  CHECK(make_policy("snapkv")->traits().n_recent == 64);
  CHECK(make_policy("snapkv")->traits().attention_queries == 64);
  CHECK(make_policy("adakv")->traits().attention_queries == 64);
  CHECK(make_policy("infokv")->traits().n_sink == 4);
  CHECK(make_policy("h2o:recent=32")->traits().n_recent == 32);
  CHECK(make_policy("rpc")->traits().attention_queries == 32);
  CHECK(make_policy("cake")->traits().window_queries == 32);
  CHECK(make_policy("chunkkv:length=10/tova:n_sink=2")->traits().n_sink == 2);
}

TEST_CASE("An unknown policy's message suggests the nearest") {
  CHECK(refusal_of("snapvk").find("did you mean snapkv?") != std::string::npos);
  CHECK(refusal_of("expected_attention").find("did you mean expected-attention?") !=
        std::string::npos);
  CHECK(refusal_of("streaming:n_sink=2").find("did you mean streaming-llm?") != std::string::npos);
  CHECK(refusal_of("adakv/infokw").find("did you mean infokv?") != std::string::npos);
}

TEST_CASE("Options that a policy does not have, or not so, are refused") {
  CHECK_THAT(refusal_of("snapkv:windw=3"), Catch::Contains("did you mean window?"));
  CHECK_THAT(refusal_of("full:n_sink=3"), Catch::Contains("it has none"));
  CHECK_THAT(refusal_of("snapkv:window"), Catch::Contains("found \"window\""));
  CHECK_THAT(refusal_of("snapkv:window=3,window=4"), Catch::Contains("given twice"));
  CHECK_THAT(refusal_of("snapkv:window=0"), Catch::Contains("at least 1, found \"0\""));
  CHECK_THAT(refusal_of("snapkv:window=-1"), Catch::Contains("found \"-1\""));
  CHECK_THAT(refusal_of("snapkv:window=3x"), Catch::Contains("found \"3x\""));
  CHECK_THAT(refusal_of("snapkv:kernel=4"), Catch::Contains("odd"));
  CHECK_THAT(refusal_of("pyramidkv:beta=0.5"), Catch::Contains("at least 1"));
  CHECK_THAT(refusal_of("adakv:alpha=1.5"), Catch::Contains("at most 1"));
  CHECK_THAT(refusal_of("rpc:kernel=4"), Catch::Contains("odd"));
  CHECK_THAT(refusal_of("rpc:ratio=0.5"), Catch::Contains("at least 1"));
  CHECK_THAT(refusal_of("infokv:alpha=nan"), Catch::Contains("found \"nan\""));
  CHECK_THAT(refusal_of("infokv:entropy=after"), Catch::Contains("one of before, at"));
}

TEST_CASE("Only wrappers wrap, and only policies that score") {
  CHECK_THAT(refusal_of("snapkv/knorm"), Catch::Contains("wraps no other policy"));
  CHECK_THAT(refusal_of("adakv/chunkkv"), Catch::Contains("name one wrapper"));
  CHECK_THAT(refusal_of("adakv/"), Catch::Contains("unknown policy \"\""));
}

}  // namespace
}  // namespace longshadow
