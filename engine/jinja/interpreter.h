#pragma once

#include <ctime>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/jinja/syntax/syntax.h"
#include "engine/jinja/values/callable.h"
#include "engine/jinja/values/heap.h"

namespace longshadow::jinja {

/// The variables of a block and, behind them, those of the blocks around it.
struct Scope {
  Scope* parent = nullptr;
  std::unordered_map<std::string_view, Value> variables{};  ///< named in the syntax tree
  bool is_captured = false;                                 ///< a macro may still look into it
};

/// Runs a template once. The statements and the names of `globals` must outlive it.
class Interpreter {
 public:
  /// `globals` are what the template is told; `now` what strftime_now() says.
  Interpreter(Heap& heap, std::unordered_map<std::string_view, Value> globals, const std::tm& now);

  /// The text that the template writes. Throws Error without the line, which line() then has.
  std::string run(const std::vector<Statement>& statements);
  std::size_t line() const { return line_; }

 private:
  enum class Flow { on, break_, continue_ };

  /// Counts the levels of blocks, expressions and calls that it is in, whose stack is bounded.
  class Level;
  /// Makes a scope the innermost one.
  class Inside;

  // statements: statements.cc
  Flow run_body(const std::vector<Statement>& statements);
  Flow run_statement(const Statement& statement);
  Flow run_if(const Statement& statement);
  void run_for(const Statement& statement, const Value& value, std::size_t depth);
  const std::vector<Value>& loop_items(const Statement& statement, const Value& value);
  void run_with(const Statement& statement);
  void run_inside(const std::vector<Statement>& body);
  Value captured(const std::vector<Statement>& body);
  Value filtered(const Expression& filter, const Value& text);
  void assign(const Target& target, const Value& value);
  void write(std::string_view text);

  // expressions: expressions.cc
  Value evaluate(const Expression& expression);
  Value evaluate_literal(const Literal& literal);
  Value evaluate_variable(const std::string& name);
  Value evaluate_dict(const Expression& expression);
  Value evaluate_slice(const Expression& expression);
  Value evaluate_sign(const Expression& expression);
  Value evaluate_arithmetic(const Expression& expression);
  Value evaluate_comparison(const Expression& expression);
  Value evaluate_concat(const Expression& expression);
  Value evaluate_conditional(const Expression& expression);
  Value evaluate_test(const Expression& expression);
  Value evaluate_filter(const Expression& expression);
  std::vector<Value> evaluate_all(const Expression& expression, std::size_t first);
  Arguments evaluate_arguments(const Expression& expression);

  // calls: calls.cc
  Value evaluate_call(const Expression& expression);
  Value call(const Value& callee, const Arguments& arguments);
  Value call_macro(const Callable& macro, const Arguments& arguments);
  void bind_parameters(const Statement& macro, const Arguments& arguments);
  Value call_loop(const Callable& loop, const Arguments& arguments);
  Value call_function(std::string_view name, const Arguments& arguments);
  Value range(const Arguments& arguments);
  Dict dict_of(const Arguments& arguments);
  Value name_space(const Arguments& arguments);
  Value strftime_now(const Arguments& arguments);
  Value macro_of(const Statement& statement);

  Scope& new_scope(Scope* parent);

  Heap& heap_;
  std::tm now_;
  std::deque<Scope> scopes_;
  std::vector<Scope*> free_scopes_;
  Scope* scope_ = nullptr;
  std::string* output_ = nullptr;
  std::size_t line_ = 1;
  std::size_t level_ = 0;
};

/// What keeps a template from using up the stack: a level takes some hundred bytes of it.
class Interpreter::Level {
 public:
  static constexpr std::size_t kMost = 1500;
  explicit Level(Interpreter& interpreter);
  ~Level() { --interpreter_.level_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Interpreter& interpreter_;
};

class Interpreter::Inside {
 public:
  /// A new scope inside `parent`.
  Inside(Interpreter& interpreter, Scope* parent);
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  Interpreter& interpreter_;
  Scope* const outer_;
};

}  // namespace longshadow::jinja
