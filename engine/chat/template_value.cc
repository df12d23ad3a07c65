#include "engine/chat/template_value.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "engine/core/error.h"
#include "engine/io/unicode.h"
#include "engine/io/utf8.h"

namespace longshadow {
namespace {

using nlohmann::ordered_json;
using Arguments = std::vector<TemplateValue>;

TemplateValue make(ordered_json value) {
  return std::make_shared<const ordered_json>(std::move(value));
}

bool is_string(const TemplateValue& value) { return value && value->is_string(); }
bool is_integer(const TemplateValue& value) { return value && value->is_number_integer(); }

const std::string& string_of(const TemplateValue& value, const std::string& what) {
  if (!is_string(value)) throw Error(what + " needs a string, found " + kind_of(value));
  return value->get_ref<const std::string&>();
}

std::int64_t integer_of(const TemplateValue& value, const std::string& what) {
  if (!is_integer(value)) throw Error(what + " needs a whole number, found " + kind_of(value));
  return value->get<std::int64_t>();
}

TemplateValue arithmetic(std::string_view name, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (name == "%") {
    if (b <= 0) throw Error("a remainder is of a positive number, found " + std::to_string(b));
    result = (a % b + b) % b;  // of Python's sign
  } else if (name == "+" ? __builtin_add_overflow(a, b, &result)
                         : __builtin_sub_overflow(a, b, &result)) {
    throw Error("a number does not fit 64 bits");
  }
  return make(result);
}

bool contains(const TemplateValue& container, const TemplateValue& value) {
  if (!container) return false;
  if (container->is_string()) {
    return string_of(container, "in").find(string_of(value, "in a string")) != std::string::npos;
  }
  if (container->is_object()) return container->contains(string_of(value, "in an object"));
  if (!container->is_array()) throw Error("in needs a string, list or object on its right");
  return value && std::find(container->begin(), container->end(), *value) != container->end();
}

bool are_equal(const TemplateValue& a, const TemplateValue& b) {
  return a && b ? *a == *b : !a && !b;
}

bool is_less(const TemplateValue& a, const TemplateValue& b) {
  if (is_integer(a) && is_integer(b)) return *a < *b;
  return string_of(a, "a comparison") < string_of(b, "a comparison");
}

// --- text

/// As Python's str.strip() has it: Unicode's white space and the four separators of ASCII.
bool is_stripped(char32_t c) { return is_white_space(c) || (c >= 0x1c && c <= 0x1f); }

enum class Side { left, right, both };

std::string stripped(const std::string& text, Side side) {
  std::size_t begin = 0;
  std::size_t end = text.size();
  while (side != Side::right && begin < end) {
    const auto c = code_point_at(text, begin);
    if (!c || !is_stripped(c->value)) break;
    begin += c->length;
  }
  while (side != Side::left && begin < end) {
    const auto c = code_point_before(text, end);
    if (!c || !is_stripped(c->value)) break;
    end -= c->length;
  }
  return text.substr(begin, end - begin);
}

ordered_json split(const std::string& text, const std::string& separator) {
  if (separator.empty()) throw Error("split needs a separator that is not empty");
  ordered_json parts = ordered_json::array();
  std::size_t begin = 0;
  for (std::size_t end = text.find(separator); end != std::string::npos;
       end = text.find(separator, begin)) {
    parts.push_back(text.substr(begin, end - begin));
    begin = end + separator.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

/// As JSON on one line. A template need not be UTF-8: what is not becomes U+FFFD.
std::string scalar_text(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

/// As Python's json.dumps(value, ensure_ascii=False) writes it.
std::string json_text(const ordered_json& value) {
  if (!value.is_structured()) return scalar_text(value);
  std::string text;
  for (const auto& [key, item] : value.items()) {
    if (!text.empty()) text += ", ";
    if (value.is_object()) text += scalar_text(key) + ": ";
    text += json_text(item);
  }
  return value.is_object() ? "{" + text + "}" : "[" + text + "]";
}

std::size_t total_size(const ordered_json& value) {
  std::size_t total = 64;  // a value's own, roughly
  if (value.is_string()) total += value.get_ref<const std::string&>().size();
  if (value.is_structured()) {
    for (const ordered_json& item : value) total += total_size(item);
  }
  return total;
}

std::size_t length_of(const TemplateValue& value) {
  if (!value || value->is_structured()) return value ? value->size() : 0;
  const std::string& text = string_of(value, "length");
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & '\xc0') != '\x80'; }));
}

std::size_t bound_of(const TemplateValue& bound, std::size_t standard, std::size_t size) {
  if (bound && bound->is_null()) return standard;
  const std::int64_t index = integer_of(bound, "a slice");
  const auto n = static_cast<std::int64_t>(size);
  return static_cast<std::size_t>(std::clamp(index < 0 ? index + n : index, std::int64_t{0}, n));
}

[[noreturn]] void refuse_unknown(const char* what, std::string_view name,
                                 const Arguments& arguments) {
  throw Error("the " + std::string(what) + " " + quote(name) + " with " +
              std::to_string(arguments.size() - 1) + " arguments is not supported");
}

}  // namespace

std::string kind_of(const TemplateValue& value) {
  if (!value) return "undefined";
  if (value->is_null()) return "none";
  if (value->is_array()) return "a list";
  if (value->is_object()) return "an object";
  if (value->is_boolean()) return "true or false";
  return value->is_string() ? "a string" : "a number";
}

bool is_true(const TemplateValue& value) {
  if (!value || value->is_null()) return false;
  if (value->is_boolean()) return value->get<bool>();
  if (value->is_string()) return !value->get_ref<const std::string&>().empty();
  return value->is_number() ? *value != 0 : !value->empty();
}

std::string text_of(const TemplateValue& value) {
  if (!value) return "";
  if (value->is_string()) return value->get<std::string>();
  if (value->is_null()) return "None";
  if (value->is_boolean()) return value->get<bool>() ? "True" : "False";
  if (value->is_number()) return value->dump();
  throw Error("writing " + kind_of(value) + " is not supported; tojson writes it as JSON");
}

std::size_t size_of(const TemplateValue& value) { return value ? total_size(*value) : 0; }

TemplateValue apply_operator(std::string_view name, const TemplateValue& left,
                             const TemplateValue& right) {
  if (name == "==") return make(are_equal(left, right));
  if (name == "!=") return make(!are_equal(left, right));
  if (name == "in") return make(contains(right, left));
  if (name == "not in") return make(!contains(right, left));
  if (name == "<") return make(is_less(left, right));
  if (name == ">") return make(is_less(right, left));
  if (name == "<=") return make(!is_less(right, left));
  if (name == ">=") return make(!is_less(left, right));
  if (name == "~") return make(text_of(left) + text_of(right));
  if (name == "+" && is_string(left) && is_string(right)) {
    return make(string_of(left, "+") + string_of(right, "+"));
  }
  if (!is_integer(left) || !is_integer(right)) {
    throw Error(kind_of(left) + " " + std::string(name) + " " + kind_of(right) +
                " is not supported");
  }
  return arithmetic(name, integer_of(left, "arithmetic"), integer_of(right, "arithmetic"));
}

TemplateValue apply_filter(std::string_view name, const Arguments& arguments) {
  const TemplateValue& value = arguments[0];
  if (name == "default" && arguments.size() == 2) return value ? value : arguments[1];
  if (arguments.size() == 1) {
    if (name == "trim") return make(stripped(text_of(value), Side::both));
    if (name == "string") return make(text_of(value));
    if (name == "length") return make(length_of(value));
    if (name == "first") return item_of(value, make(0));
    if (name == "last") return item_of(value, make(-1));
    if (name == "tojson" && value) return make(json_text(*value));
  }
  refuse_unknown("filter", name, arguments);
}

TemplateValue apply_method(std::string_view name, const Arguments& arguments) {
  const std::string& text = string_of(arguments[0], std::string(name));
  if (arguments.size() == 1) {
    if (name == "strip") return make(stripped(text, Side::both));
    if (name == "lstrip") return make(stripped(text, Side::left));
    if (name == "rstrip") return make(stripped(text, Side::right));
  } else if (arguments.size() == 2) {
    const std::string& part = string_of(arguments[1], std::string(name));
    if (name == "startswith") return make(text.starts_with(part));
    if (name == "endswith") return make(text.ends_with(part));
    if (name == "split") return make(split(text, part));
  }
  refuse_unknown("method", name, arguments);
}

bool apply_test(std::string_view name, const TemplateValue& value) {
  if (name == "defined") return value != nullptr;
  if (name == "undefined") return !value;
  if (name == "none") return value && value->is_null();
  if (name == "string") return is_string(value);
  if (name == "mapping") return value && value->is_object();
  if (name == "iterable") return !value || value->is_structured() || value->is_string();
  throw Error("the test " + quote(name) + " is not supported");
}

TemplateValue item_of(const TemplateValue& value, const TemplateValue& key) {
  if (!value) {
    throw Error("the item " + (key ? json_text(*key) : "") + " of what is undefined");
  }
  const ordered_json* item = nullptr;
  if (value->is_object() && is_string(key)) {
    const auto found = value->find(key->get_ref<const std::string&>());
    if (found != value->end()) item = &*found;
  } else if (value->is_array() && is_integer(key)) {
    const std::int64_t index = integer_of(key, "an index");
    const auto size = static_cast<std::int64_t>(value->size());
    const std::int64_t from_begin = index < 0 ? index + size : index;
    if (from_begin >= 0 && from_begin < size) {
      item = &(*value)[static_cast<std::size_t>(from_begin)];
    }
  } else if (value->is_string() && is_integer(key)) {
    throw Error("a character of a string is not supported");
  }
  return item == nullptr ? nullptr : TemplateValue(value, item);
}

TemplateValue slice_of(const TemplateValue& value, const TemplateValue& first,
                       const TemplateValue& last) {
  if (!value || !value->is_array()) throw Error("a slice needs a list, found " + kind_of(value));
  const std::size_t begin = bound_of(first, 0, value->size());
  const std::size_t end = std::max(begin, bound_of(last, value->size(), value->size()));
  ordered_json part = ordered_json::array();
  for (std::size_t i = begin; i < end; ++i) part.push_back((*value)[i]);
  return make(std::move(part));
}

}  // namespace longshadow
