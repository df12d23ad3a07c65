#pragma once

#include <span>

#include "engine/chat/template_callable.h"

/// jinja2's filters; the first argument of each is the value filtered. Left out are those that no
/// prompt needs: filesizeformat, pprint, random, striptags, urlencode, urlize, wordwrap, xmlattr.
namespace longshadow::jinja {

/// Those that make a text or a number of one value.
std::span<const Builtin> scalar_filters();
/// Those that go through the items of a value.
std::span<const Builtin> sequence_filters();

}  // namespace longshadow::jinja
