// Macros, callers, recursive loops and the functions that a template is given.
#include <algorithm>
#include <utility>

#include "engine/core/error.h"
#include "engine/jinja/interpreter.h"
#include "engine/jinja/operators/operators.h"
#include "engine/jinja/values/text.h"
#include "engine/text/utf8.h"

namespace longshadow::jinja {
namespace {

/// What jinja2's sandbox lets a range have.
constexpr std::int64_t kMaxRange = 100000;

const Value& only_argument(const Arguments& arguments, const char* function) {
  const std::vector<Value>& given = arguments.positional;
  if (given.size() + arguments.named.size() != 1) {
    throw Error(std::string(function) + " takes one argument, found " +
                std::to_string(given.size() + arguments.named.size()));
  }
  return given.empty() ? arguments.named[0].second : given[0];
}

}  // namespace

Value Interpreter::evaluate_call(const Expression& expression) {
  const Value callee = evaluate(expression.operands[0]);
  const Arguments arguments = evaluate_arguments(expression);
  line_ = expression.line;
  return call(callee, arguments);
}

Value Interpreter::call(const Value& callee, const Arguments& arguments) {
  heap_.step();
  const Callable* callable = callee.callable();
  if (const Loop* loop = callee.loop()) callable = loop->again;
  if (callable == nullptr) throw Error(kind_of(callee) + " is no function");
  switch (callable->kind) {
    case Callable::Kind::function:
      return call_function(callable->name, arguments);
    case Callable::Kind::method:
      return apply(*callable->method, heap_, callable->receiver, arguments);
    case Callable::Kind::macro:
      return call_macro(*callable, arguments);
    case Callable::Kind::loop:
      return call_loop(*callable, arguments);
  }
  return {};
}

/// A macro or the caller of a call block, which sees what stands where it is written.
Value Interpreter::macro_of(const Statement& statement) {
  for (Scope* scope = scope_; scope != nullptr; scope = scope->parent) scope->is_captured = true;
  Callable macro{Callable::Kind::macro, statement.name};
  macro.statement = &statement;
  macro.scope = scope_;
  return heap_.callable(macro);
}

Value Interpreter::call_macro(const Callable& macro, const Arguments& arguments) {
  const Inside macro_scope(*this, macro.scope);
  bind_parameters(*macro.statement, arguments);
  std::string text;
  std::string* const outer = std::exchange(output_, &text);
  run_body(macro.statement->bodies[0]);
  output_ = outer;
  return heap_.text(std::move(text));
}

void Interpreter::bind_parameters(const Statement& macro, const Arguments& arguments) {
  const std::vector<MacroParameter>& parameters = macro.parameters;
  std::vector<Value> rest;
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
    if (i < parameters.size()) {
      scope_->variables[parameters[i].name] = arguments.positional[i];
    } else {
      rest.push_back(arguments.positional[i]);
    }
  }
  if (!rest.empty() && !macro.takes_rest) {
    throw Error("the macro " + quote(macro.name) + " takes at most " +
                std::to_string(parameters.size()) + " arguments");
  }
  Dict named_rest;
  for (const auto& [name, value] : arguments.named) {
    const auto parameter =
        std::find_if(parameters.begin(), parameters.end(),
                     [&, &wanted = name](const MacroParameter& p) { return p.name == wanted; });
    if (parameter != parameters.end()) {
      if (!scope_->variables.try_emplace(parameter->name, value).second) {
        throw Error("the macro " + quote(macro.name) + " has its argument " + quote(name) +
                    " twice");
      }
    } else if (name == "caller") {
      scope_->variables["caller"] = value;
    } else if (macro.takes_named_rest) {
      named_rest.set(heap_.text(name), value);
    } else {
      throw Error("the macro " + quote(macro.name) + " has no argument " + quote(name));
    }
  }
  for (const MacroParameter& parameter : parameters) {
    if (scope_->variables.contains(parameter.name)) continue;
    scope_->variables[parameter.name] = parameter.standard.empty()
                                            ? Value(Undefined{&parameter.name})
                                            : evaluate(parameter.standard[0]);
  }
  if (macro.takes_rest) scope_->variables["varargs"] = heap_.tuple(std::move(rest));
  if (macro.takes_named_rest) scope_->variables["kwargs"] = heap_.dict(std::move(named_rest));
}

/// loop(items) of a recursive loop: the loop's text for other items.
Value Interpreter::call_loop(const Callable& loop, const Arguments& arguments) {
  Scope* const inner = std::exchange(scope_, loop.scope);
  std::string text;
  std::string* const outer = std::exchange(output_, &text);
  const Level level(*this);
  run_for(*loop.statement, only_argument(arguments, "loop"), loop.depth + 1);
  output_ = outer;
  scope_ = inner;
  return heap_.text(std::move(text));
}

Value Interpreter::call_function(std::string_view name, const Arguments& arguments) {
  if (name == "range") return range(arguments);
  if (name == "dict") return heap_.dict(dict_of(arguments));
  if (name == "namespace") return name_space(arguments);
  if (name == "strftime_now") return strftime_now(arguments);
  throw Error("the template refuses this conversation: " +
              quote(to_text(heap_, only_argument(arguments, "raise_exception"))));
}

Value Interpreter::range(const Arguments& arguments) {
  const std::vector<Value>& given = arguments.positional;
  if (given.empty() || given.size() > 3 || !arguments.named.empty()) {
    throw Error("range takes one to three whole numbers");
  }
  const std::int64_t first = given.size() > 1 ? integer_of(given[0], "range") : 0;
  const std::int64_t last = integer_of(given[given.size() > 1 ? 1 : 0], "range");
  const std::int64_t step = given.size() > 2 ? integer_of(given[2], "range") : 1;
  if (step == 0) throw Error("range: the step must not be zero");
  std::vector<Value> items;
  for (std::int64_t i = first; step > 0 ? i < last : i > last;) {
    if (static_cast<std::int64_t>(items.size()) == kMaxRange) {
      throw Error("a range has more than " + std::to_string(kMaxRange) + " numbers");
    }
    items.push_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  heap_.step(items.size());
  return heap_.view("range", std::move(items));
}

/// dict(other, name=value, ...), where `other` is a dictionary or pairs of keys and values.
Dict Interpreter::dict_of(const Arguments& arguments) {
  Dict dict;
  if (arguments.positional.size() > 1)
    throw Error("dict takes at most one argument without a name");
  if (!arguments.positional.empty()) {
    const Value& other = arguments.positional[0];
    if (other.dict() != nullptr) {
      dict = *other.dict();
    } else {
      for (const Value& pair : items_of(heap_, other)) {
        const std::vector<Value> key_and_value = items_of(heap_, pair);
        if (key_and_value.size() != 2) throw Error("dict needs pairs of keys and values");
        dict.set(key_and_value[0], key_and_value[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) dict.set(heap_.text(name), value);
  return dict;
}

Value Interpreter::name_space(const Arguments& arguments) {
  Dict attributes = dict_of(arguments);
  for (const auto& [key, value] : attributes.items) {
    if (key.text() != nullptr && key.text()->starts_with('_')) {
      throw Error("a namespace has no attribute that begins with '_', as in transformers");
    }
  }
  return heap_.name_space(std::move(attributes));
}

/// datetime.now().strftime(format).
Value Interpreter::strftime_now(const Arguments& arguments) {
  const std::string& format = text_of(only_argument(arguments, "strftime_now"), "strftime_now");
  constexpr std::size_t kLongest = 256;
  constexpr std::size_t kLongestText = 4096;
  heap_.step(kLongestText / 64);
  if (format.size() > kLongest) throw Error("strftime_now: the format is too long");
  std::string directives;
  for (std::size_t i = 0; i < format.size(); ++i) {
    // Python's own: microseconds; a time without a zone has no zone to write.
    const char next = i + 1 < format.size() && format[i] == '%' ? format[i + 1] : '\0';
    if (next == 'f') directives += "000000";
    if (next == 'f' || next == 'z' || next == 'Z') {
      ++i;
      continue;
    }
    directives += format[i];
    if (next == '%') directives += format[++i];
  }
  std::string text(kLongestText, '\0');
  text.resize(std::strftime(text.data(), text.size(), directives.c_str(), &now_));
  return heap_.text(std::move(text));
}

}  // namespace longshadow::jinja
