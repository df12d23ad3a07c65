#pragma once

#include <span>
#include <string_view>

#include "engine/jinja/values/callable.h"

/// jinja2's filters and tests; the first argument of each is the value filtered or tested. Left out
/// are the filters that no prompt needs: filesizeformat, pprint, random, striptags, urlencode,
/// urlize, wordwrap, xmlattr.
namespace longshadow::jinja {

/// nullptr where there is none of that name.
const Builtin* find_filter(std::string_view name);
const Builtin* find_test(std::string_view name);

/// Throw Error for a name that there is none of.
Value apply_filter(Heap& heap, std::string_view name, const Value& value,
                   const Arguments& arguments);
bool apply_test(Heap& heap, std::string_view name, const Value& value, const Arguments& arguments);

/// Those that make a text or a number of one value.
std::span<const Builtin> scalar_filters();
/// Those that go through the items of a value.
std::span<const Builtin> sequence_filters();

}  // namespace longshadow::jinja
