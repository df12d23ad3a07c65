#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace longshadow {

/// A value of a template; objects keep their order. nullptr is Jinja's undefined.
using TemplateValue = std::shared_ptr<const nlohmann::ordered_json>;

struct Expression {
  enum class Kind {
    literal,      ///< value
    list,         ///< operands
    variable,     ///< name
    item,         ///< operands[0] [ operands[1] ]; a.b is a['b']
    slice,        ///< operands[0] [ operands[1] : operands[2] ], none where left out
    call,         ///< name(operands, named)
    method,       ///< operands[0].name(the other operands, named)
    filter,       ///< operands[0] | name(the other operands, named)
    test,         ///< operands[0] is name
    unary,        ///< name: not or -
    binary,       ///< name: the operator
    conditional,  ///< operands[1] if it holds, else [2], where [0] is the condition
  };
  Kind kind;
  std::size_t line;
  std::string name{};
  TemplateValue value{};
  std::vector<Expression> operands{};
  std::vector<std::pair<std::string, Expression>> named{};
  std::size_t depth = 1;  ///< of the tree of expressions, this one included
};

struct Statement {
  enum class Kind {
    text,           ///< name
    print,          ///< expressions[0]
    set,            ///< name = expressions[0]
    set_attribute,  ///< name.attribute = expressions[0]
    if_,            ///< bodies[i] for the first expressions[i] that holds; one more body is else's
    for_,           ///< name in expressions[0]
  };
  Kind kind;
  std::size_t line;
  std::string name{};
  std::string attribute{};
  std::vector<Expression> expressions{};
  std::vector<std::vector<Statement>> bodies{};
};

/// `where` names the template in messages. Throws Error naming the line where it is malformed, uses
/// what is not supported, is larger than a mebibyte or nests deeper than 100 levels.
std::vector<Statement> parse_template(std::string_view source, const std::string& where);

}  // namespace longshadow
