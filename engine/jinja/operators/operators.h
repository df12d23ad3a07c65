#pragma once

#include <string_view>
#include <vector>

#include "engine/jinja/values/heap.h"
#include "engine/jinja/values/value.h"

/// Python's operators on the values of a template. All throw Error where Python raises, and for a
/// whole number that does not fit 64 bits.
namespace longshadow::jinja {

/// a == b and a < b.
bool are_equal(Heap& heap, const Value& a, const Value& b);
bool is_less(Heap& heap, const Value& a, const Value& b);

/// value in container.
bool contains(Heap& heap, const Value& container, const Value& value);

/// `name`: == != < <= > >= in not-in.
bool compare(Heap& heap, std::string_view name, const Value& left, const Value& right);

/// `name`: + - * / // % **.
Value arithmetic(Heap& heap, std::string_view name, const Value& left, const Value& right);

/// What a loop over the value yields: the characters of a string, the keys of a dictionary, nothing
/// of what is undefined; a generator is used up.
std::vector<Value> items_of(Heap& heap, const Value& value);

/// value[key], and value.key of a template where `is_attribute`; undefined where there is none. A
/// method of Python's goes before a key of that name in value.key, and after it in value['key'].
Value item_of(Heap& heap, const Value& value, const Value& key, bool is_attribute);

/// value[first:last:step]; none is Python's own choice.
Value slice_of(Heap& heap, const Value& value, const Value& first, const Value& last,
               const Value& step);

}  // namespace longshadow::jinja
