// Statements: what a template writes and sets, and how it branches.
#include <utility>

#include "engine/core/error.h"
#include "engine/jinja/interpreter.h"
#include "engine/jinja/operators/operators.h"
#include "engine/jinja/values/text.h"
#include "engine/text/utf8.h"

namespace longshadow::jinja {
namespace {

/// What a scope takes of memory, roughly.
constexpr std::size_t kBytesPerScope = 128;

}  // namespace

Interpreter::Level::Level(Interpreter& interpreter) : interpreter_(interpreter) {
  if (++interpreter_.level_ > kMost) {
    --interpreter_.level_;
    throw Error("blocks, expressions and calls nest deeper than " + std::to_string(kMost) +
                " levels");
  }
}

Interpreter::Inside::Inside(Interpreter& interpreter, Scope* parent)
    : interpreter_(interpreter), outer_(interpreter.scope_) {
  interpreter_.scope_ = &interpreter_.new_scope(parent);
}

Interpreter::Inside::~Inside() {
  if (!interpreter_.scope_->is_captured) {
    interpreter_.scope_->variables.clear();
    interpreter_.free_scopes_.push_back(interpreter_.scope_);
  }
  interpreter_.scope_ = outer_;
}

Interpreter::Interpreter(Heap& heap, std::unordered_map<std::string_view, Value> globals,
                         const std::tm& now)
    : heap_(heap), now_(now) {
  scope_ = &new_scope(nullptr);
  scope_->variables = std::move(globals);
  for (const std::string_view name :
       {"range", "dict", "namespace", "raise_exception", "strftime_now"}) {
    scope_->variables.try_emplace(name, heap_.callable({Callable::Kind::function, name}));
  }
}

Scope& Interpreter::new_scope(Scope* parent) {
  if (free_scopes_.empty()) {
    heap_.charge(kBytesPerScope);
    scopes_.emplace_back();
    free_scopes_.push_back(&scopes_.back());
  }
  Scope& scope = *free_scopes_.back();
  free_scopes_.pop_back();
  scope.parent = parent;
  return scope;
}

std::string Interpreter::run(const std::vector<Statement>& statements) {
  std::string output;
  output_ = &output;
  const Inside template_scope(*this, scope_);
  run_body(statements);
  return output;
}

void Interpreter::write(std::string_view text) {
  heap_.charge(text.size());
  output_->append(text);
}

Interpreter::Flow Interpreter::run_body(const std::vector<Statement>& statements) {
  const Level level(*this);
  for (const Statement& statement : statements) {
    const Flow flow = run_statement(statement);
    if (flow != Flow::on) return flow;
  }
  return Flow::on;
}

Interpreter::Flow Interpreter::run_statement(const Statement& statement) {
  line_ = statement.line;
  heap_.step();
  using Kind = Statement::Kind;
  switch (statement.kind) {
    case Kind::text:
      write(statement.name);
      break;
    case Kind::print:
      for (const Expression& expression : statement.expressions) {
        write(to_text(heap_, evaluate(expression)));
      }
      break;
    case Kind::set:
      assign(statement.targets[0], evaluate(statement.expressions[0]));
      break;
    case Kind::set_block: {
      const Value text = captured(statement.bodies[0]);
      assign(statement.targets[0],
             statement.expressions.empty() ? text : filtered(statement.expressions[0], text));
      break;
    }
    case Kind::if_:
      return run_if(statement);
    case Kind::for_:
      run_for(statement, evaluate(statement.expressions[0]), 1);
      break;
    case Kind::break_:
      return Flow::break_;
    case Kind::continue_:
      return Flow::continue_;
    case Kind::macro:
      scope_->variables[statement.name] = macro_of(statement);
      break;
    case Kind::call: {
      Arguments arguments = evaluate_arguments(statement.expressions[0]);
      arguments.named.emplace_back("caller", macro_of(statement));
      const Value callee = evaluate(statement.expressions[0].operands[0]);
      write(to_text(heap_, call(callee, arguments)));
      break;
    }
    case Kind::filter:
      write(to_text(heap_, filtered(statement.expressions[0], captured(statement.bodies[0]))));
      break;
    case Kind::with:
      run_with(statement);
      break;
    case Kind::generation:
      run_inside(statement.bodies[0]);
      break;
    case Kind::unsupported:
      throw Error(quote(statement.name) + " is not supported: a chat template is one file");
  }
  return Flow::on;
}

Interpreter::Flow Interpreter::run_if(const Statement& statement) {
  std::size_t branch = 0;
  while (branch < statement.expressions.size() &&
         !is_true(evaluate(statement.expressions[branch]))) {
    ++branch;
  }
  return branch < statement.bodies.size() ? run_body(statement.bodies[branch]) : Flow::on;
}

/// The items that the loop goes through: those that its condition lets pass.
const std::vector<Value>& Interpreter::loop_items(const Statement& statement, const Value& value) {
  const Sequence* sequence = value.sequence();
  if (!statement.has_condition && sequence != nullptr) return sequence->items;
  std::vector<Value> items = items_of(heap_, value);
  if (!statement.has_condition) return heap_.keep(std::move(items));
  const Inside condition_scope(*this, scope_);
  std::vector<Value> passed;
  for (const Value& item : items) {
    assign(statement.targets[0], item);
    if (is_true(evaluate(statement.expressions[1]))) passed.push_back(item);
  }
  return heap_.keep(std::move(passed));
}

void Interpreter::run_for(const Statement& statement, const Value& value, std::size_t depth) {
  const std::vector<Value>& items = loop_items(statement, value);
  if (items.empty()) {
    if (statement.bodies.size() > 1) run_inside(statement.bodies[1]);
    return;
  }
  Loop& loop = heap_.loop(items);
  loop.depth = depth;
  if (statement.is_recursive) {
    Callable again{Callable::Kind::loop, "loop"};
    again.statement = &statement;
    again.scope = scope_;
    again.depth = depth;
    loop.again = heap_.callable(again).callable();
  }
  const Inside loop_scope(*this, scope_);
  for (; loop.index < items.size(); ++loop.index) {
    scope_->variables.clear();
    scope_->variables["loop"] = &loop;
    assign(statement.targets[0], items[loop.index]);
    if (run_body(statement.bodies[0]) == Flow::break_) return;
  }
}

void Interpreter::run_with(const Statement& statement) {
  std::vector<Value> values;
  for (const Expression& expression : statement.expressions) values.push_back(evaluate(expression));
  const Inside with_scope(*this, scope_);
  for (std::size_t i = 0; i < values.size(); ++i) assign(statement.targets[i], values[i]);
  run_body(statement.bodies[0]);
}

void Interpreter::run_inside(const std::vector<Statement>& body) {
  const Inside body_scope(*this, scope_);
  run_body(body);
}

/// The text that a body writes.
Value Interpreter::captured(const std::vector<Statement>& body) {
  std::string text;
  std::string* const outer = std::exchange(output_, &text);
  run_inside(body);
  output_ = outer;
  return heap_.text(std::move(text));
}

/// What a block's filter makes of its text, which the parser calls by the empty name.
Value Interpreter::filtered(const Expression& filter, const Value& text) {
  const Inside filter_scope(*this, scope_);
  scope_->variables[""] = text;
  return evaluate(filter);
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (!target.targets.empty()) {
    const std::vector<Value> items = items_of(heap_, value);
    if (items.size() != target.targets.size()) {
      throw Error("expected " + std::to_string(target.targets.size()) +
                  " values to unpack, found " + std::to_string(items.size()));
    }
    for (std::size_t i = 0; i < items.size(); ++i) assign(target.targets[i], items[i]);
    return;
  }
  if (target.attribute.empty()) {
    scope_->variables[target.name] = value;
    return;
  }
  Namespace* name_space = evaluate_variable(target.name).name_space();
  if (name_space == nullptr) throw Error(quote(target.name) + " is no namespace");
  if (target.attribute.starts_with('_')) {
    throw Error("a namespace has no attribute that begins with '_', as in transformers");
  }
  heap_.charge(2 * sizeof(Value));
  name_space->attributes.set(heap_.text(target.attribute), value);
}

}  // namespace longshadow::jinja
