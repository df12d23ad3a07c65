#include "engine/io/safetensors.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <limits>

#include "tests/support/error_of.h"
#include "tests/support/safetensors_builder.h"
#include "tests/support/temporary_folder.h"

namespace longshadow {
namespace {

using Catch::Contains;
using Catch::StartsWith;
using test::error_of;
using test::safetensors_entry;
using test::safetensors_file;

/// A header of these entries, with what comes behind its brace.
std::string braced(std::string_view entries, std::string_view behind = "") {
  std::string header = "{";
  return header.append(entries).append("}").append(behind);
}

/// A file of one tensor "t" whose entry is `entry`, and 8 bytes of data.
std::vector<std::byte> file_of(const std::string& entry) {
  return safetensors_file(braced(entry), 8);
}

std::vector<std::byte> file_of_shape(const std::string& shape) {
  return file_of(safetensors_entry("t", "F32", shape, 0, 8));
}

std::vector<std::byte> bytes_of_text(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string refusal(const std::vector<std::byte>& file) {
  const std::string error = error_of([&] { parse_safetensors(file, "m.safetensors"); });
  CHECK_THAT(error, StartsWith("m.safetensors: "));
  return error;
}

TEST_CASE("safetensors are read in place, sorted by name") {
  // "a" behind "b", an empty tensor between them, a scalar, metadata, and padding spaces.
  const std::string header = "{\"__metadata__\":{\"format\":\"pt\"}," +
                             safetensors_entry("b", "F32", "[1,2]", 0, 8) + "," +
                             safetensors_entry("none", "F16", "[4,0]", 8, 8) + "," +
                             safetensors_entry("a", "BF16", "[3]", 8, 14) + "," +
                             safetensors_entry("scalar", "F16", "[]", 14, 16) + "}   ";
  const std::vector<std::byte> file = safetensors_file(header, 16);
  const auto [tensors, unread] = parse_safetensors(file, "m.safetensors");
  CHECK(unread.empty());
  REQUIRE(tensors.size() == 4);
  CHECK(tensors[0].name == "a");
  CHECK(tensors[0].type == StorageType::bf16);
  CHECK(tensors[0].shape == std::vector<std::size_t>{3});
  CHECK(tensors[0].data.front() == std::byte{8});
  CHECK(tensors[0].data.size() == 6);
  CHECK(tensors[1].shape == std::vector<std::size_t>{1, 2});
  CHECK(tensors[1].type == StorageType::f32);
  CHECK(tensors[2].elements() == 0);
  CHECK(tensors[3].elements() == 1);
  CHECK(tensors[3].type == StorageType::f16);
}

TEST_CASE("tensors of the format's other dtypes are placed like any and not read") {
  // Each of one element, or of as many as fill a byte, between two that are read.
  struct Other {
    std::string dtype;
    std::size_t elements, bytes;
  };
  const std::vector<Other> others = {
      {"BOOL", 1, 1},        {"U8", 1, 1},          {"I8", 1, 1},      {"I16", 1, 2},
      {"U16", 1, 2},         {"I32", 1, 4},         {"U32", 1, 4},     {"I64", 1, 8},
      {"U64", 1, 8},         {"F64", 1, 8},         {"C64", 1, 8},     {"F8_E4M3", 1, 1},
      {"F8_E5M2", 1, 1},     {"F8_E8M0", 1, 1},     {"F6_E2M3", 4, 3}, {"F6_E3M2", 4, 3},
      {"F8_E4M3FNUZ", 1, 1}, {"F8_E5M2FNUZ", 1, 1}, {"F4", 2, 1}};
  std::size_t end = 4;
  std::string header = "{" + safetensors_entry("first", "F32", "[1]", 0, 4);
  for (const Other& other : others) {
    header += "," + safetensors_entry("of " + other.dtype, other.dtype,
                                      "[1," + std::to_string(other.elements) + "]", end,
                                      end + other.bytes);
    end += other.bytes;
  }
  header += "," + safetensors_entry("last", "F16", "[1]", end, end + 2) + "}";
  const std::vector<std::byte> file = safetensors_file(header, end + 2);
  const auto [tensors, unread] = parse_safetensors(file, "m.safetensors");
  REQUIRE(tensors.size() == 2);
  CHECK(tensors[1].name == "last");
  CHECK(tensors[1].data.front() == static_cast<std::byte>(end));
  REQUIRE(unread.size() == others.size());
  for (const UnreadTensor& tensor : unread) CHECK(tensor.name == "of " + tensor.dtype);
}

TEST_CASE("malformed safetensors are refused") {
  const auto with_length = [](std::uint64_t length) {
    std::vector<std::byte> file = file_of_shape("[2]");
    for (unsigned i = 0; i < 8; ++i) file[i] = static_cast<std::byte>(length >> (8 * i));
    return file;
  };
  const auto two = [](std::size_t begin, std::size_t end) {
    return file_of(safetensors_entry("t", "F16", "[2]", 0, 4) + "," +
                   safetensors_entry("u", "F16", "[2]", begin, end));
  };
  const std::string t = safetensors_entry("t", "F32", "[2]", 0, 8);
  struct Case {
    std::string what;
    std::vector<std::byte> file;
    std::string reason;
  };
  const std::vector<Case> cases = {
      {"50 under 8 bytes", std::vector<std::byte>(7), "found only 7 bytes"},
      {"51 N 2^64-1", with_length(std::numeric_limits<std::uint64_t>::max()), "found one of 1844"},
      {"52 N over 100 MB", with_length(100'000'001), "found one of 100000001"},
      {"53 N past the end", with_length(1000), "found one of 1000"},
      {"54 N 0", with_length(0), "found one of 0"},
      {"55 first byte", safetensors_file(" {}", 8), "begins with '{'"},
      {"56 not UTF-8", file_of("\"__metadata__\":{\"k\":\"\xff\"}"), "UTF-8"},
      {"57 trailing text", safetensors_file(braced(t, " x"), 8), "ends with '}'"},
      {"57 trailing newline", safetensors_file(braced(t, "\n"), 8), "ends with '}'"},
      {"57 second document", safetensors_file(braced(t, "{}"), 8), "not valid JSON"},
      {"58 repeated tensor", file_of(t + "," + t), "'t' is repeated"},
      {"59 repeated inner key",
       file_of(R"("t":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]})"),
       "'dtype' is repeated"},
      {"60 metadata number", file_of("\"__metadata__\":{\"k\":1}," + t), "'k': expected a string"},
      {"60 metadata array", file_of("\"__metadata__\":[]," + t), "expected an object"},
      {"61 unknown dtype", file_of(safetensors_entry("t", "F33", "[2]", 0, 8)), "dtype 'F33'"},
      {"62 negative dimension", file_of_shape("[-2]"), "non-negative integer, found '-2'"},
      {"62 float dimension", file_of_shape("[2.0]"), "non-negative integer, found '2.0'"},
      {"63 dimension over 2^63", file_of_shape("[9223372036854775809]"), "more than 2^64 bits"},
      {"63 dimension over 2^64", file_of_shape("[18446744073709551617]"), "non-negative integer"},
      {"64 product overflow", file_of_shape("[4611686018427387904,3]"), "more than 2^64 bits"},
      {"65 wraps to 0", file_of_shape("[4294967296,4294967296]"), "more than 2^64 bits"},
      {"65 a zero hides an overflow", file_of_shape("[4294967296,4294967296,0]"),
       "more than 2^64 bits"},
      {"66 begin > end", file_of(safetensors_entry("t", "F32", "[2]", 8, 0)), "found 8 to 0"},
      {"67 end past the data", file_of(safetensors_entry("t", "F32", "[4]", 0, 16)), "cut short"},
      {"68 overlap", two(2, 6), "an overlap"},
      {"68 the same place", two(0, 4), "an overlap"},
      {"69 hole", safetensors_file(braced(safetensors_entry("t", "F32", "[1]", 4, 8)), 8),
       "a hole"},
      {"70 trailing bytes", file_of(safetensors_entry("t", "F32", "[1]", 0, 4)),
       "expected 4 bytes of data, found 8"},
      {"70 no tensors", safetensors_file("{}", 8), "expected 0 bytes of data"},
      {"71 size is not shape x dtype", file_of_shape("[3]"), "takes 12 bytes"},
      {"72 part of a byte", file_of(safetensors_entry("t", "F4", "[3]", 0, 2)), "within a byte"},
      {"71 size is not shape x dtype", file_of(safetensors_entry("t", "I64", "[3]", 0, 8)),
       "takes 24 bytes"},
      {"a pointer of Git LFS", bytes_of_text("version https://git-lfs.github.com/spec/v1\n"),
       "found Git LFS's pointer to it"},
      {"one offset", file_of(R"("t":{"dtype":"F32","shape":[2],"data_offsets":[0]})"),
       "[begin, end]"},
      {"missing shape", file_of(R"("t":{"dtype":"F32","data_offsets":[0,8]})"), "'shape'"},
      {"an entry that is no object", file_of("\"t\":1"), "expected an object"},
  };
  for (const Case& each : cases) {
    DYNAMIC_SECTION("case " << each.what) { CHECK_THAT(refusal(each.file), Contains(each.reason)); }
  }
}

TEST_CASE("a safetensors file cut anywhere is refused") {
  const std::vector<std::byte> file = file_of_shape("[2]");
  REQUIRE_NOTHROW(parse_safetensors(file, "m.safetensors"));
  for (std::size_t length = 0; length < file.size(); ++length) {
    const std::vector<std::byte> cut(file.begin(), file.begin() + static_cast<long>(length));
    CHECK_THROWS_AS(parse_safetensors(cut, "m.safetensors"), Error);
  }
}

/// Two shards, "one" with a and "two" with b; `index` is the weight_map.
void write_shards(const test::TemporaryFolder& folder, const std::string& weight_map) {
  folder.write("one", safetensors_file(braced(safetensors_entry("a", "F32", "[1]", 0, 4)), 4));
  folder.write("two", safetensors_file(braced(safetensors_entry("b", "F32", "[2]", 0, 8)), 8));
  folder.write("model.safetensors.index.json", "{\"weight_map\":{" + weight_map + "}}");
}

TEST_CASE("a folder's weights are one file, or the shards of an index") {
  const test::TemporaryFolder folder;
  CHECK_THAT(error_of([&] { open_safetensors(folder.path()); }), Contains("found neither"));

  write_shards(folder, R"("a":"one","b":"two")");
  SafetensorsFolder opened = open_safetensors(folder.path());
  CHECK(opened.files.size() == 2);
  REQUIRE(opened.content.tensors.size() == 2);
  CHECK(opened.content.tensors[1].name == "b");
  CHECK(opened.content.tensors[1].data.data() == opened.files[1].bytes().last(8).data());

  folder.write("model.safetensors", file_of_shape("[2]"));
  opened = open_safetensors(folder.path());
  CHECK(opened.files.size() == 1);
  CHECK(opened.content.tensors.size() == 1);
}

// The layout of Hugging Face's cache: every file of the folder a link to one beside it.
TEST_CASE("shards may be links, also to files outside the folder") {
  const test::TemporaryFolder blobs, snapshot;
  write_shards(blobs, R"("a":"one","b":"two")");
  for (const char* name : {"one", "two", "model.safetensors.index.json"}) {
    std::filesystem::create_symlink(blobs.path() / name, snapshot.path() / name);
  }
  CHECK(open_safetensors(snapshot.path()).content.tensors.size() == 2);
  std::filesystem::remove(blobs.path() / "two");
  CHECK_THAT(error_of([&] { open_safetensors(snapshot.path()); }),
             Contains("two: this shard is missing"));
}

TEST_CASE("an index may leave tensors out and name some that no shard has") {
  const test::TemporaryFolder folder;
  write_shards(folder, R"("a":"one","gone":"two")");
  const auto [tensors, unread] = open_safetensors(folder.path()).content;
  REQUIRE(tensors.size() == 2);
  CHECK(tensors[0].name == "a");
  CHECK(tensors[1].name == "b");
  CHECK(unread.empty());
}

TEST_CASE("an index that does not fit its shards is refused") {
  struct Case {
    std::string what;
    std::string weight_map;
    std::string reason;
  };
  const std::vector<Case> cases = {
      {"73 missing shard", R"("a":"one","b":"three")", "this shard is missing"},
      {"74 parent folder", R"("a":"../one","b":"two")", "plain file names, found '../one'"},
      {"74 dots", R"("a":"..","b":"two")", "plain file names"},
      {"74 absolute", R"("a":"/etc/passwd","b":"two")", "plain file names"},
      {"74 subfolder", R"("a":"x/one","b":"two")", "plain file names"},
      {"74 a nul", R"("a":"one\u0000","b":"two")", "plain file names"},
      {"74 empty", R"("a":"","b":"two")", "plain file names"},
      {"75 in another shard", R"("a":"two","b":"two","c":"one")",
       "'a' is in 'one', expected it in 'two' alone"},
      {"75 in two shards", R"("a":"one","b":"two","c":"copy")", "'a' is in 'copy'"},
      {"75 in two shards and not in the index", R"("c":"copy","b":"two","d":"one")",
       "'a' is in 'one', expected it in 'copy' alone"},
      {"not a name", R"("a":1)", "expected a file name"},
      {"a repeated tensor", R"("a":"one","a":"one","b":"two")", "'a' is repeated"},
  };
  for (const Case& each : cases) {
    DYNAMIC_SECTION("case " << each.what) {
      const test::TemporaryFolder folder;
      write_shards(folder, each.weight_map);
      std::filesystem::copy(folder.path() / "one", folder.path() / "copy");
      const std::string error = error_of([&] { open_safetensors(folder.path()); });
      CHECK_THAT(error, StartsWith(folder.path().string()));
      CHECK_THAT(error, Contains(each.reason));
    }
  }
}

}  // namespace
}  // namespace longshadow
