#pragma once

#include <string>
#include <string_view>

#include "engine/jinja/values/callable.h"
#include "engine/jinja/values/heap.h"

/// Python's two ways to put values into a text. Both throw Error for a directive that Python does
/// not have, or that does not fit its value.
namespace longshadow::jinja {

/// text % values: %s %r %d %i %u %x %X %o %e %f %g %c and %%, with flags, width and precision;
/// `values` is a tuple of them, one of them alone, or a dictionary for %(name)s.
std::string percent_formatted(Heap& heap, std::string_view text, const Value& values);

/// text.format(...): {}, {0}, {name}, {0.attribute}, {0[item]}, !r and !s, and a format
/// specification such as :>10, :05d, :.2f or :,.
std::string brace_formatted(Heap& heap, std::string_view text, const Arguments& arguments);

}  // namespace longshadow::jinja
