#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace longshadow::jinja {

/// A number, a string, true, false or none as the template's text has it.
struct Literal {
  enum class Kind { none, boolean, integer, real, string };
  Kind kind = Kind::none;
  bool truth = false;
  long long integer = 0;
  double real = 0;
  std::string text{};
};

struct Expression {
  enum class Kind {
    literal,
    list,         ///< operands
    tuple,        ///< operands
    dict,         ///< operands: key, value, key, value, ...
    variable,     ///< name
    attribute,    ///< operands[0] . operands[1], a literal
    item,         ///< operands[0] [ operands[1] ]
    slice,        ///< operands[0] [ operands[1] : operands[2] : operands[3] ], none where left out
    call,         ///< operands[0] ( the other operands, named )
    filter,       ///< operands[0] | name(the other operands, named)
    test,         ///< operands[0] is name(the other operands, named)
    not_,         ///< not operands[0]
    negative,     ///< - operands[0]
    positive,     ///< + operands[0]
    and_,         ///< operands[0] and operands[1]
    or_,          ///< operands[0] or operands[1]
    arithmetic,   ///< operands[0] name operands[1]: + - * / // % **
    comparison,   ///< operands[0] names[0] operands[1] names[1] operands[2] ...
    concat,       ///< operands[0] ~ operands[1] ~ ...
    conditional,  ///< operands[1] if operands[0] else operands[2]
    spread,       ///< *operands[0] among arguments; ** is a named one without a name
  };
  Kind kind;
  std::size_t line;
  std::string name{};
  std::vector<std::string> names{};
  Literal literal{};
  std::vector<Expression> operands{};
  std::vector<std::pair<std::string, Expression>> named{};
  std::size_t depth = 1;  ///< of the tree of expressions, this one included
};

/// What a value is put into by set, for and with.
struct Target {
  std::string name{};             ///< empty for several
  std::string attribute{};        ///< of the namespace `name`; empty for a variable
  std::vector<Target> targets{};  ///< that the value's items are put into
};

struct MacroParameter {
  std::string name;
  std::vector<Expression> standard{};  ///< one, or none where it has none
};

struct Statement {
  enum class Kind {
    text,       ///< name
    print,      ///< expressions, one behind another
    set,        ///< target = expressions[0]
    set_block,  ///< target = the text of bodies[0], filtered by expressions[0] where there is one
    if_,        ///< bodies[i] for the first expressions[i] that holds; one more body is else's
    for_,  ///< target in expressions[0], if expressions[1] where has_condition; bodies[1]: else
    break_,
    continue_,
    macro,       ///< name(parameters): bodies[0]
    call,        ///< expressions[0], whose caller(parameters) is bodies[0]
    filter,      ///< expressions[0], a filter of the text of bodies[0]
    with,        ///< targets[i] = expressions[i] inside bodies[0]
    generation,  ///< bodies[0], which transformers marks and writes as it is
    unsupported  ///< name: an error where it is reached
  };
  Kind kind;
  std::size_t line;
  std::string name{};
  std::vector<Target> targets{};
  std::vector<Expression> expressions{};
  std::vector<MacroParameter> parameters{};
  std::vector<std::vector<Statement>> bodies{};
  bool is_recursive = false;  ///< for: loop(items) goes through others in the same way
  bool has_condition = false;
  bool takes_rest = false;        ///< macro, call: varargs has the arguments beyond the parameters
  bool takes_named_rest = false;  ///< and kwargs those of other names
};

/// `where` names the template in messages. Throws Error naming the line where it is malformed, is
/// larger than a mebibyte or nests deeper than 100 levels. A filter, a test, a function or a
/// statement that is not supported is an error where it is reached, not here.
std::vector<Statement> parse_template(std::string_view source, const std::string& where);

}  // namespace longshadow::jinja
