#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace longshadow {

/// The size above which a JSON file is not even parsed; the largest tokenizer.json of the models we
/// know (256,000 tokens) has 33 MiB.
inline constexpr std::size_t kMaxJsonBytes = std::size_t{128} << 20;

/// Strict JSON (RFC 8259) of a file from a stranger. Throws Error naming `source` and the position
/// where the text is malformed, larger than kMaxJsonBytes, nested more than 64 deep, repeats a key,
/// starts with a byte order mark, is not UTF-8, or has a number that a double cannot hold.
nlohmann::json parse_json(std::span<const std::byte> text, const std::string& source);

/// The same, its objects in the order of the text.
nlohmann::ordered_json parse_ordered_json(std::span<const std::byte> text,
                                          const std::string& source);

/// `text`'s bytes: what parse_json takes.
std::span<const std::byte> bytes_of(std::string_view text);

/// The member `key` of `object` as T: bool, std::uint64_t, double (integers too) or std::string.
/// Throws Error where it is missing, of another type, or does not fit. `where` is the object's own
/// place, e.g. "config.json: rope_scaling".
template <class T>
T json_at(const nlohmann::json& object, std::string_view key, const std::string& where);

/// The same; empty where the member is missing or null.
template <class T>
std::optional<T> json_find(const nlohmann::json& object, std::string_view key,
                           const std::string& where);

/// A member that is itself an object or an array. Throws Error where it is missing or another type.
const nlohmann::json& json_object_at(const nlohmann::json& object, std::string_view key,
                                     const std::string& where);
const nlohmann::json& json_array_at(const nlohmann::json& object, std::string_view key,
                                    const std::string& where);

/// The same; nullptr where the member is missing or null.
const nlohmann::json* json_object_find(const nlohmann::json& object, std::string_view key,
                                       const std::string& where);
const nlohmann::json* json_array_find(const nlohmann::json& object, std::string_view key,
                                      const std::string& where);

}  // namespace longshadow
