#include "engine/io/json.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>

#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using Catch::StartsWith;
using nlohmann::json;
using test::error_of;

json parse(std::string_view text) { return parse_json(bytes_of(text), "config.json"); }

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST_CASE("a JSON document keeps every type and the exact integers") {
  const json document = parse(
      R"( {"null": null, "flag": true, "big": 18446744073709551615, "least": -9223372036854775808,
           "half": 0.5, "text": "\u00e9\ud83d\ude00 é", "list": [1, [2, {"deep": 3}], []], "": {}} )");
  CHECK(document.at("null").is_null());
  CHECK(document.at("flag") == true);
  CHECK(document.at("big") == std::numeric_limits<std::uint64_t>::max());
  CHECK(document.at("least") == std::numeric_limits<std::int64_t>::min());
  CHECK(document.at("half") == 0.5);
  CHECK(document.at("text") == "é😀 é");
  CHECK(document.at("list") == json::parse(R"([1, [2, {"deep": 3}], []])"));
  CHECK(document.at("").empty());
  CHECK(parse("7") == 7);
  CHECK(parse(nested(64)).is_array());
}

TEST_CASE("malformed JSON is refused with the reason") {
  struct Case {
    std::string text;
    std::string reason;
  };
  const std::vector<Case> cases = {
      {"", "not valid JSON"},
      {"{", "not valid JSON"},
      {"{} {}", "not valid JSON"},
      {"[1,]", "not valid JSON"},
      {"// comment\n1", "not valid JSON"},
      {nested(65), "nested deeper than 64"},                     // case 76
      {std::string(300'000, '['), "nested deeper than 64"},      // a peer's crash
      {R"({"a": 1, "a": 2})", "the key 'a' is repeated"},        // case 77
      {R"([{"b": {"a": 1, "\u0061": 2}}])", "'a' is repeated"},  // however it is spelled
      {"\xef\xbb\xbf{}", "byte order mark"},                     // case 78
      {"\"\xff\"", "ill-formed UTF-8"},
      {"\"\xc0\x80\"", "ill-formed UTF-8"},
      {"\"\xed\xa0\x80\"", "ill-formed UTF-8"},
      {R"("\ud800")", "surrogate"},  // case 79
      {R"("\udc00\ud800")", "surrogate"},
      {"[NaN]", "not valid JSON"},  // case 80
      {"[Infinity]", "not valid JSON"},
      {"[1e400]", "1e400"},
      {"[-1e400]", "1e400"},
  };
  for (const Case& each : cases) {
    DYNAMIC_SECTION(each.text.substr(0, 40)) {
      const std::string error = error_of([&] { parse(each.text); });
      CHECK_THAT(error, StartsWith("config.json: "));
      CHECK_THAT(error, Contains(each.reason));
    }
  }
}

TEST_CASE("a JSON file over the size cap is refused unread") {  // case 97
  const std::vector<std::byte> huge(kMaxJsonBytes + 1);
  CHECK_THAT(error_of([&] { parse_json(huge, "x.json"); }), Contains("expected at most"));
}

TEST_CASE("members are fetched by type, an error names file and key") {
  const json object =
      parse(R"({"n": 3, "negative": -1, "real": 1.5, "s": "x", "b": false, "null": null,
                "list": [1], "object": {}, "huge": 18446744073709551616})");
  const std::string where = "config.json: 'rope'";
  CHECK(json_at<std::uint64_t>(object, "n", where) == 3);
  CHECK(json_at<double>(object, "n", where) == 3.0);
  CHECK(json_at<double>(object, "real", where) == 1.5);
  CHECK(json_at<std::string>(object, "s", where) == "x");
  CHECK_FALSE(json_at<bool>(object, "b", where));
  CHECK(json_object_at(object, "object", where).empty());
  CHECK(json_array_at(object, "list", where).size() == 1);

  CHECK(json_find<std::uint64_t>(object, "n", where) == 3);
  CHECK_FALSE(json_find<std::uint64_t>(object, "missing", where));
  CHECK_FALSE(json_find<std::uint64_t>(object, "null", where));
  CHECK(json_object_find(object, "missing", where) == nullptr);
  CHECK(json_array_find(object, "null", where) == nullptr);

  CHECK(error_of([&] { json_at<bool>(object, "missing", where); }) ==
        "config.json: 'rope': 'missing' is missing");
  // case 94, and what get<uint64_t> would make of it: 18446744073709551615, 1 and 0
  CHECK(error_of([&] { json_at<std::uint64_t>(object, "negative", where); }) ==
        "config.json: 'rope': 'negative': expected a non-negative integer, found number -1");
  CHECK_THAT(error_of([&] { json_at<std::uint64_t>(object, "real", where); }), Contains("1.5"));
  CHECK_THAT(error_of([&] { json_at<std::uint64_t>(object, "huge", where); }),
             Contains("non-negative integer"));
  CHECK_THAT(error_of([&] { json_find<std::uint64_t>(object, "s", where); }),
             Contains("found string"));
  CHECK_THAT(error_of([&] { json_at<std::string>(object, "n", where); }),
             Contains("expected a string"));
  CHECK_THAT(error_of([&] { json_at<bool>(object, "n", where); }), Contains("true or false"));
  CHECK_THAT(error_of([&] { json_at<double>(object, "s", where); }), Contains("a number"));
  CHECK_THAT(error_of([&] { json_object_at(object, "list", where); }), Contains("an object"));
  CHECK_THAT(error_of([&] { json_object_find(object, "s", where); }), Contains("an object"));
  CHECK_THAT(error_of([&] { json_array_at(object, "object", where); }), Contains("an array"));
  CHECK_THAT(error_of([&] { json_array_find(object, "n", where); }), Contains("an array"));
  CHECK_THAT(error_of([&] { json_at<bool>(json::array(), "n", where); }),
             Contains("expected an object, found array"));
}

TEST_CASE("ordered JSON keeps its objects' order and is as strict") {
  const auto ordered = [](std::string_view text) {
    return parse_ordered_json(bytes_of(text), "chat.json").dump();
  };
  CHECK(ordered(R"({"z": [1, {"b": null, "a": "x"}], "y": {}})") ==
        R"({"z":[1,{"b":null,"a":"x"}],"y":{}})");
  CHECK_THAT(error_of([&] { ordered(R"({"a": {"z": 1, "y": 2, "z": 3}})"); }),
             Contains("chat.json: the key 'z' is repeated"));
  CHECK(ordered(R"([{"z": 1}, {"z": 2}])") == R"([{"z":1},{"z":2}])");
}

}  // namespace
}  // namespace longshadow
