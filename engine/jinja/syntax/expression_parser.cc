#include "engine/jinja/syntax/expression_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "engine/text/utf8.h"

namespace longshadow::jinja {
namespace {

using Kind = Expression::Kind;
using TokenKind = Token::Kind;

template <class... Rest>
std::vector<Expression> operands_of(Rest&&... rest) {
  std::vector<Expression> operands;
  (operands.push_back(std::forward<Rest>(rest)), ...);
  return operands;
}

Literal text_literal(std::string text) {
  Literal literal{Literal::Kind::string};
  literal.text = std::move(text);
  return literal;
}

}  // namespace

Expression ExpressionParser::make(Kind kind, std::string name,
                                  std::vector<Expression> operands) const {
  Expression made{kind, tokens_.token().line, std::move(name)};
  made.operands.reserve(operands.size());
  for (Expression& operand : operands) add_operand(made, std::move(operand));
  return made;
}

void ExpressionParser::add_operand(Expression& parent, Expression operand) const {
  parent.depth = std::max(parent.depth, operand.depth + 1);
  if (parent.depth > TokenStream::kMaxDepth) tokens_.refuse_depth();
  parent.operands.push_back(std::move(operand));
}

Expression ExpressionParser::literal(Literal value) const {
  Expression made = make(Kind::literal, "", {});
  made.literal = std::move(value);
  return made;
}

Expression ExpressionParser::parse() {
  const TokenStream::Level level(tokens_);
  Expression value = parse_or();
  while (tokens_.accept_name("if")) {
    Expression condition = parse_or();
    std::vector<Expression> operands = operands_of(std::move(condition), std::move(value));
    if (tokens_.accept_name("else")) operands.push_back(parse());
    value = make(Kind::conditional, "", std::move(operands));
  }
  return value;
}

Expression ExpressionParser::parse_or() {
  Expression left = parse_and();
  while (tokens_.accept_name("or")) {
    left = make(Kind::or_, "", operands_of(std::move(left), parse_and()));
  }
  return left;
}

Expression ExpressionParser::parse_and() {
  Expression left = parse_not();
  while (tokens_.accept_name("and")) {
    left = make(Kind::and_, "", operands_of(std::move(left), parse_not()));
  }
  return left;
}

Expression ExpressionParser::parse_not() {
  if (!tokens_.accept_name("not")) return parse_comparison();
  const TokenStream::Level level(tokens_);
  return make(Kind::not_, "", operands_of(parse_not()));
}

Expression ExpressionParser::parse_comparison() {
  static constexpr std::array<std::string_view, 6> kOperators{"==", "!=", "<", "<=", ">", ">="};
  Expression compared = make(Kind::comparison, "", operands_of(parse_arithmetic(0)));
  while (true) {
    const bool is_symbol =
        tokens_.token().kind == TokenKind::symbol &&
        std::find(kOperators.begin(), kOperators.end(), tokens_.token().text) != kOperators.end();
    if (is_symbol) {
      compared.names.push_back(tokens_.take(TokenKind::symbol, "an operator"));
    } else if (tokens_.accept_name("in")) {
      compared.names.push_back("in");
    } else if (tokens_.at_name("not") && tokens_.next().text == "in") {
      tokens_.accept_name("not");
      tokens_.accept_name("in");
      compared.names.push_back("not in");
    } else {
      break;
    }
    add_operand(compared, parse_arithmetic(0));
  }
  if (!compared.names.empty()) return compared;
  Expression alone = std::move(compared.operands[0]);
  return alone;
}

template <class ParseOperand>
Expression ExpressionParser::parse_chain(std::initializer_list<std::string_view> operators,
                                         const ParseOperand& parse_operand) {
  Expression left = parse_operand();
  while (true) {
    const auto* const found =
        std::find_if(operators.begin(), operators.end(),
                     [&](std::string_view name) { return tokens_.accept_symbol(name); });
    if (found == operators.end()) return left;
    left =
        make(Kind::arithmetic, std::string(*found), operands_of(std::move(left), parse_operand()));
  }
}

/// Levels: 0 + and -, 1 * and its like, 2 the power; ~ binds between the first two.
Expression ExpressionParser::parse_arithmetic(std::size_t level) {
  if (level == 0) return parse_chain({"+", "-"}, [&] { return parse_concat(); });
  if (level == 1) {
    return parse_chain({"*", "/", "//", "%"}, [&] { return parse_arithmetic(2); });
  }
  return parse_chain({"**"}, [&] { return parse_unary(true); });
}

Expression ExpressionParser::parse_concat() {
  Expression joined = make(Kind::concat, "", operands_of(parse_arithmetic(1)));
  while (tokens_.accept_symbol("~")) add_operand(joined, parse_arithmetic(1));
  if (joined.operands.size() > 1) return joined;
  Expression alone = std::move(joined.operands[0]);
  return alone;
}

Expression ExpressionParser::parse_unary(bool with_filters) {
  Expression value{Kind::literal, tokens_.token().line};
  const bool is_negative = tokens_.at_symbol("-");
  if (is_negative || tokens_.at_symbol("+")) {
    const TokenStream::Level level(tokens_);
    tokens_.take(TokenKind::symbol, "a sign");
    value =
        make(is_negative ? Kind::negative : Kind::positive, "", operands_of(parse_unary(false)));
  } else {
    value = parse_primary();
  }
  value = parse_postfix(std::move(value));
  return with_filters ? parse_filters(std::move(value)) : value;
}

Expression ExpressionParser::parse_postfix(Expression value) {
  while (true) {
    if (tokens_.accept_symbol(".")) {
      value = parse_attribute(std::move(value));
    } else if (tokens_.accept_symbol("[")) {
      value = parse_subscript(std::move(value));
    } else if (tokens_.accept_symbol("(")) {
      value = make(Kind::call, "", operands_of(std::move(value)));
      parse_arguments(value);
    } else {
      return value;
    }
  }
}

Expression ExpressionParser::parse_filters(Expression value) {
  while (true) {
    if (tokens_.accept_symbol("|")) {
      value = parse_filter(std::move(value));
    } else if (tokens_.accept_name("is")) {
      value = parse_test(std::move(value));
    } else if (tokens_.accept_symbol("(")) {
      value = make(Kind::call, "", operands_of(std::move(value)));
      parse_arguments(value);
    } else {
      return value;
    }
  }
}

Expression ExpressionParser::parse_filter(Expression value) {
  std::string name = tokens_.take(TokenKind::name, "a filter's name");
  while (tokens_.accept_symbol(".")) name += "." + tokens_.take(TokenKind::name, "a filter's name");
  Expression filter = make(Kind::filter, std::move(name), operands_of(std::move(value)));
  if (tokens_.accept_symbol("(")) parse_arguments(filter);
  return filter;
}

Expression ExpressionParser::parse_test(Expression value) {
  const bool is_negated = tokens_.accept_name("not");
  std::string name = tokens_.take(TokenKind::name, "a test's name");
  while (tokens_.accept_symbol(".")) name += "." + tokens_.take(TokenKind::name, "a test's name");
  Expression test = make(Kind::test, std::move(name), operands_of(std::move(value)));
  if (tokens_.accept_symbol("(")) {
    parse_arguments(test);
  } else {
    // One argument may stand without parentheses: x is divisibleby 3.
    const TokenKind kind = tokens_.token().kind;
    const bool is_value = kind == TokenKind::name || kind == TokenKind::string ||
                          kind == TokenKind::integer || kind == TokenKind::real ||
                          tokens_.at_symbol("[") || tokens_.at_symbol("{");
    const bool goes_on = tokens_.at_name("else") || tokens_.at_name("or") || tokens_.at_name("and");
    if (tokens_.at_name("is")) tokens_.refuse("a chain of 'is'; put the first in parentheses");
    if (is_value && !goes_on) add_operand(test, parse_postfix(parse_primary()));
  }
  return is_negated ? make(Kind::not_, "", operands_of(std::move(test))) : test;
}

Expression ExpressionParser::parse_attribute(Expression of) {
  if (tokens_.token().kind == TokenKind::integer) {
    return make(Kind::item, "", operands_of(std::move(of), parse_number()));
  }
  std::string name = tokens_.take(TokenKind::name, "an attribute's name");
  return make(Kind::attribute, "",
              operands_of(std::move(of), literal(text_literal(std::move(name)))));
}

/// Behind the opening bracket.
Expression ExpressionParser::parse_subscript(Expression of) {
  const auto bound = [&] {
    const bool is_left_out = tokens_.at_symbol(":") || tokens_.at_symbol("]");
    return is_left_out ? literal({}) : parse();
  };
  Expression first = bound();
  if (!tokens_.accept_symbol(":")) {
    if (tokens_.at_symbol(",")) {
      first = make(Kind::tuple, "", operands_of(std::move(first)));
      while (tokens_.accept_symbol(",")) add_operand(first, parse());
    }
    tokens_.expect(TokenKind::symbol, "]");
    return make(Kind::item, "", operands_of(std::move(of), std::move(first)));
  }
  Expression last = bound();
  Expression step = tokens_.accept_symbol(":") ? bound() : literal({});
  tokens_.expect(TokenKind::symbol, "]");
  return make(Kind::slice, "",
              operands_of(std::move(of), std::move(first), std::move(last), std::move(step)));
}

/// Behind the opening parenthesis.
void ExpressionParser::parse_arguments(Expression& call) {
  while (!tokens_.accept_symbol(")")) {
    if (tokens_.accept_symbol("*")) {
      add_operand(call, make(Kind::spread, "", operands_of(parse())));
    } else if (tokens_.at_symbol("**") ||
               (tokens_.token().kind == TokenKind::name && tokens_.next().text == "=" &&
                tokens_.next().kind == TokenKind::symbol)) {
      const std::string name =
          tokens_.accept_symbol("**") ? "" : tokens_.take(TokenKind::name, "an argument's name");
      if (!name.empty()) tokens_.expect(TokenKind::symbol, "=");
      call.named.emplace_back(name, parse());
      call.depth = std::max(call.depth, call.named.back().second.depth + 1);
      if (call.depth > TokenStream::kMaxDepth) tokens_.refuse_depth();
    } else {
      add_operand(call, parse());
    }
    if (!tokens_.at_symbol(")")) tokens_.expect(TokenKind::symbol, ",");
  }
}

bool ExpressionParser::at_end_of_tuple() const {
  const TokenKind kind = tokens_.token().kind;
  return kind == TokenKind::print_end || kind == TokenKind::block_end || tokens_.at_symbol(")") ||
         tokens_.at_name("recursive");
}

Expression ExpressionParser::parse_tuple(bool with_conditional) {
  const auto parse_item = [&] { return with_conditional ? parse() : parse_or(); };
  Expression first = parse_item();
  if (!tokens_.at_symbol(",")) return first;
  Expression tuple = make(Kind::tuple, "", operands_of(std::move(first)));
  while (tokens_.accept_symbol(",") && !at_end_of_tuple()) add_operand(tuple, parse_item());
  return tuple;
}

Expression ExpressionParser::parse_primary() {
  const Token& token = tokens_.token();
  if (token.kind == TokenKind::string) {
    std::string text;  // strings side by side are one
    while (tokens_.token().kind == TokenKind::string) {
      text += tokens_.take(TokenKind::string, "a string");
    }
    return literal(text_literal(std::move(text)));
  }
  if (token.kind == TokenKind::integer || token.kind == TokenKind::real) return parse_number();
  if (token.kind == TokenKind::name) return parse_name();
  if (tokens_.accept_symbol("(")) {
    if (tokens_.accept_symbol(")")) return make(Kind::tuple, "", {});
    Expression inner = parse_tuple();
    tokens_.expect(TokenKind::symbol, ")");
    return inner;
  }
  if (tokens_.accept_symbol("[")) return parse_list();
  if (tokens_.accept_symbol("{")) return parse_dict();
  tokens_.refuse_token("a value");
}

/// Behind the opening bracket.
Expression ExpressionParser::parse_list() {
  Expression list = make(Kind::list, "", {});
  while (!tokens_.accept_symbol("]")) {
    add_operand(list, parse());
    if (!tokens_.at_symbol("]")) tokens_.expect(TokenKind::symbol, ",");
  }
  return list;
}

/// Behind the opening brace.
Expression ExpressionParser::parse_dict() {
  Expression dict = make(Kind::dict, "", {});
  while (!tokens_.accept_symbol("}")) {
    add_operand(dict, parse());
    tokens_.expect(TokenKind::symbol, ":");
    add_operand(dict, parse());
    if (!tokens_.at_symbol("}")) tokens_.expect(TokenKind::symbol, ",");
  }
  return dict;
}

Expression ExpressionParser::parse_number() {
  const bool is_real = tokens_.token().kind == TokenKind::real;
  const std::string written = tokens_.token().text;
  std::string digits = written;
  std::erase(digits, '_');
  Literal value{is_real ? Literal::Kind::real : Literal::Kind::integer};
  int base = 10;
  if (!is_real && digits.size() > 2 && digits[0] == '0' && digits[1] >= 'A') {
    const char letter = static_cast<char>(digits[1] | 0x20);
    base = letter == 'x' ? 16 : letter == 'o' ? 8 : 2;
    digits.erase(0, 2);
  }
  const char* const begin = digits.data();
  const char* const end = begin + digits.size();
  std::from_chars_result result{end, std::errc()};
  if (is_real) {
    value.real = std::strtod(begin, nullptr);  // 1e400 is infinite, as in Python
  } else {
    result = std::from_chars(begin, end, value.integer, base);
  }
  if (result.ec != std::errc() || result.ptr != end) {
    tokens_.refuse("expected a whole number of at most 64 bits, found " + quote(written));
  }
  tokens_.take(tokens_.token().kind, "a number");
  return literal(std::move(value));
}

Expression ExpressionParser::parse_name() {
  const std::string name = tokens_.take(TokenKind::name, "a name");
  if (name == "none" || name == "None") return literal({});
  const bool is_true = name == "true" || name == "True";
  if (is_true || name == "false" || name == "False") {
    return literal({.kind = Literal::Kind::boolean, .truth = is_true});
  }
  return make(Kind::variable, name, {});
}

}  // namespace longshadow::jinja
