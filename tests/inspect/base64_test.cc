#include "analysis/inspect/base64.h"

#include <catch2/catch.hpp>
#include <span>
#include <string>
#include <vector>

using longshadow::base64;

namespace {

std::string coded(const std::string& text) { return base64(std::as_bytes(std::span(text))); }

}  // namespace

TEST_CASE("base64 gives the test vectors of RFC 4648") {
  CHECK(coded("").empty());
  CHECK(coded("f") == "Zg==");
  CHECK(coded("fo") == "Zm8=");
  CHECK(coded("foo") == "Zm9v");
  CHECK(coded("foob") == "Zm9vYg==");
  CHECK(coded("fooba") == "Zm9vYmE=");
  CHECK(coded("foobar") == "Zm9vYmFy");
}

TEST_CASE("base64 codes bytes above 127") {
  const std::vector<unsigned char> bytes = {0xff, 0xfe, 0xfd};
  CHECK(base64(std::as_bytes(std::span(bytes))) == "//79");
}
