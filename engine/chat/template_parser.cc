#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "engine/chat/template_syntax.h"
#include "engine/chat/template_tokens.h"
#include "engine/core/error.h"
#include "engine/io/utf8.h"

namespace longshadow {
namespace {

using Kind = TemplateToken::Kind;
using nlohmann::ordered_json;

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxDepth = 100;

/// Binary operators, loosest first; `in` and `not in` are comparisons too.
constexpr std::array<std::array<std::string_view, 6>, 6> kBinaryOperators{
    {{"or"}, {"and"}, {"==", "!=", "<", "<=", ">", ">="}, {"+", "-"}, {"~"}, {"%"}}};
constexpr std::size_t kComparisons = 2;

template <class... Rest>
std::vector<Expression> operands_of(Rest&&... rest) {
  std::vector<Expression> operands;
  (operands.push_back(std::forward<Rest>(rest)), ...);
  return operands;
}

/// Whether a block of this name belongs to one that is open.
bool continues_block(const std::string& name) {
  return name == "elif" || name == "else" || name.starts_with("end");
}

class Parser {
 public:
  Parser(std::string_view source, const std::string& where)
      : where_(where), tokens_(template_tokens(source, where)) {}

  std::vector<Statement> parse() {
    std::vector<Statement> statements = parse_body();
    if (token().kind != Kind::end) {
      refuse("found " + quote(tokens_[at_ + 1].text) + " without its beginning");
    }
    return statements;
  }

 private:
  /// Counts the levels that the parser itself is in.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > kMaxDepth) parser_.refuse_depth();
    }
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  const TemplateToken& token() const { return tokens_[at_]; }

  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(where_ + ": line " + std::to_string(token().line) + ": " + what);
  }
  [[noreturn]] void refuse_depth() const {
    refuse("nested deeper than " + std::to_string(kMaxDepth) + " levels");
  }
  [[noreturn]] void refuse_token(const std::string& expected) const {
    refuse("expected " + expected + ", found " +
           (token().kind == Kind::end ? "the template's end" : quote(token().text)));
  }

  bool at(Kind kind, std::string_view text) const {
    return token().kind == kind && token().text == text;
  }
  bool accept(Kind kind, std::string_view text) {
    if (!at(kind, text)) return false;
    ++at_;
    return true;
  }
  void expect(Kind kind, std::string_view text) {
    if (!accept(kind, text)) refuse_token(quote(text));
  }
  std::string take(Kind kind, const char* what) {
    if (token().kind != kind) refuse_token(what);
    return tokens_[at_++].text;
  }

  Expression make(Expression::Kind kind, std::string name, std::vector<Expression> operands) const {
    Expression made{kind, token().line, std::move(name), {}, std::move(operands)};
    for (const Expression& operand : made.operands) {
      made.depth = std::max(made.depth, operand.depth + 1);
    }
    if (made.depth > kMaxDepth) refuse_depth();
    return made;
  }
  Expression literal(ordered_json value) const {
    Expression made = make(Expression::Kind::literal, "", {});
    made.value = std::make_shared<const ordered_json>(std::move(value));
    return made;
  }

  // --- statements

  /// Up to a block that continues or ends an open one, or to the end of the template.
  std::vector<Statement> parse_body() {
    const Level level(*this);
    std::vector<Statement> body;
    while (token().kind != Kind::end) {
      const std::size_t line = token().line;
      if (token().kind == Kind::text) {
        body.push_back({Statement::Kind::text, line, tokens_[at_++].text});
      } else if (accept(Kind::print_begin, "{{")) {
        body.push_back({Statement::Kind::print, line});
        body.back().expressions.push_back(parse_expression());
        expect(Kind::print_end, "}}");
      } else {
        if (continues_block(tokens_[at_ + 1].text)) return body;
        expect(Kind::block_begin, "{%");
        parse_block(line, body);
      }
    }
    return body;
  }

  void parse_block(std::size_t line, std::vector<Statement>& body) {
    const std::string name = take(Kind::name, "the name of a block");
    if (name == "set") {
      body.push_back(parse_set(line));
    } else if (name == "if") {
      body.push_back(parse_if(line));
    } else if (name == "for") {
      body.push_back(parse_for(line));
    } else {
      refuse("the block " + quote(name) + " is not supported; only for, if and set are");
    }
  }

  void end_block() { expect(Kind::block_end, "%}"); }
  void begin_block(std::string_view name) {
    expect(Kind::block_begin, "{%");
    expect(Kind::name, name);
  }

  Statement parse_set(std::size_t line) {
    Statement set{Statement::Kind::set, line, take(Kind::name, "a variable's name")};
    if (accept(Kind::symbol, ".")) {
      set.kind = Statement::Kind::set_attribute;
      set.attribute = take(Kind::name, "an attribute's name");
    }
    if (!accept(Kind::symbol, "=")) refuse_token("'=' (a block of set is not supported)");
    set.expressions.push_back(parse_expression());
    end_block();
    return set;
  }

  Statement parse_if(std::size_t line) {
    Statement chosen{Statement::Kind::if_, line};
    const auto parse_branch = [&] {
      end_block();
      chosen.bodies.push_back(parse_body());
      expect(Kind::block_begin, "{%");
    };
    do {
      chosen.expressions.push_back(parse_expression());
      parse_branch();
    } while (accept(Kind::name, "elif"));
    if (accept(Kind::name, "else")) parse_branch();
    expect(Kind::name, "endif");
    end_block();
    return chosen;
  }

  Statement parse_for(std::size_t line) {
    Statement loop{Statement::Kind::for_, line, take(Kind::name, "a variable's name")};
    if (!accept(Kind::name, "in")) refuse_token("'in' (one loop variable alone is supported)");
    loop.expressions.push_back(parse_binary(0));
    if (token().kind != Kind::block_end) refuse_token("'%}' (a loop's condition is not supported)");
    end_block();
    loop.bodies.push_back(parse_body());
    begin_block("endfor");
    end_block();
    return loop;
  }

  // --- expressions

  Expression parse_expression() {
    const Level level(*this);
    Expression value = parse_binary(0);
    while (accept(Kind::name, "if")) {
      Expression condition = parse_binary(0);
      Expression otherwise =
          accept(Kind::name, "else") ? parse_expression() : make(Expression::Kind::literal, "", {});
      value = make(Expression::Kind::conditional, "",
                   {std::move(condition), std::move(value), std::move(otherwise)});
    }
    return value;
  }

  /// The operator of a level of kBinaryOperators that comes next, and steps over it.
  std::optional<std::string> accept_operator(std::size_t level) {
    if (level == kComparisons) {
      if (accept(Kind::name, "in")) return "in";
      if (at(Kind::name, "not") && tokens_[at_ + 1].text == "in") {
        at_ += 2;
        return "not in";
      }
    }
    if (token().kind != Kind::symbol && token().kind != Kind::name) return std::nullopt;
    const auto& operators = kBinaryOperators[level];
    const bool found = !token().text.empty() && std::find(operators.begin(), operators.end(),
                                                          token().text) != operators.end();
    if (!found) return std::nullopt;
    return tokens_[at_++].text;
  }

  Expression parse_binary(std::size_t level) {
    if (level == kBinaryOperators.size()) return parse_unary();
    if (level == kComparisons && accept(Kind::name, "not")) {
      const Level nested(*this);
      return make(Expression::Kind::unary, "not", operands_of(parse_binary(level)));
    }
    Expression left = parse_binary(level + 1);
    bool compared = false;
    while (const auto name = accept_operator(level)) {
      if (compared) refuse("a chain of comparisons is not supported; join two with 'and'");
      compared = level == kComparisons;
      left = make(Expression::Kind::binary, *name,
                  operands_of(std::move(left), parse_binary(level + 1)));
    }
    return left;
  }

  Expression parse_unary() {
    if (accept(Kind::symbol, "-")) {
      const Level level(*this);
      return make(Expression::Kind::unary, "-", operands_of(parse_unary()));
    }
    Expression value = parse_primary();
    while (true) {
      if (accept(Kind::symbol, ".")) {
        value = parse_attribute(std::move(value));
      } else if (accept(Kind::symbol, "[")) {
        value = parse_subscript(std::move(value));
      } else if (accept(Kind::symbol, "|")) {
        value = make(Expression::Kind::filter, take(Kind::name, "a filter's name"),
                     operands_of(std::move(value)));
        if (accept(Kind::symbol, "(")) parse_arguments(value);
      } else if (accept(Kind::name, "is")) {
        const bool negated = accept(Kind::name, "not");
        value = make(Expression::Kind::test, take(Kind::name, "a test's name"),
                     operands_of(std::move(value)));
        if (negated) value = make(Expression::Kind::unary, "not", operands_of(std::move(value)));
      } else {
        return value;
      }
    }
  }

  Expression parse_attribute(Expression of) {
    const std::string name = take(Kind::name, "an attribute's name");
    if (accept(Kind::symbol, "(")) {
      Expression call = make(Expression::Kind::method, name, operands_of(std::move(of)));
      parse_arguments(call);
      return call;
    }
    return make(Expression::Kind::item, "", operands_of(std::move(of), literal(name)));
  }

  /// Behind the opening bracket.
  Expression parse_subscript(Expression of) {
    const auto bound = [&] {
      return at(Kind::symbol, ":") || at(Kind::symbol, "]") ? literal(nullptr) : parse_expression();
    };
    Expression first = bound();
    if (accept(Kind::symbol, "]")) {
      return make(Expression::Kind::item, "", operands_of(std::move(of), std::move(first)));
    }
    expect(Kind::symbol, ":");
    Expression last = bound();
    if (!accept(Kind::symbol, "]")) refuse_token("']' (a slice's step is not supported)");
    return make(Expression::Kind::slice, "",
                operands_of(std::move(of), std::move(first), std::move(last)));
  }

  /// Behind the opening parenthesis.
  void parse_arguments(Expression& call) {
    while (!accept(Kind::symbol, ")")) {
      std::size_t depth = 0;
      if (token().kind == Kind::name && tokens_[at_ + 1].text == "=") {
        const std::string name = take(Kind::name, "an argument's name");
        expect(Kind::symbol, "=");
        call.named.emplace_back(name, parse_expression());
        depth = call.named.back().second.depth;
      } else {
        call.operands.push_back(parse_expression());
        depth = call.operands.back().depth;
      }
      call.depth = std::max(call.depth, depth + 1);
      if (!at(Kind::symbol, ")")) expect(Kind::symbol, ",");
    }
  }

  Expression parse_primary() {
    if (token().kind == Kind::string) return literal(take(Kind::string, "a string"));
    if (token().kind == Kind::integer) return parse_integer();
    if (token().kind == Kind::name) return parse_name();
    if (accept(Kind::symbol, "(")) {
      Expression inner = parse_expression();
      if (!accept(Kind::symbol, ")")) refuse_token("')' (a tuple is not supported)");
      return inner;
    }
    if (accept(Kind::symbol, "[")) {
      Expression list = make(Expression::Kind::list, "", {});
      while (!accept(Kind::symbol, "]")) {
        list.operands.push_back(parse_expression());
        list.depth = std::max(list.depth, list.operands.back().depth + 1);
        if (!at(Kind::symbol, "]")) expect(Kind::symbol, ",");
      }
      return list;
    }
    refuse_token("a value");
  }

  Expression parse_integer() {
    const std::string digits = take(Kind::integer, "a number");
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) {
      refuse("expected a whole number of at most 64 bits, found " + quote(digits));
    }
    return literal(value);
  }

  Expression parse_name() {
    const std::string name = take(Kind::name, "a name");
    if (name == "true" || name == "True") return literal(true);
    if (name == "false" || name == "False") return literal(false);
    if (name == "none" || name == "None") return literal(nullptr);
    if (!accept(Kind::symbol, "(")) return make(Expression::Kind::variable, name, {});
    Expression call = make(Expression::Kind::call, name, {});
    parse_arguments(call);
    return call;
  }

  const std::string& where_;
  const std::vector<TemplateToken> tokens_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
};

}  // namespace

std::vector<Statement> parse_template(std::string_view source, const std::string& where) {
  if (source.size() > kMaxBytes) {
    throw Error(where + ": expected a chat template of at most " + std::to_string(kMaxBytes) +
                " bytes, found " + std::to_string(source.size()));
  }
  return Parser(source, where).parse();
}

}  // namespace longshadow
