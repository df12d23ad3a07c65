#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "engine/jinja/values/callable.h"

namespace longshadow::jinja {

/// The method of Python's type of `value`; nullptr where there is none of that name. Methods that
/// change the value are there and throw Error when called.
const Builtin* find_method(const Value& value, std::string_view name);

/// The methods of Python's str; the first argument of each is the string.
std::span<const Builtin> string_methods();

/// str.isupper() or str.islower(): whether there are letters of that case and none of the other.
bool has_case(Heap& heap, std::string_view text, bool is_upper);

/// The tuples (key, value) of a dictionary.
std::vector<Value> item_pairs(Heap& heap, const Dict& dict);

}  // namespace longshadow::jinja
