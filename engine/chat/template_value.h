#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/chat/template_syntax.h"

/// What the operators, filters, tests and methods of a template do to values. All throw Error
/// saying what is not supported or what a value is not; the caller says where.
namespace longshadow {

/// "a string", "undefined", ...
std::string kind_of(const TemplateValue& value);

bool is_true(const TemplateValue& value);

/// What {{ value }} writes: nothing for undefined, True for true. Lists and objects have no text.
std::string text_of(const TemplateValue& value);

/// Bytes of text in the value, and some for each value in it.
std::size_t size_of(const TemplateValue& value);

/// All but `and` and `or`.
TemplateValue apply_operator(std::string_view name, const TemplateValue& left,
                             const TemplateValue& right);
/// arguments[0] is what the filter or the method is applied to.
TemplateValue apply_filter(std::string_view name, const std::vector<TemplateValue>& arguments);
TemplateValue apply_method(std::string_view name, const std::vector<TemplateValue>& arguments);
bool apply_test(std::string_view name, const TemplateValue& value);

/// value[key]; undefined where there is none.
TemplateValue item_of(const TemplateValue& value, const TemplateValue& key);
/// value[first:last] of a list; none is the list's own end.
TemplateValue slice_of(const TemplateValue& value, const TemplateValue& first,
                       const TemplateValue& last);

}  // namespace longshadow
