#include "engine/jinja/values/callable.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/jinja/values/heap.h"
#include "engine/text/utf8.h"

namespace longshadow::jinja {
namespace {

[[noreturn]] void refuse(const Builtin& builtin, const std::string& what) {
  throw Error(quote(builtin.name) + " " + what);
}

}  // namespace

const Builtin* find_builtin(std::span<const Builtin> table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Builtin& builtin) { return builtin.name == name; });
  return found == table.end() ? nullptr : &*found;
}

Value apply(const Builtin& builtin, Heap& heap, const Value& subject, const Arguments& arguments) {
  heap.step();
  if (builtin.apply_any != nullptr) return builtin.apply_any(heap, subject, arguments);
  const std::vector<Parameter>& parameters = builtin.parameters;
  if (arguments.positional.size() > parameters.size()) {
    refuse(builtin, "takes at most " + std::to_string(parameters.size()) + " arguments, found " +
                        std::to_string(arguments.positional.size()));
  }
  std::vector<std::optional<Value>> given(arguments.positional.begin(), arguments.positional.end());
  given.resize(parameters.size());
  for (const auto& [name, value] : arguments.named) {
    const auto parameter =
        std::find_if(parameters.begin(), parameters.end(),
                     [&, &wanted = name](const Parameter& p) { return p.name == wanted; });
    if (parameter == parameters.end()) refuse(builtin, "has no argument " + quote(name));
    auto& place = given[static_cast<std::size_t>(parameter - parameters.begin())];
    if (place) refuse(builtin, "has its argument " + quote(name) + " twice");
    place = value;
  }
  std::vector<Value> values{subject};
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::optional<Value>& value = given[i] ? given[i] : parameters[i].standard;
    if (!value) refuse(builtin, "needs its argument " + quote(parameters[i].name));
    values.push_back(*value);
  }
  return builtin.apply(heap, values);
}

}  // namespace longshadow::jinja
