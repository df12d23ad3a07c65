#include "engine/io/gguf_parts.h"

#include <catch2/catch.hpp>
#include <cstdint>

#include "tests/support/error_of.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temporary_folder.h"

namespace longshadow {
namespace {

using Catch::Contains;
using Catch::StartsWith;
using test::error_of;
using test::GgufBuilder;
using test::TemporaryFolder;

struct Part {
  std::uint16_t number;  ///< from 0
  std::uint16_t count = 2;
  std::string tensor;
  std::string model = "m";
  std::int32_t n_tensors = 2;  ///< of all parts, as it claims
};

std::vector<std::byte> bytes_of(const Part& part) {
  GgufBuilder builder;
  builder.string("general.name", part.model);
  builder.number("split.no", test::U16, part.number);
  builder.number("split.count", test::U16, part.count);
  builder.number("split.tensors.count", test::I32, part.n_tensors);
  if (part.number == 0) builder.u32("only.first", 7);
  // Told apart by its first byte.
  std::vector<std::byte> data(32);
  data[0] = static_cast<std::byte>(1 + part.number);
  builder.tensor({.name = part.tensor, .dimensions = {8}, .data = data, .offset = {}});
  return builder.build();
}

/// A folder with the two parts of a model, "b" in the first and "a" in the second.
struct TwoParts {
  TemporaryFolder folder;
  std::filesystem::path first = write({.number = 0, .tensor = "b"}, "m.v1-00001-of-00002.gguf");
  std::filesystem::path second = write({.number = 1, .tensor = "a"}, "m.v1-00002-of-00002.gguf");

  std::filesystem::path write(const Part& part, const std::string& name) const {
    return folder.write(name, bytes_of(part));
  }
  std::string refusal() const {
    const std::string error = error_of([&] { open_gguf(first); });
    CHECK_THAT(error, StartsWith(folder.path().string()));
    CHECK_THAT(error, !Contains("\n"));
    return error;
  }
};

TEST_CASE("a model in parts is one model, whichever part is named") {
  const TwoParts parts;
  for (const auto& path : {parts.first, parts.second}) {
    const GgufModel model = open_gguf(path);
    CHECK(model.path == parts.first);
    CHECK(model.name == "m.v1");
    REQUIRE(model.files.size() == 2);
    CHECK(model.files[0].path() == parts.first);
    CHECK(model.files[1].path() == parts.second);
    REQUIRE(model.gguf.tensors.size() == 2);
    CHECK(model.gguf.at<std::uint64_t>("only.first") == 7);
    CHECK(model.gguf.find("a")->data[0] == std::byte{2});
    CHECK(model.gguf.find("b")->data[0] == std::byte{1});
  }
}

TEST_CASE("a file of its own is a whole model, whatever its name") {
  const TemporaryFolder folder;
  const Part whole{.number = 0, .count = 1, .tensor = "a", .n_tensors = 1};
  for (const auto& [file, name] : {std::pair{"m.gguf", "m"},
                                   {"m-00001-of-00001.gguf", "m"},
                                   {"m-00001-of-00007.gguf", "m-00001-of-00007"}}) {
    const GgufModel model = open_gguf(folder.write(file, bytes_of(whole)));
    CHECK(model.files.size() == 1);
    CHECK(model.name == name);
  }
}

TEST_CASE("case 49: parts that are missing, repeated or of another model are refused") {
  const TwoParts parts;
  const std::string second_name = parts.second.filename();
  SECTION("missing") {
    std::filesystem::remove(parts.second);
    CHECK_THAT(parts.refusal(),
               Contains(": part 2 of the model's 2 is missing; put '" + second_name + "'"));
  }
  SECTION("the first is missing") {
    std::filesystem::remove(parts.first);
    CHECK_THAT(
        error_of([&] { open_gguf(parts.second); }),
        Contains("m.v1-00002-of-00002.gguf: part 1 of the model's 2 is missing; put 'm.v1-00001-"));
  }
  SECTION("repeated") {
    parts.write({.number = 0, .tensor = "b"}, second_name);
    CHECK_THAT(parts.refusal(),
               Contains(second_name + ": expected 'split.no' 1 by the file's name, "
                                      "found 0; a part is repeated or misnamed"));
  }
  SECTION("the first is another") {
    parts.write({.number = 1, .tensor = "a"}, parts.first.filename());
    CHECK_THAT(parts.refusal(), Contains("expected 'split.no' 0 by the file's name, found 1"));
  }
  SECTION("renamed") {
    for (const std::string name : {"m.gguf", "m-00001-of-00003.gguf", "m-1-of-2.gguf",
                                   "m-00001-of-00002.gguf.gguf", "00001-of-00002.gguf"}) {
      const auto path = parts.write({.number = 0, .tensor = "b"}, name);
      CHECK_THAT(error_of([&] { open_gguf(path); }),
                 Contains("one of 2 parts of a model, so expected a name that ends in "
                          "-NNNNN-of-00002.gguf"));
    }
  }
  SECTION("of another count") {
    parts.write({.number = 1, .count = 3, .tensor = "a"}, second_name);
    CHECK_THAT(parts.refusal(), Contains("expected one of 2 parts like the first, found"));
  }
  SECTION("of another model") {
    parts.write({.number = 1, .tensor = "a", .model = "n"}, second_name);
    CHECK_THAT(parts.refusal(), Contains("'general.name' differs from the first part's"));
  }
  SECTION("a tensor in two parts") {
    parts.write({.number = 1, .tensor = "b"}, second_name);
    CHECK_THAT(parts.refusal(), Contains("tensor 'b' is in two of its 2 parts"));
  }
  SECTION("fewer tensors than they say") {
    for (const auto& [number, tensor, path] :
         {std::tuple{0, "b", parts.first}, std::tuple{1, "a", parts.second}}) {
      parts.write({.number = static_cast<std::uint16_t>(number), .tensor = tensor, .n_tensors = 3},
                  path.filename());
    }
    CHECK_THAT(parts.refusal(), Contains("expected 3 tensors in its 2 parts"));
  }
  SECTION("malformed") {
    const std::vector<std::byte> whole = bytes_of({.number = 1, .tensor = "a"});
    parts.folder.write(second_name, std::span(whole).first(whole.size() - 1));
    CHECK_THAT(parts.refusal(), Contains(second_name));
  }
}

}  // namespace
}  // namespace longshadow
