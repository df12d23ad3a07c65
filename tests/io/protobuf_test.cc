#include "engine/io/protobuf.h"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "engine/io/json.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using namespace std::string_literals;

TEST_CASE("a Protocol Buffers message is read field by field") {
  // 150 is the encoding guide's own example.
  const std::string message = "\x08\x96\x01"s + "\x12\x03one"s + "\x1d\x00\x00\x80\x3f"s +
                              "\x80\x02\xff\xff\xff\xff\xff"s + "\xff\xff\xff\xff\x01"s +
                              "\x29\x01\x00\x00\x00\x00\x00\x00\x80"s + "\x12\x00"s;
  ProtobufReader reader(bytes_of(message), "message");
  const auto number = reader.next();
  CHECK((number->number == 1 && number->kind == ProtobufField::Kind::varint));
  CHECK(number->bits == 150);
  const auto text = reader.next();
  CHECK((text->number == 2 && text->kind == ProtobufField::Kind::bytes));
  CHECK(std::string_view(reinterpret_cast<const char*>(text->bytes.data()), text->bytes.size()) ==
        "one");
  const auto one = reader.next();
  CHECK((one->number == 3 && one->kind == ProtobufField::Kind::bits32));
  CHECK(one->bits == 0x3f800000);
  const auto largest = reader.next();
  CHECK(largest->number == 32);
  CHECK(largest->bits == ~std::uint64_t{0});
  const auto wide = reader.next();
  CHECK((wide->number == 5 && wide->kind == ProtobufField::Kind::bits64));
  CHECK(wide->bits == 0x8000000000000001);
  const auto empty = reader.next();
  CHECK((empty->number == 2 && empty->bytes.empty()));
  CHECK_FALSE(reader.next());
  CHECK_FALSE(reader.next());
}

TEST_CASE("what is no Protocol Buffers message is refused") {
  const auto refusal = [](const std::string& message) {
    return test::error_of([&] {
      ProtobufReader reader(bytes_of(message), "message");
      while (reader.next()) continue;
    });
  };
  CHECK(refusal("\x12\x05wo"s) ==
        "message: expected a Protocol Buffers message, found an end within a field before byte 2 "
        "of 4");
  CHECK_THAT(refusal("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s), Contains("an end within"));
  CHECK_THAT(refusal("\x1d\x00\x00"s), Contains("an end within a field"));
  CHECK_THAT(refusal("\x29\x00"s), Contains("an end within a field"));
  CHECK_THAT(refusal("\x80"s), Contains("an end within a field"));
  CHECK_THAT(refusal("\x00\x00"s), Contains("a field of number 0"));
  CHECK_THAT(refusal("\x0b"s), Contains("an unknown kind of field"));
  CHECK_THAT(refusal("\x08" + std::string(10, '\x80') + "\x01"),
             Contains("a number of more than ten bytes"));
}

}  // namespace
}  // namespace longshadow
