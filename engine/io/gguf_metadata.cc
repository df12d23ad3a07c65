#include "engine/io/gguf_metadata.h"

#include <bit>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

constexpr std::size_t kMaxKeyLength = 65535;
constexpr std::size_t kDefaultAlignment = 32;
constexpr std::size_t kMaxAlignment = std::size_t{1} << 20;

enum class ValueType : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};
constexpr std::uint32_t kValueTypes = 13;

ValueType read_value_type(ByteReader& reader, const std::string& what) {
  const auto number = reader.number<std::uint32_t>(what);
  if (number >= kValueTypes) {
    reader.fail(what + ": expected a value type of 0 to 12, found " + std::to_string(number));
  }
  return static_cast<ValueType>(number);
}

template <class Stored, class Widened>
std::vector<Widened> read_numbers(ByteReader& reader, const std::string& what) {
  const std::uint64_t n = reader.count("elements of " + what, sizeof(Stored));
  std::vector<Widened> values(n);
  for (Widened& value : values) value = reader.number<Stored>(what);
  return values;
}

GgufValue read_array(ByteReader& reader, const std::string& what) {
  switch (read_value_type(reader, what + ", its element type")) {
    case ValueType::u8:
      return read_numbers<std::uint8_t, std::uint64_t>(reader, what);
    case ValueType::u16:
      return read_numbers<std::uint16_t, std::uint64_t>(reader, what);
    case ValueType::u32:
      return read_numbers<std::uint32_t, std::uint64_t>(reader, what);
    case ValueType::u64:
      return read_numbers<std::uint64_t, std::uint64_t>(reader, what);
    case ValueType::i8:
      return read_numbers<std::int8_t, std::int64_t>(reader, what);
    case ValueType::i16:
      return read_numbers<std::int16_t, std::int64_t>(reader, what);
    case ValueType::i32:
      return read_numbers<std::int32_t, std::int64_t>(reader, what);
    case ValueType::i64:
      return read_numbers<std::int64_t, std::int64_t>(reader, what);
    case ValueType::f32:
      return read_numbers<float, double>(reader, what);
    case ValueType::f64:
      return read_numbers<double, double>(reader, what);
    case ValueType::boolean: {
      const std::uint64_t n = reader.count("elements of " + what, 1);
      std::vector<bool> values(n);
      for (std::size_t i = 0; i < n; ++i) values[i] = reader.boolean(what);
      return values;
    }
    case ValueType::string: {
      const std::uint64_t n = reader.count("elements of " + what, sizeof(std::uint64_t));
      std::vector<std::string> values(n);
      for (std::string& value : values) value = reader.string(what);
      return values;
    }
    case ValueType::array:
      break;
  }
  reader.fail(what + ": arrays of arrays are not supported");
}

GgufValue integer_value(std::int64_t value) {
  if (value >= 0) return static_cast<std::uint64_t>(value);
  return value;
}

GgufValue read_value(ByteReader& reader, ValueType type, const std::string& what) {
  switch (type) {
    case ValueType::u8:
      return std::uint64_t{reader.number<std::uint8_t>(what)};
    case ValueType::u16:
      return std::uint64_t{reader.number<std::uint16_t>(what)};
    case ValueType::u32:
      return std::uint64_t{reader.number<std::uint32_t>(what)};
    case ValueType::u64:
      return reader.number<std::uint64_t>(what);
    case ValueType::i8:
      return integer_value(reader.number<std::int8_t>(what));
    case ValueType::i16:
      return integer_value(reader.number<std::int16_t>(what));
    case ValueType::i32:
      return integer_value(reader.number<std::int32_t>(what));
    case ValueType::i64:
      return integer_value(reader.number<std::int64_t>(what));
    case ValueType::f32:
      return double{reader.number<float>(what)};
    case ValueType::f64:
      return reader.number<double>(what);
    case ValueType::boolean:
      return reader.boolean(what);
    case ValueType::string:
      return reader.string(what);
    case ValueType::array:
      break;
  }
  return read_array(reader, what);
}

template <class T>
std::string_view type_name() {
  if constexpr (std::is_same_v<T, std::uint64_t>) return "a non-negative integer";
  if constexpr (std::is_same_v<T, std::int64_t>) return "a negative integer";
  if constexpr (std::is_same_v<T, double>) return "a floating-point number";
  if constexpr (std::is_same_v<T, bool>) return "a boolean";
  if constexpr (std::is_same_v<T, std::string>) return "a string";
  if constexpr (std::is_same_v<T, std::vector<std::uint64_t>>)
    return "an array of unsigned integers";
  if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) return "an array of signed integers";
  if constexpr (std::is_same_v<T, std::vector<double>>) return "an array of floating-point numbers";
  if constexpr (std::is_same_v<T, std::vector<bool>>) return "an array of booleans";
  if constexpr (std::is_same_v<T, std::vector<std::string>>) return "an array of strings";
}

}  // namespace

std::size_t read_gguf_metadata(ByteReader& reader, std::uint64_t n_pairs, Gguf& gguf) {
  std::size_t alignment = kDefaultAlignment;
  for (std::uint64_t i = 0; i < n_pairs; ++i) {
    const std::string ordinal = "metadata key " + std::to_string(i);
    std::string key = reader.string(ordinal, kMaxKeyLength);
    if (key.empty()) reader.fail(ordinal + " is empty");
    if (!is_utf8(key)) reader.fail(ordinal + " is not UTF-8: " + quote(key));
    const std::string what = "the value of " + quote(key);
    const ValueType type = read_value_type(reader, what);
    GgufValue value = read_value(reader, type, what);
    if (key == "general.alignment") {
      if (type != ValueType::u32) reader.fail(what + ": expected a 32-bit unsigned integer");
      alignment = std::get<std::uint64_t>(value);
      if (!std::has_single_bit(alignment) || alignment > kMaxAlignment) {
        reader.fail(what + ": expected a power of two up to " + std::to_string(kMaxAlignment) +
                    ", found " + std::to_string(alignment));
      }
    }
    if (!gguf.metadata.try_emplace(key, std::move(value)).second) {
      reader.fail("the key " + quote(key) + " is repeated");
    }
  }
  return alignment;
}

bool Gguf::has(std::string_view key) const { return metadata.contains(key); }

template <class T>
const T* Gguf::find_value(std::string_view key) const {
  const auto pair = metadata.find(key);
  if (pair == metadata.end()) return nullptr;
  const T* value = std::get_if<T>(&pair->second);
  if (value == nullptr) {
    const std::string_view found = std::visit(
        [](const auto& other) { return type_name<std::decay_t<decltype(other)>>(); }, pair->second);
    throw Error(source + ": " + quote(key) + ": expected " + std::string(type_name<T>()) +
                ", found " + std::string(found));
  }
  return value;
}

template <class T>
const T& Gguf::at(std::string_view key) const {
  const T* value = find_value<T>(key);
  if (value == nullptr) throw Error(source + ": the metadata key " + quote(key) + " is missing");
  return *value;
}

#define LONGSHADOW_INSTANTIATE(...)                                     \
  template const __VA_ARGS__* Gguf::find_value(std::string_view) const; \
  template const __VA_ARGS__& Gguf::at(std::string_view) const;
LONGSHADOW_INSTANTIATE(std::uint64_t)
LONGSHADOW_INSTANTIATE(std::int64_t)
LONGSHADOW_INSTANTIATE(double)
LONGSHADOW_INSTANTIATE(bool)
LONGSHADOW_INSTANTIATE(std::string)
LONGSHADOW_INSTANTIATE(std::vector<std::uint64_t>)
LONGSHADOW_INSTANTIATE(std::vector<std::int64_t>)
LONGSHADOW_INSTANTIATE(std::vector<double>)
LONGSHADOW_INSTANTIATE(std::vector<bool>)
LONGSHADOW_INSTANTIATE(std::vector<std::string>)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
