// Expressions: what a template computes.
#include <utility>

#include "engine/core/error.h"
#include "engine/jinja/filters/filters.h"
#include "engine/jinja/interpreter.h"
#include "engine/jinja/operators/operators.h"
#include "engine/jinja/values/text.h"

namespace longshadow::jinja {

Value Interpreter::evaluate(const Expression& expression) {
  const Level level(*this);
  heap_.step();
  line_ = expression.line;
  const std::vector<Expression>& operands = expression.operands;
  using Kind = Expression::Kind;
  switch (expression.kind) {
    case Kind::literal:
      return evaluate_literal(expression.literal);
    case Kind::list:
      return heap_.list(evaluate_all(expression, 0));
    case Kind::tuple:
      return heap_.tuple(evaluate_all(expression, 0));
    case Kind::dict:
      return evaluate_dict(expression);
    case Kind::variable:
      return evaluate_variable(expression.name);
    case Kind::attribute:
    case Kind::item: {
      const Value value = evaluate(operands[0]);
      return item_of(heap_, value, evaluate(operands[1]), expression.kind == Kind::attribute);
    }
    case Kind::slice:
      return evaluate_slice(expression);
    case Kind::call:
      return evaluate_call(expression);
    case Kind::filter:
      return evaluate_filter(expression);
    case Kind::test:
      return evaluate_test(expression);
    case Kind::not_:
      return !is_true(evaluate(operands[0]));
    case Kind::negative:
    case Kind::positive:
      return evaluate_sign(expression);
    case Kind::and_:
    case Kind::or_: {
      const Value left = evaluate(operands[0]);
      const bool is_decided = is_true(left) == (expression.kind == Kind::or_);
      return is_decided ? left : evaluate(operands[1]);
    }
    case Kind::arithmetic:
      return evaluate_arithmetic(expression);
    case Kind::comparison:
      return evaluate_comparison(expression);
    case Kind::concat:
      return evaluate_concat(expression);
    case Kind::conditional:
      return evaluate_conditional(expression);
    case Kind::spread:
      break;
  }
  throw Error("'*' stands among arguments alone");
}

Value Interpreter::evaluate_literal(const Literal& literal) {
  switch (literal.kind) {
    case Literal::Kind::none:
      return None{};
    case Literal::Kind::boolean:
      return literal.truth;
    case Literal::Kind::integer:
      return std::int64_t{literal.integer};
    case Literal::Kind::real:
      return literal.real;
    case Literal::Kind::string:
      break;
  }
  return Text{&literal.text};
}

Value Interpreter::evaluate_variable(const std::string& name) {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    heap_.step(name.size() / 64);
    const auto found = scope->variables.find(name);
    if (found != scope->variables.end()) return found->second;
  }
  return Undefined{&name};
}

std::vector<Value> Interpreter::evaluate_all(const Expression& expression, std::size_t first) {
  std::vector<Value> values;
  for (std::size_t i = first; i < expression.operands.size(); ++i) {
    const Expression& operand = expression.operands[i];
    if (operand.kind == Expression::Kind::spread) {
      for (const Value& item : items_of(heap_, evaluate(operand.operands[0]))) {
        values.push_back(item);
      }
    } else {
      values.push_back(evaluate(operand));
    }
  }
  return values;
}

Value Interpreter::evaluate_dict(const Expression& expression) {
  Dict dict;
  for (std::size_t i = 0; i < expression.operands.size(); i += 2) {
    const Value key = evaluate(expression.operands[i]);
    dict.set(key, evaluate(expression.operands[i + 1]));
  }
  return heap_.dict(std::move(dict));
}

Value Interpreter::evaluate_slice(const Expression& expression) {
  const std::vector<Value> values = evaluate_all(expression, 0);
  return slice_of(heap_, values[0], values[1], values[2], values[3]);
}

Value Interpreter::evaluate_sign(const Expression& expression) {
  const Value value = evaluate(expression.operands[0]);
  if (!is_number(value)) {
    throw Error("a sign needs a number behind it, found " + kind_of(value));
  }
  const bool is_negative = expression.kind == Expression::Kind::negative;
  if (const auto* real = value.get_if<double>()) return is_negative ? -*real : *real;
  return arithmetic(heap_, is_negative ? "-" : "+", std::int64_t{0}, value);
}

Value Interpreter::evaluate_arithmetic(const Expression& expression) {
  const Value left = evaluate(expression.operands[0]);
  return arithmetic(heap_, expression.name, left, evaluate(expression.operands[1]));
}

/// a < b < c: as in Python, b once, and c where it matters.
Value Interpreter::evaluate_comparison(const Expression& expression) {
  Value left = evaluate(expression.operands[0]);
  for (std::size_t i = 0; i < expression.names.size(); ++i) {
    const Value right = evaluate(expression.operands[i + 1]);
    if (!compare(heap_, expression.names[i], left, right)) return false;
    left = right;
  }
  return true;
}

Value Interpreter::evaluate_concat(const Expression& expression) {
  std::string text;
  for (const Value& value : evaluate_all(expression, 0)) {
    const std::string part = to_text(heap_, value);
    heap_.charge(part.size());
    text += part;
  }
  return heap_.text(std::move(text));
}

Value Interpreter::evaluate_conditional(const Expression& expression) {
  if (is_true(evaluate(expression.operands[0]))) return evaluate(expression.operands[1]);
  return expression.operands.size() > 2 ? evaluate(expression.operands[2]) : Value();
}

Value Interpreter::evaluate_test(const Expression& expression) {
  const Value value = evaluate(expression.operands[0]);
  return apply_test(heap_, expression.name, value, evaluate_arguments(expression));
}

Value Interpreter::evaluate_filter(const Expression& expression) {
  const Value value = evaluate(expression.operands[0]);
  return apply_filter(heap_, expression.name, value, evaluate_arguments(expression));
}

/// Those behind the first operand, which is what is called or filtered.
Arguments Interpreter::evaluate_arguments(const Expression& expression) {
  Arguments arguments{evaluate_all(expression, 1)};
  for (const auto& [name, value] : expression.named) {
    const Value evaluated = evaluate(value);
    if (!name.empty()) {
      arguments.named.emplace_back(name, evaluated);
      continue;
    }
    const Dict* dict = evaluated.dict();
    if (dict == nullptr) throw Error("** needs a dictionary, found " + kind_of(evaluated));
    for (const auto& [key, item] : dict->items) {
      arguments.named.emplace_back(text_of(key, "a named argument"), item);
    }
  }
  return arguments;
}

}  // namespace longshadow::jinja
