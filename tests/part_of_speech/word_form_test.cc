#include "engine/part_of_speech/words/word_form.h"

#include <catch2/catch.hpp>

namespace longshadow {
namespace {

TEST_CASE("affixes count code points") {
  CHECK(prefix_of("naïve", 3) == "naï");
  CHECK(suffix_of("naïve", 3) == "ïve");
  CHECK(prefix_of("né", 4) == "né");
  CHECK(suffix_of("né", 5) == "né");
  CHECK(prefix_of("né", 2) == "né");
}

TEST_CASE("shapes cut runs to two") {
  CHECK(shape_of("McDonald's") == "XxXxx'x");
  CHECK(shape_of("1,234-5") == "d,dd-d");
  CHECK(shape_of("ÉTAT…") == "XX…");
  CHECK(shape_of("----") == "--");
}

TEST_CASE("normalised forms share digits and addresses") {
  CHECK(normalised("Boeing747") == "boeing000");
  CHECK(normalised("http://a.org") == normalised("www.b.org"));
  CHECK(normalised("a@b.c") == normalised("d@e"));
  CHECK(normalised("@") == "@");
  CHECK(lower_case("ÀΣx1") == "àσx1");
}

TEST_CASE("the hash is FNV-1a") {  // its authors' test vectors
  CHECK(hash_of("") == 0xcbf29ce484222325);
  CHECK(hash_of("foobar") == 0x85944171f73967e8);
}

}  // namespace
}  // namespace longshadow
