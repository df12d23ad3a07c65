#include "engine/io/gguf.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>

#include "engine/quantization/dequantize.h"
#include "tests/support/error_of.h"
#include "tests/support/gguf_builder.h"

namespace longshadow {
namespace {

using Catch::Contains;
using Catch::StartsWith;
using test::Bytes;
using test::error_of;
using test::GgufBuilder;
using test::GgufTensor;

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kTwoTo63 = std::uint64_t{1} << 63;

std::vector<std::byte> zeros(std::size_t n) { return std::vector<std::byte>(n); }

/// "a" f32 [2, 3] and "b" Q8_0 [32]: 24 bytes, padded to 32, and 34.
GgufBuilder two_tensors() {
  GgufBuilder builder;
  builder.string("general.architecture", "llama");
  builder.tensor({.name = "b", .dimensions = {3, 2}, .data = zeros(24), .offset = {}});
  builder.tensor({.name = "a", .dimensions = {32}, .type = 8, .data = zeros(34), .offset = {}});
  return builder;
}

GgufBuilder one_tensor(GgufTensor tensor) {
  GgufBuilder builder;
  builder.tensor(std::move(tensor));
  return builder;
}

std::string refusal(const std::vector<std::byte>& file) {
  const std::string error = error_of([&] { parse_gguf(file, "m.gguf"); });
  CHECK_THAT(error, StartsWith("m.gguf: "));
  return error;
}

TEST_CASE("every metadata type is read, widened") {
  GgufBuilder builder;
  builder.number("u8", test::U8, std::uint8_t{200})
      .number("i8", test::I8, std::int8_t{-100})
      .number("u16", test::U16, std::uint16_t{60000})
      .number("i16", test::I16, std::int16_t{-30000})
      .number("u32", test::U32, std::uint32_t{4000000000})
      .number("i32", test::I32, std::int32_t{5})
      .number("f32", test::F32, 0.25f)
      .number("yes", test::BOOL, std::uint8_t{1})
      .string("text", "h\xc3\xa9")
      .number("u64", test::U64, kHuge)
      .number("i64", test::I64, std::int64_t{-7})
      .number("f64", test::F64, 0.1)
      .array("u16s", test::U16, 2, Bytes().number(std::uint16_t{1}).number(std::uint16_t{65535}))
      .array("i32s", test::I32, 2, Bytes().number(1).number(-2))
      .array("f32s", test::F32, 1, Bytes().number(1.5f))
      .array("bools", test::BOOL, 2, Bytes().number(std::uint8_t{1}).number(std::uint8_t{0}))
      .array("texts", test::STRING, 2, Bytes().string("x").string(""))
      .array("none", test::STRING, 0, Bytes());
  for (const std::uint32_t version : {2u, 3u}) {
    builder.version = version;
    const Gguf gguf = parse_gguf(builder.build(), "m.gguf");
    CHECK(gguf.version == version);
    CHECK(gguf.at<std::uint64_t>("u8") == 200);
    CHECK(gguf.at<std::int64_t>("i8") == -100);
    CHECK(gguf.at<std::uint64_t>("u16") == 60000);
    CHECK(gguf.at<std::int64_t>("i16") == -30000);
    CHECK(gguf.at<std::uint64_t>("u32") == 4000000000);
    CHECK(gguf.at<std::uint64_t>("i32") == 5);
    CHECK(gguf.at<double>("f32") == 0.25);
    CHECK(gguf.at<bool>("yes"));
    CHECK(gguf.at<std::string>("text") == "h\xc3\xa9");
    CHECK(gguf.at<std::uint64_t>("u64") == kHuge);
    CHECK(gguf.at<std::int64_t>("i64") == -7);
    CHECK(gguf.at<double>("f64") == 0.1);
    CHECK(gguf.at<std::vector<std::uint64_t>>("u16s") == std::vector<std::uint64_t>{1, 65535});
    CHECK(gguf.at<std::vector<std::int64_t>>("i32s") == std::vector<std::int64_t>{1, -2});
    CHECK(gguf.at<std::vector<double>>("f32s") == std::vector<double>{1.5});
    CHECK(gguf.at<std::vector<bool>>("bools") == std::vector<bool>{true, false});
    CHECK(gguf.at<std::vector<std::string>>("texts") == std::vector<std::string>{"x", ""});
    CHECK(gguf.at<std::vector<std::string>>("none").empty());
    CHECK(gguf.has("u8"));
    CHECK_FALSE(gguf.has("u9"));
    CHECK(gguf.find_value<bool>("u9") == nullptr);
    CHECK(gguf.tensors.empty());
    CHECK(error_of([&] { gguf.at<bool>("u9"); }) == "m.gguf: the metadata key 'u9' is missing");
    CHECK(error_of([&] { gguf.at<std::uint64_t>("i8"); }) ==
          "m.gguf: 'i8': expected a non-negative integer, found a negative integer");
    CHECK_THAT(error_of([&] { gguf.find_value<bool>("texts"); }), Contains("array of strings"));
  }
}

TEST_CASE("tensors are found by name, their shape outermost first, their bytes in place") {
  GgufBuilder builder = two_tensors();
  SECTION("default alignment") {}
  SECTION("alignment of the file's own") {
    builder.alignment = 64;
    builder.u32("general.alignment", 64);
  }
  SECTION("no padding after the last tensor") { builder.pad_end = false; }

  const std::vector<std::byte> file = builder.build();
  const Gguf gguf = parse_gguf(file, "m.gguf");
  REQUIRE(gguf.tensors.size() == 2);
  const StoredTensor* b = gguf.find("b");
  const StoredTensor* a = gguf.find("a");
  REQUIRE(a != nullptr);
  REQUIRE(b != nullptr);
  CHECK(gguf.find("c") == nullptr);
  CHECK(b->shape == std::vector<std::size_t>{2, 3});
  CHECK(b->elements() == 6);
  CHECK(b->type == StorageType::f32);
  CHECK(b->data.size() == 24);
  CHECK(a->shape == std::vector<std::size_t>{32});
  CHECK(a->type == StorageType::q8_0);
  CHECK(a->data.size() == 34);
  CHECK(static_cast<std::size_t>(a->data.data() - b->data.data()) == builder.alignment);
  CHECK(a->data.data() + a->data.size() <= file.data() + file.size());
}

TEST_CASE("a malformed GGUF header is refused") {
  GgufBuilder builder = two_tensors();
  CHECK_THAT(refusal({}), Contains("the magic number takes 4 bytes, the file has 0"));  // case 1
  CHECK_THAT(refusal(Bytes().text("GGUF").u32(3).u64(0).u32(0).get()),
             Contains("it may be cut short"));  // case 2
  SECTION("case 3") {
    builder.magic = "GGML";
    CHECK_THAT(refusal(builder.build()), Contains("begins with 'GGUF'"));
  }
  SECTION("cases 4 to 6") {
    for (const std::uint32_t version : {0u, 1u, 4u, 0xffffffffu}) {
      builder.version = version;
      CHECK_THAT(refusal(builder.build()),
                 Contains("expected GGUF version 2 or 3, found " + std::to_string(version)));
    }
  }
  SECTION("case 7") {
    builder.version = 0x03000000;
    CHECK_THAT(refusal(builder.build()), Contains("big-endian"));
  }
  SECTION("case 8") {
    for (const std::uint64_t n : {kTwoTo63, kHuge, std::uint64_t{1000}}) {
      builder.n_tensors = n;
      CHECK_THAT(refusal(builder.build()), Contains("tensors in the bytes that are left"));
    }
  }
  SECTION("cases 9 and 10") {
    for (const std::uint64_t n : {kHuge, kTwoTo63, std::uint64_t{100}}) {
      builder.n_pairs = n;
      CHECK_THAT(refusal(builder.build()), Contains("metadata pairs in the bytes that are left"));
    }
  }
}

TEST_CASE("malformed GGUF metadata is refused") {
  GgufBuilder builder;
  struct Case {
    std::string what;
    std::vector<std::byte> file;
    std::string reason;
  };
  const auto with = [](std::string_view key, std::uint32_t type, const Bytes& value) {
    return GgufBuilder().pair(key, type, value).build();
  };
  const auto array = [](std::uint32_t type, std::uint64_t count) {
    return GgufBuilder().array("k", type, count, Bytes()).build();
  };
  const std::vector<std::byte> key_past_end =
      Bytes().text("GGUF").u32(3).u64(0).u64(1).u64(100).text("kkkkkkkkkkkkkkkk").get();
  const std::vector<Case> cases = {
      {"11 key length past the end", key_past_end, "metadata key 0 takes 100 bytes"},
      {"11 key length over the cap", with(std::string(65536, 'k'), test::U8, Bytes()),
       "expected at most 65535 bytes, found 65536"},
      {"12 empty key", with("", test::U8, Bytes().number('1')), "is empty"},
      {"13 repeated key", GgufBuilder().u32("k", 1).u32("k", 1).build(), "'k' is repeated"},
      {"14 value type 13", with("k", 13, Bytes().u64(0)), "value type of 0 to 12, found 13"},
      {"14 value type 2^32-1", with("k", 0xffffffff, Bytes().u64(0)), "found 4294967295"},
      {"14 element type", array(13, 0), "found 13"},
      {"15 nested arrays", array(test::ARRAY, 1), "arrays of arrays"},
      {"16 count times size overflows", array(test::U64, (kHuge / 8) + 2), "elements of"},
      {"16 count 2^64-1", array(test::U8, kHuge), "elements of"},
      {"16 strings 2^61", array(test::STRING, kTwoTo63 / 4), "elements of"},
      {"17 array past the end", array(test::U32, 1000), "elements of"},
      {"18 string length 2^64-1", with("k", test::STRING, Bytes().u64(kHuge)), "the file has"},
      {"18 string in an array",
       GgufBuilder().array("k", test::STRING, 1, Bytes().u64(kHuge)).build(), "the file has"},
      {"19 bool 2", with("k", test::BOOL, Bytes().number(std::uint8_t{2})), "0 or 1, found 2"},
      {"19 bool 255 in an array",
       GgufBuilder().array("k", test::BOOL, 1, Bytes().number(std::uint8_t{255})).build(),
       "0 or 1, found 255"},
      {"20 alignment u64", with("general.alignment", test::U64, Bytes().u64(32)), "32-bit"},
      {"20 alignment i32", with("general.alignment", test::I32, Bytes().u32(32)), "32-bit"},
      {"21 alignment 0", with("general.alignment", test::U32, Bytes().u32(0)), "power of two"},
      {"22 alignment 24", with("general.alignment", test::U32, Bytes().u32(24)), "power of two"},
      {"23 alignment 2 MiB", with("general.alignment", test::U32, Bytes().u32(1 << 21)),
       "up to 1048576, found 2097152"},
      {"47 key not UTF-8", with("k\xff", test::U8, Bytes().number('1')), "not UTF-8: 'k\\xff'"},
  };
  for (const Case& each : cases) {
    DYNAMIC_SECTION("case " << each.what) { CHECK_THAT(refusal(each.file), Contains(each.reason)); }
  }
}

TEST_CASE("malformed GGUF tensors are refused") {
  struct Case {
    std::string what;
    std::vector<std::byte> file;
    std::string reason;
  };
  constexpr std::uint64_t kTwoTo32 = std::uint64_t{1} << 32;
  const auto shaped = [](std::vector<std::uint64_t> dimensions, std::uint32_t type = 0) {
    return one_tensor({.name = "t",
                       .dimensions = dimensions,
                       .type = type,
                       .data = zeros(64),
                       .offset = {}})
        .build();
  };
  const auto named = [](std::string name) {
    return one_tensor({.name = name, .dimensions = {1}, .data = zeros(4), .offset = {}}).build();
  };
  // "t" [16], 64 bytes, and "u" [16] where it is claimed to lie.
  const auto second_at = [](std::uint64_t offset) {
    return one_tensor({.name = "t", .dimensions = {16}, .data = zeros(64), .offset = {}})
        .tensor({.name = "u", .dimensions = {16}, .data = zeros(64), .offset = offset})
        .build();
  };
  const std::vector<Case> cases = {
      {"24 name too long", named(std::string(65, 'n')), "at most 64 bytes, found 65"},
      {"24 empty name", named(""), "is empty"},
      {"24 name not UTF-8", named("\x80"), "not UTF-8"},
      {"25 repeated tensor",
       one_tensor({.name = "t", .dimensions = {8}, .data = zeros(32), .offset = {}})
           .tensor({.name = "t", .dimensions = {8}, .data = zeros(32), .offset = {}})
           .build(),
       "tensor 't' is repeated"},
      {"26 five dimensions", shaped({1, 1, 1, 1, 1}), "1 to 4 dimensions, found 5"},
      {"26 no dimensions", shaped({}), "1 to 4 dimensions, found 0"},
      {"27 negative dimension", shaped({kHuge}), "found -1"},
      {"28 zero dimension", shaped({4, 0}), "found 0"},
      {"28 zero hides an overflow", shaped({kTwoTo32, kTwoTo32, 0}), "found 0"},
      {"29 product overflow", shaped({kTwoTo63 - 1, 3}), "more than 2^64 bytes"},
      {"29 byte count overflow", shaped({kTwoTo63 - 1}), "more than 2^64 bytes"},
      {"30 product wraps to 0", shaped({kTwoTo32, kTwoTo32}), "more than 2^64 bytes"},
      {"31 product wraps negative", shaped({kTwoTo32, kTwoTo32 / 2}), "more than 2^64 bytes"},
      {"32 unknown type", shaped({16}, 1000), "tensor type 1000 (unknown)"},
      {"32 removed type", shaped({32}, 4), "tensor type 4 (Q4_2)"},
      {"32 unsupported type", shaped({256}, 15), "tensor type 15 (Q8_K)"},
      {"33 row of part of a block", shaped({16, 2}, 8), "whole Q8_0 blocks of 32"},
      {"34 offset unaligned", second_at(72), "multiple of 32, found 72"},
      {"35 offset + size wraps", second_at(kHuge - 31), "a gap"},
      {"36 offset past the end", second_at(1 << 20), "a gap"},
      {"37 overlap", second_at(32), "an overlap"},
      {"37 the same place", second_at(0), "an overlap"},
      {"38 gap", second_at(96), "a gap"},
      {"38 gap before the first",
       one_tensor({.name = "t", .dimensions = {8}, .data = zeros(64), .offset = 32}).build(),
       "a gap"},
      {"36 data past the end", shaped({17}), "may be cut short"},
      {"trailing bytes", shaped({1}), "expected the tensor data to end after 4 bytes"},
  };
  for (const Case& each : cases) {
    DYNAMIC_SECTION("case " << each.what) { CHECK_THAT(refusal(each.file), Contains(each.reason)); }
  }
}

TEST_CASE("a GGUF file cut anywhere is refused") {  // case 39
  GgufBuilder builder = two_tensors();
  builder.pad_end = false;
  const std::vector<std::byte> file = builder.build();
  REQUIRE_NOTHROW(parse_gguf(file, "m.gguf"));
  for (std::size_t length = 0; length < file.size(); ++length) {
    // A copy of its own size, so that a sanitizer sees a read past its end.
    const std::vector<std::byte> cut(file.begin(), file.begin() + static_cast<long>(length));
    CHECK_THROWS_AS(parse_gguf(cut, "m.gguf"), Error);
  }
}

TEST_CASE("a GGUF file with any one byte changed is valid or refused") {
  const std::vector<std::byte> file = two_tensors().build();
  std::size_t refused = 0;
  for (std::size_t i = 0; i < file.size(); ++i) {
    for (const unsigned mask : {0x01u, 0x80u, 0xffu}) {
      std::vector<std::byte> changed = file;
      changed[i] ^= static_cast<std::byte>(mask);
      try {
        const Gguf gguf = parse_gguf(changed, "m.gguf");
        for (const StoredTensor& tensor : gguf.tensors) {
          std::vector<float> values(tensor.elements());
          dequantize(tensor, 0, values);
        }
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  CHECK(refused > 100);
}

}  // namespace
}  // namespace longshadow
