#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/jinja/values/heap.h"
#include "engine/jinja/values/value.h"

/// Values as Python writes them. All charge the heap for what they write, and throw Error for what
/// has no text that would be the same tomorrow (a generator, a function).
namespace longshadow::jinja {

/// str(value): what {{ value }} writes, nothing for undefined.
std::string to_text(Heap& heap, const Value& value);

/// repr(value): strings quoted and escaped, as they stand inside lists.
std::string to_repr(Heap& heap, const Value& value);

/// The shortest digits that read back as `value`, laid out as Python does: 0.5, 1e+16, 1.0.
std::string float_text(double value);

/// How json.dumps writes.
struct JsonStyle {
  std::optional<std::string> indent{};  ///< of one level; none: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool ensure_ascii = false;
  bool sort_keys = false;
};

/// json.dumps(value). Throws Error for what JSON has no form of.
std::string to_json(Heap& heap, const Value& value, const JsonStyle& style);

}  // namespace longshadow::jinja
