#include "engine/jinja/values/value.h"

#include <charconv>
#include <cmath>

#include "engine/core/error.h"
#include "engine/jinja/values/callable.h"

namespace longshadow::jinja {

const Value* Dict::find(const Value& key) const {
  const auto found = index.find(key_of(key));
  return found == index.end() ? nullptr : &items[found->second].second;
}

void Dict::set(const Value& key, const Value& value) {
  const auto [place, is_new] = index.try_emplace(key_of(key), items.size());
  if (is_new) {
    items.emplace_back(key, value);
  } else {
    items[place->second].second = value;
  }
}

std::string_view type_name(const Value& value) {
  if (value.is<Undefined>()) return "Undefined";
  if (value.is<None>()) return "NoneType";
  if (value.is<bool>()) return "bool";
  if (value.is<std::int64_t>()) return "int";
  if (value.is<double>()) return "float";
  if (value.text() != nullptr) return "str";
  if (value.dict() != nullptr) return "dict";
  if (const Sequence* sequence = value.sequence()) {
    if (sequence->type == Sequence::Type::view) return sequence->view_name;
    return sequence->type == Sequence::Type::list ? "list" : "tuple";
  }
  if (value.generator() != nullptr) return "generator";
  if (value.name_space() != nullptr) return "Namespace";
  return value.loop() != nullptr ? "LoopContext" : "function";
}

std::string kind_of(const Value& value) {
  if (const auto* undefined = value.get_if<Undefined>()) {
    return undefined->name == nullptr ? "undefined" : "the undefined '" + *undefined->name + "'";
  }
  if (value.is<None>()) return "none";
  if (value.is<bool>()) return "true or false";
  if (is_number(value)) return "a number";
  if (value.text() != nullptr) return "a string";
  return "a " + std::string(type_name(value));
}

bool is_true(const Value& value) {
  if (value.is<Undefined>() || value.is<None>()) return false;
  if (const auto* truth = value.get_if<bool>()) return *truth;
  if (const auto* whole = value.get_if<std::int64_t>()) return *whole != 0;
  if (const auto* real = value.get_if<double>()) return *real != 0;
  if (const std::string* text = value.text()) return !text->empty();
  if (const Sequence* sequence = value.sequence()) return !sequence->items.empty();
  if (const Dict* dict = value.dict()) return !dict->items.empty();
  return true;
}

bool is_integral(const Value& value) { return value.is<bool>() || value.is<std::int64_t>(); }
bool is_number(const Value& value) { return is_integral(value) || value.is<double>(); }

double real_of(const Value& value, const std::string& what) {
  if (const auto* real = value.get_if<double>()) return *real;
  if (!is_number(value)) throw Error(what + " needs a number, found " + kind_of(value));
  return static_cast<double>(integer_of(value, what));
}

std::int64_t integer_of(const Value& value, const std::string& what) {
  if (const auto* truth = value.get_if<bool>()) return *truth ? 1 : 0;
  if (const auto* whole = value.get_if<std::int64_t>()) return *whole;
  throw Error(what + " needs a whole number, found " + kind_of(value));
}

const std::string& text_of(const Value& value, const std::string& what) {
  const std::string* text = value.text();
  if (text == nullptr) throw Error(what + " needs a string, found " + kind_of(value));
  return *text;
}

std::string key_of(const Value& value) {
  if (const std::string* text = value.text()) return "s" + *text;
  if (value.is<None>()) return "n";
  if (is_integral(value)) return "i" + std::to_string(integer_of(value, "a key"));
  if (const auto* real = value.get_if<double>()) {
    // 2^53: beyond it a float may stand for several whole numbers, which key no template's values.
    constexpr double kExact = 9007199254740992.0;
    if (std::trunc(*real) == *real && std::abs(*real) <= kExact) {
      return "i" + std::to_string(static_cast<std::int64_t>(*real));
    }
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, *real).ptr;
    return "f" + std::string(digits, end);
  }
  throw Error(kind_of(value) + " as a key is not supported");
}

}  // namespace longshadow::jinja
