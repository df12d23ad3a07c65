#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/jinja/syntax/syntax.h"
#include "engine/jinja/syntax/token_stream.h"

namespace longshadow::jinja {

/// Reads expressions by the grammar of jinja2's parser.py, whose precedences are not all Python's:
/// a filter binds closer than arithmetic, `**` from the left.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  Expression parse();
  /// The same without `a if b else c`, which a loop's condition would be taken for.
  Expression parse_unconditional() { return parse_or(); }
  /// One expression, or a tuple of them without parentheses.
  Expression parse_tuple(bool with_conditional = true);
  Expression parse_primary();
  /// | filter | filter ..., on `value`.
  Expression parse_filters(Expression value);
  /// The filter whose name comes next, on `value`.
  Expression parse_filter(Expression value);

  Expression make(Expression::Kind kind, std::string name, std::vector<Expression> operands) const;

 private:
  Expression parse_or();
  Expression parse_and();
  Expression parse_not();
  Expression parse_comparison();
  Expression parse_arithmetic(std::size_t level);
  Expression parse_concat();
  Expression parse_unary(bool with_filters);
  Expression parse_postfix(Expression value);
  Expression parse_test(Expression value);
  Expression parse_attribute(Expression of);
  Expression parse_subscript(Expression of);
  void parse_arguments(Expression& call);
  Expression parse_number();
  Expression parse_name();
  Expression parse_list();
  Expression parse_dict();

  Expression literal(Literal value) const;
  void add_operand(Expression& parent, Expression operand) const;
  bool at_end_of_tuple() const;
  /// Parses with `parse_operand`, and what is joined by one of `operators` from the left.
  template <class ParseOperand>
  Expression parse_chain(std::initializer_list<std::string_view> operators,
                         const ParseOperand& parse_operand);

  TokenStream& tokens_;
};

}  // namespace longshadow::jinja
