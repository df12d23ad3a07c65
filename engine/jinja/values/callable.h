#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/jinja/values/value.h"

namespace longshadow::jinja {

class Heap;
struct Scope;
struct Statement;

struct Arguments {
  std::vector<Value> positional{};
  std::vector<std::pair<std::string, Value>> named{};
};

struct Parameter {
  std::string_view name;
  std::optional<Value> standard{};  ///< none: it must be given
};

/// A filter, a test or a method of the language's own. The value that it is applied to is the first
/// of its arguments and no parameter.
struct Builtin {
  std::string_view name;
  std::vector<Parameter> parameters;
  Value (*apply)(Heap& heap, std::span<const Value> arguments);
  /// Instead of `apply`, where any arguments may be given.
  Value (*apply_any)(Heap& heap, const Value& subject, const Arguments& arguments) = nullptr;
};

/// nullptr where the table has no such name.
const Builtin* find_builtin(std::span<const Builtin> table, std::string_view name);

/// Throws Error where the arguments do not fit the parameters.
Value apply(const Builtin& builtin, Heap& heap, const Value& subject, const Arguments& arguments);

/// What can be called.
struct Callable {
  enum class Kind { function, method, macro, loop };
  Kind kind;
  std::string_view name;  ///< of a function
  Value receiver{};       ///< of a method
  const Builtin* method = nullptr;
  const Statement* statement = nullptr;  ///< of a macro or a recursive loop
  Scope* scope = nullptr;                ///< where that was defined
  std::size_t depth = 0;                 ///< of a loop inside those it is called by
};

}  // namespace longshadow::jinja
