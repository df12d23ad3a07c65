#include "engine/io/json.h"

#include <cmath>
#include <cstdint>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxDepth = 64;

/// Builds the document from the parser's events, and refuses what the parser itself lets through.
template <class Json>
class StrictBuilder : public nlohmann::json_sax<Json> {
 public:
  using typename nlohmann::json_sax<Json>::number_integer_t;
  using typename nlohmann::json_sax<Json>::number_unsigned_t;
  using typename nlohmann::json_sax<Json>::number_float_t;
  using typename nlohmann::json_sax<Json>::string_t;
  using typename nlohmann::json_sax<Json>::binary_t;

  explicit StrictBuilder(const std::string& source) : source_(source) {}

  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t& digits) override {
    if (!std::isfinite(value)) {
      throw Error(source_ + ": the number " + quote(digits) + " does not fit a double");
    }
    return add(value);
  }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { throw Error(source_ + ": binary values are not JSON"); }
  bool start_object(std::size_t) override {
    if constexpr (kIsOrdered) keys_.emplace_back();
    return open(Json::object());
  }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override {
    if constexpr (kIsOrdered) keys_.pop_back();
    return close();
  }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    auto& members = open_.back()->template get_ref<typename Json::object_t&>();
    bool is_new = false;
    if constexpr (kIsOrdered) {
      is_new = keys_.back().insert(name).second;
      if (is_new) member_ = &members.emplace_back(name, nullptr).second;
    } else {
      const auto [member, is_first] = members.try_emplace(name);
      is_new = is_first;
      member_ = &member->second;
    }
    if (!is_new) throw Error(source_ + ": the key " + quote(name) + " is repeated in its object");
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    std::string reason = error.what();
    const std::size_t tag_end = reason.find("] ");  // "[json.exception.parse_error.101] ..."
    if (tag_end != std::string::npos) reason.erase(0, tag_end + 2);
    throw Error(source_ + ": not valid JSON at byte " + std::to_string(position) + ": " +
                quote(reason));
  }

 private:
  /// Puts a value where the last event said: the root, the member just named, or an array's end.
  Json* place(Json&& value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      auto& elements = open_.back()->template get_ref<typename Json::array_t&>();
      elements.push_back(std::move(value));
      return &elements.back();
    }
    *member_ = std::move(value);
    return member_;
  }

  bool add(Json&& value) {
    place(std::move(value));
    return true;
  }

  bool open(Json&& container) {
    if (open_.size() == kMaxDepth) {
      throw Error(source_ + ": nested deeper than " + std::to_string(kMaxDepth) + " levels");
    }
    // An open container's address is stable: its parent array or object grows only after it closes.
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  /// Such objects are lists that find a member by looking at all.
  static constexpr bool kIsOrdered = std::is_same_v<Json, nlohmann::ordered_json>;

  const std::string& source_;
  Json root_;
  std::vector<Json*> open_;
  std::vector<std::unordered_set<std::string>> keys_;  ///< of the ordered objects that are open
  Json* member_ = nullptr;
};

template <class Json>
Json parse(std::span<const std::byte> text, const std::string& source) {
  if (text.size() > kMaxJsonBytes) {
    throw Error(source + ": expected at most " + std::to_string(kMaxJsonBytes) +
                " bytes of JSON, found " + std::to_string(text.size()));
  }
  const char* begin = reinterpret_cast<const char*>(text.data());
  // The library would skip a byte order mark in silence.
  if (std::string_view(begin, text.size()).starts_with("\xef\xbb\xbf")) {
    throw Error(source + ": expected JSON, found a UTF-8 byte order mark; save it without one");
  }
  StrictBuilder<Json> builder(source);
  Json::sax_parse(begin, begin + text.size(), &builder);
  return builder.take();
}

std::string place_of(const std::string& where, std::string_view key) {
  return where + ": " + quote(key);
}

/// nullptr where the member is missing or null.
const json* find_member(const json& object, std::string_view key, const std::string& where) {
  if (!object.is_object()) {
    throw Error(where + ": expected an object, found " + object.type_name());
  }
  const auto member = object.find(key);
  return member == object.end() || member->is_null() ? nullptr : &*member;
}

const json& require_member(const json& object, std::string_view key, const std::string& where) {
  const json* member = find_member(object, key, where);
  if (member == nullptr) throw Error(place_of(where, key) + " is missing");
  return *member;
}

[[noreturn]] void refuse_type(const json& value, std::string_view expected,
                              const std::string& place) {
  std::string found = value.type_name();
  if (value.is_number()) found.append(" ").append(value.dump());
  throw Error(place + ": expected " + std::string(expected) + ", found " + found);
}

template <class T>
T convert(const json& value, const std::string& place);

template <>
bool convert(const json& value, const std::string& place) {
  if (!value.is_boolean()) refuse_type(value, "true or false", place);
  return value.get<bool>();
}

template <>
std::uint64_t convert(const json& value, const std::string& place) {
  if (!value.is_number_unsigned()) refuse_type(value, "a non-negative integer", place);
  return value.get<std::uint64_t>();
}

template <>
double convert(const json& value, const std::string& place) {
  if (!value.is_number()) refuse_type(value, "a number", place);
  return value.get<double>();
}

template <>
std::string convert(const json& value, const std::string& place) {
  if (!value.is_string()) refuse_type(value, "a string", place);
  return value.get<std::string>();
}

}  // namespace

json parse_json(std::span<const std::byte> text, const std::string& source) {
  return parse<json>(text, source);
}

nlohmann::ordered_json parse_ordered_json(std::span<const std::byte> text,
                                          const std::string& source) {
  return parse<nlohmann::ordered_json>(text, source);
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

template <class T>
T json_at(const json& object, std::string_view key, const std::string& where) {
  return convert<T>(require_member(object, key, where), place_of(where, key));
}

template <class T>
std::optional<T> json_find(const json& object, std::string_view key, const std::string& where) {
  const json* member = find_member(object, key, where);
  if (member == nullptr) return std::nullopt;
  return convert<T>(*member, place_of(where, key));
}

template bool json_at(const json&, std::string_view, const std::string&);
template std::uint64_t json_at(const json&, std::string_view, const std::string&);
template double json_at(const json&, std::string_view, const std::string&);
template std::string json_at(const json&, std::string_view, const std::string&);
template std::optional<bool> json_find(const json&, std::string_view, const std::string&);
template std::optional<std::uint64_t> json_find(const json&, std::string_view, const std::string&);
template std::optional<double> json_find(const json&, std::string_view, const std::string&);
template std::optional<std::string> json_find(const json&, std::string_view, const std::string&);

const json& json_object_at(const json& object, std::string_view key, const std::string& where) {
  const json& member = require_member(object, key, where);
  if (!member.is_object()) refuse_type(member, "an object", place_of(where, key));
  return member;
}

const json& json_array_at(const json& object, std::string_view key, const std::string& where) {
  const json& member = require_member(object, key, where);
  if (!member.is_array()) refuse_type(member, "an array", place_of(where, key));
  return member;
}

const json* json_object_find(const json& object, std::string_view key, const std::string& where) {
  const json* member = find_member(object, key, where);
  if (member != nullptr && !member->is_object()) {
    refuse_type(*member, "an object", place_of(where, key));
  }
  return member;
}

const json* json_array_find(const json& object, std::string_view key, const std::string& where) {
  const json* member = find_member(object, key, where);
  if (member != nullptr && !member->is_array()) {
    refuse_type(*member, "an array", place_of(where, key));
  }
  return member;
}

}  // namespace longshadow
