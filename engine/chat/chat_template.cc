#include "engine/chat/chat_template.h"

#include <cstdint>
#include <map>
#include <utility>

#include "engine/chat/template_value.h"
#include "engine/core/error.h"
#include "engine/io/utf8.h"

namespace longshadow {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kMaxWork = std::size_t{1} << 24;

TemplateValue make(ordered_json value) {
  return std::make_shared<const ordered_json>(std::move(value));
}

/// What goes into lists and namespaces that a template makes, so that they do not nest.
const ordered_json& plain(const TemplateValue& value, const char* container) {
  if (!value || value->is_structured()) {
    throw Error(kind_of(value) + " in " + container + " is not supported");
  }
  return *value;
}

class Interpreter {
 public:
  using Scope = std::map<std::string, TemplateValue>;

  explicit Interpreter(Scope globals) { scopes_.push_back(std::move(globals)); }

  void run(const std::vector<Statement>& statements) {
    for (const Statement& statement : statements) run(statement);
  }

  std::size_t line() const { return line_; }
  std::string take_output() { return std::move(output_); }

 private:
  void charge(std::size_t work) {
    work_ += work;
    if (work_ > kMaxWork) {
      throw Error("the template does more than " + std::to_string(kMaxWork) + " steps of work");
    }
  }

  TemplateValue made(TemplateValue value) {
    charge(size_of(value));
    return value;
  }

  void write(const std::string& text) {
    charge(text.size());
    output_ += text;
  }

  void run(const Statement& statement) {
    line_ = statement.line;
    charge(1);
    switch (statement.kind) {
      case Statement::Kind::text:
        return write(statement.name);
      case Statement::Kind::print:
        return write(text_of(evaluate(statement.expressions[0])));
      case Statement::Kind::set:
        scopes_.back()[statement.name] = evaluate(statement.expressions[0]);
        return;
      case Statement::Kind::set_attribute:
        return set_attribute(statement);
      case Statement::Kind::if_:
        return run_if(statement);
      case Statement::Kind::for_:
        return run_for(statement);
    }
  }

  void run_if(const Statement& statement) {
    std::size_t branch = 0;
    while (branch < statement.expressions.size() &&
           !is_true(evaluate(statement.expressions[branch]))) {
      ++branch;
    }
    if (branch < statement.bodies.size()) run(statement.bodies[branch]);
  }

  void run_for(const Statement& statement) {
    const TemplateValue items = evaluate(statement.expressions[0]);
    if (!items) return;
    if (!items->is_array()) throw Error("a loop over " + kind_of(items) + " is not supported");
    for (std::size_t i = 0; i < items->size(); ++i) {
      scopes_.emplace_back();
      scopes_.back()[statement.name] = TemplateValue(items, &(*items)[i]);
      scopes_.back()["loop"] = made(make({{"index", i + 1},
                                          {"index0", i},
                                          {"first", i == 0},
                                          {"last", i + 1 == items->size()},
                                          {"length", items->size()}}));
      run(statement.bodies[0]);
      scopes_.pop_back();
    }
  }

  /// The variable's value, or nullptr where no scope has it.
  TemplateValue* find(const std::string& name) {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto found = scope->find(name); found != scope->end()) return &found->second;
    }
    return nullptr;
  }

  void set_attribute(const Statement& statement) {
    const TemplateValue value = evaluate(statement.expressions[0]);
    TemplateValue* variable = find(statement.name);
    if (variable == nullptr || !*variable || !(*variable)->is_object()) {
      throw Error(quote(statement.name) + " is no namespace");
    }
    ordered_json changed = **variable;
    changed[statement.attribute] = plain(value, "a namespace");
    *variable = made(make(std::move(changed)));
  }

  TemplateValue evaluate(const Expression& expression) {
    charge(1);
    line_ = expression.line;
    using Kind = Expression::Kind;
    const auto operand = [&](std::size_t i) { return evaluate(expression.operands[i]); };
    switch (expression.kind) {
      case Kind::literal:
        return expression.value;
      case Kind::list:
        return made(list(expression));
      case Kind::variable: {
        const TemplateValue* found = find(expression.name);
        return found == nullptr ? nullptr : *found;
      }
      case Kind::item: {
        const TemplateValue value = operand(0);
        return item_of(value, operand(1));
      }
      case Kind::slice: {
        const TemplateValue value = operand(0);
        const TemplateValue first = operand(1);
        return made(slice_of(value, first, operand(2)));
      }
      case Kind::call:
        return made(call(expression));
      case Kind::method:
        return made(apply_method(expression.name, arguments(expression)));
      case Kind::filter:
        return made(apply_filter(expression.name, arguments(expression)));
      case Kind::test:
        return make(apply_test(expression.name, operand(0)));
      case Kind::unary:
        if (expression.name == "not") return make(!is_true(operand(0)));
        return apply_operator("-", make(0), operand(0));
      case Kind::binary:
        return binary(expression);
      case Kind::conditional:
        return operand(is_true(operand(0)) ? 1 : 2);
    }
    return nullptr;
  }

  TemplateValue list(const Expression& expression) {
    ordered_json items = ordered_json::array();
    for (const Expression& item : expression.operands) {
      items.push_back(plain(evaluate(item), "a list"));
    }
    return make(std::move(items));
  }

  /// Positional ones; nothing that is supported has others but namespace().
  std::vector<TemplateValue> arguments(const Expression& expression) {
    if (!expression.named.empty()) {
      throw Error(quote(expression.name) + " with the argument " +
                  quote(expression.named[0].first) + " is not supported");
    }
    std::vector<TemplateValue> values;
    for (const Expression& argument : expression.operands) values.push_back(evaluate(argument));
    return values;
  }

  TemplateValue call(const Expression& expression) {
    if (expression.name == "namespace" && expression.operands.empty()) {
      ordered_json attributes = ordered_json::object();
      for (const auto& [name, value] : expression.named) {
        attributes[name] = plain(evaluate(value), "a namespace");
      }
      return make(std::move(attributes));
    }
    if (expression.name == "raise_exception" && expression.operands.size() == 1) {
      throw Error("the template refuses this conversation: " +
                  quote(text_of(arguments(expression)[0])));
    }
    throw Error("the function " + quote(expression.name) + " is not supported");
  }

  TemplateValue binary(const Expression& expression) {
    const TemplateValue left = evaluate(expression.operands[0]);
    if (expression.name == "and" || expression.name == "or") {
      const bool decided = is_true(left) == (expression.name == "or");
      return decided ? left : evaluate(expression.operands[1]);
    }
    return made(apply_operator(expression.name, left, evaluate(expression.operands[1])));
  }

  std::vector<Scope> scopes_;
  std::string output_;
  std::size_t work_ = 0;
  std::size_t line_ = 1;
};

}  // namespace

ChatTemplate::ChatTemplate(std::string_view source, std::string where)
    : where_(std::move(where)), statements_(parse_template(source, where_)) {}

std::string ChatTemplate::render(std::span<const ChatMessage> messages,
                                 const ChatContext& context) const {
  ordered_json conversation = ordered_json::array();
  for (const ChatMessage& message : messages) {
    conversation.push_back({{"role", message.role}, {"content", message.content}});
  }
  Interpreter::Scope globals{{"messages", make(std::move(conversation))},
                             {"add_generation_prompt", make(context.add_generation_prompt)},
                             {"tools", make(nullptr)},
                             {"documents", make(nullptr)}};
  if (context.bos_token) globals["bos_token"] = make(*context.bos_token);
  if (context.eos_token) globals["eos_token"] = make(*context.eos_token);
  Interpreter interpreter(std::move(globals));
  try {
    interpreter.run(statements_);
  } catch (const Error& error) {
    throw Error(where_ + ": line " + std::to_string(interpreter.line()) + ": " + error.what());
  }
  return interpreter.take_output();
}

}  // namespace longshadow
