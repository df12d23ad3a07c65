#include "engine/chat/chat_template.h"

#include <cstdint>
#include <limits>
#include <unordered_map>
#include <utility>

#include "engine/core/error.h"
#include "engine/jinja/interpreter.h"
#include "engine/jinja/values/heap.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

using jinja::Heap;
using jinja::None;
using jinja::Value;
using nlohmann::ordered_json;

Value value_of(Heap& heap, const ordered_json& json) {
  switch (json.type()) {
    case ordered_json::value_t::boolean:
      return json.get<bool>();
    case ordered_json::value_t::number_unsigned:
      if (json.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
        throw Error("a whole number does not fit 64 bits with a sign: " + json.dump());
      }
      return json.get<std::int64_t>();
    case ordered_json::value_t::number_integer:
      return json.get<std::int64_t>();
    case ordered_json::value_t::number_float:
      return json.get<double>();
    case ordered_json::value_t::string:
      return heap.text(json.get<std::string>());
    case ordered_json::value_t::array: {
      std::vector<Value> items;
      for (const ordered_json& item : json) items.push_back(value_of(heap, item));
      return heap.list(std::move(items));
    }
    case ordered_json::value_t::object: {
      jinja::Dict dict;
      for (const auto& [key, item] : json.items()) {
        dict.set(heap.text(key), value_of(heap, item));
      }
      return heap.dict(std::move(dict));
    }
    default:
      return None{};
  }
}

/// Bytes of text in the value, and some for each value in it.
std::size_t size_of(const ordered_json& json) {
  std::size_t total = 64;
  if (json.is_string()) total += json.get_ref<const std::string&>().size();
  if (json.is_structured()) {
    for (const ordered_json& item : json) total += size_of(item);
  }
  return total;
}

/// What a template may make of a conversation, beside what is its own: one that collects a text in
/// n pieces makes it n / 2 times.
constexpr std::size_t kBytesAtLeast = std::size_t{64} << 20;
constexpr std::size_t kBytesPerByte = 512;

}  // namespace

ChatTemplate::ChatTemplate(std::string_view source, std::string where)
    : source_(source),
      where_(std::move(where)),
      statements_(jinja::parse_template(source, where_)) {}

std::string ChatTemplate::render(const ordered_json& messages, const ChatContext& context,
                                 const ordered_json& tools) const {
  Heap heap(kBytesAtLeast + kBytesPerByte * (size_of(messages) + size_of(tools)));
  std::unordered_map<std::string_view, Value> globals;
  for (const auto& [name, spelling] : context.special_tokens) {
    globals[name] = heap.text(spelling);
  }
  globals["messages"] = value_of(heap, messages);
  globals["tools"] = value_of(heap, tools);
  globals["documents"] = None{};
  globals["add_generation_prompt"] = context.add_generation_prompt;
  jinja::Interpreter interpreter(heap, std::move(globals), context.now);
  try {
    return interpreter.run(statements_);
  } catch (const Error& error) {
    throw Error(where_ + ": line " + std::to_string(interpreter.line()) + ": " + error.what());
  }
}

}  // namespace longshadow
