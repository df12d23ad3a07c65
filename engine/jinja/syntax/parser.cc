#include <array>

#include "engine/core/error.h"
#include "engine/jinja/syntax/expression_parser.h"
#include "engine/jinja/syntax/syntax.h"
#include "engine/jinja/syntax/token_stream.h"
#include "engine/text/utf8.h"

namespace longshadow::jinja {
namespace {

using Kind = Statement::Kind;
using TokenKind = Token::Kind;

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

/// Whether a block of this name belongs to one that is open.
bool continues_block(const std::string& name) {
  return name == "elif" || name == "else" || name.starts_with("end");
}

/// Reads statements by the grammar of jinja2's parser.py and transformers' `generation`.
class Parser {
 public:
  Parser(std::string_view source, const std::string& where)
      : tokens_(source, where), expressions_(tokens_) {}

  std::vector<Statement> parse() {
    std::vector<Statement> statements = parse_body();
    if (tokens_.token().kind != TokenKind::end) {
      tokens_.refuse("found " + quote(tokens_.next().text) + " without its beginning");
    }
    return statements;
  }

 private:
  /// Up to a block that continues or ends an open one, or to the end of the template.
  std::vector<Statement> parse_body() {
    const TokenStream::Level level(tokens_);
    std::vector<Statement> body;
    while (tokens_.token().kind != TokenKind::end) {
      const std::size_t line = tokens_.token().line;
      if (tokens_.token().kind == TokenKind::text) {
        body.push_back({Kind::text, line, tokens_.take(TokenKind::text, "text")});
      } else if (tokens_.accept(TokenKind::print_begin, "{{")) {
        body.push_back({Kind::print, line});
        body.back().expressions.push_back(expressions_.parse_tuple());
        tokens_.expect(TokenKind::print_end, "}}");
      } else {
        if (continues_block(tokens_.next().text)) return body;
        tokens_.expect(TokenKind::block_begin, "{%");
        body.push_back(parse_block(line));
      }
    }
    return body;
  }

  Statement parse_block(std::size_t line) {
    using Parse = Statement (Parser::*)(std::size_t);
    static constexpr std::array<std::pair<std::string_view, Parse>, 9> kBlocks{
        {{"set", &Parser::parse_set},
         {"if", &Parser::parse_if},
         {"for", &Parser::parse_for},
         {"macro", &Parser::parse_macro},
         {"call", &Parser::parse_call},
         {"filter", &Parser::parse_filter},
         {"with", &Parser::parse_with},
         {"print", &Parser::parse_print},
         {"generation", &Parser::parse_generation}}};
    const std::string name = tokens_.take(TokenKind::name, "the name of a block");
    for (const auto& [block, parse] : kBlocks) {
      if (block == name) return (this->*parse)(line);
    }
    if (name == "break" || name == "continue") {
      end_block();
      return {name == "break" ? Kind::break_ : Kind::continue_, line};
    }
    if (name == "include" || name == "import" || name == "from" || name == "extends") {
      return parse_unsupported(line, name);
    }
    tokens_.refuse("the block " + quote(name) + " is not supported");
  }

  void end_block() { tokens_.expect(TokenKind::block_end, "%}"); }

  /// A body behind the end of its block's tag, and the block that ends it.
  std::vector<Statement> parse_body_until(std::string_view end) {
    end_block();
    std::vector<Statement> body = parse_body();
    tokens_.expect(TokenKind::block_begin, "{%");
    tokens_.expect(TokenKind::name, end);
    end_block();
    return body;
  }

  Target parse_target() {
    const TokenStream::Level level(tokens_);
    Target first = parse_one_target();
    if (!tokens_.at_symbol(",")) return first;
    Target several;
    several.targets.push_back(std::move(first));
    while (tokens_.accept_symbol(",")) {
      if (tokens_.at_name("in") || tokens_.at_symbol("=") || tokens_.at_symbol(")")) break;
      several.targets.push_back(parse_one_target());
    }
    return several;
  }

  Target parse_one_target() {
    if (tokens_.accept_symbol("(")) {
      Target inner = parse_target();
      tokens_.expect(TokenKind::symbol, ")");
      return inner;
    }
    Target target{tokens_.take(TokenKind::name, "a variable's name")};
    if (tokens_.accept_symbol(".")) {
      target.attribute = tokens_.take(TokenKind::name, "an attribute's name");
    }
    return target;
  }

  Statement parse_set(std::size_t line) {
    Statement set{Kind::set, line};
    set.targets.push_back(parse_target());
    if (tokens_.accept_symbol("=")) {
      set.expressions.push_back(expressions_.parse_tuple());
      end_block();
      return set;
    }
    set.kind = Kind::set_block;
    if (tokens_.at_symbol("|")) {
      set.expressions.push_back(expressions_.parse_filters(filtered_text()));
    }
    set.bodies.push_back(parse_body_until("endset"));
    return set;
  }

  /// Stands for the text of a block inside its filter.
  Expression filtered_text() const { return expressions_.make(Expression::Kind::variable, "", {}); }

  Statement parse_if(std::size_t line) {
    Statement chosen{Kind::if_, line};
    const auto parse_branch = [&] {
      end_block();
      chosen.bodies.push_back(parse_body());
      tokens_.expect(TokenKind::block_begin, "{%");
    };
    do {
      chosen.expressions.push_back(expressions_.parse_tuple(false));
      parse_branch();
    } while (tokens_.accept_name("elif"));
    if (tokens_.accept_name("else")) parse_branch();
    tokens_.expect(TokenKind::name, "endif");
    end_block();
    return chosen;
  }

  Statement parse_for(std::size_t line) {
    Statement loop{Kind::for_, line};
    loop.targets.push_back(parse_target());
    tokens_.expect(TokenKind::name, "in");
    loop.expressions.push_back(expressions_.parse_tuple(false));
    loop.has_condition = tokens_.accept_name("if");
    if (loop.has_condition) loop.expressions.push_back(expressions_.parse());
    loop.is_recursive = tokens_.accept_name("recursive");
    end_block();
    loop.bodies.push_back(parse_body());
    tokens_.expect(TokenKind::block_begin, "{%");
    if (tokens_.accept_name("else")) {
      loop.bodies.push_back(parse_body_until("endfor"));
    } else {
      tokens_.expect(TokenKind::name, "endfor");
      end_block();
    }
    return loop;
  }

  std::vector<MacroParameter> parse_parameters() {
    std::vector<MacroParameter> parameters;
    tokens_.expect(TokenKind::symbol, "(");
    while (!tokens_.accept_symbol(")")) {
      parameters.push_back({tokens_.take(TokenKind::name, "a parameter's name")});
      if (tokens_.accept_symbol("=")) parameters.back().standard.push_back(expressions_.parse());
      if (!tokens_.at_symbol(")")) tokens_.expect(TokenKind::symbol, ",");
    }
    return parameters;
  }

  /// A macro takes more arguments than it names where its body asks for them.
  void note_rest(Statement& macro, std::size_t begin) const {
    macro.takes_rest = tokens_.has_name_since(begin, "varargs");
    macro.takes_named_rest = tokens_.has_name_since(begin, "kwargs");
  }

  Statement parse_macro(std::size_t line) {
    Statement macro{Kind::macro, line, tokens_.take(TokenKind::name, "a macro's name")};
    const std::size_t begin = tokens_.position();
    macro.parameters = parse_parameters();
    macro.bodies.push_back(parse_body_until("endmacro"));
    note_rest(macro, begin);
    return macro;
  }

  Statement parse_call(std::size_t line) {
    Statement call{Kind::call, line, "caller"};
    const std::size_t begin = tokens_.position();
    if (tokens_.at_symbol("(")) call.parameters = parse_parameters();
    call.expressions.push_back(expressions_.parse());
    if (call.expressions[0].kind != Expression::Kind::call) {
      tokens_.refuse("expected a call behind 'call'");
    }
    call.bodies.push_back(parse_body_until("endcall"));
    note_rest(call, begin);
    return call;
  }

  Statement parse_filter(std::size_t line) {
    Statement filter{Kind::filter, line};
    Expression first = expressions_.parse_filter(filtered_text());
    filter.expressions.push_back(expressions_.parse_filters(std::move(first)));
    filter.bodies.push_back(parse_body_until("endfilter"));
    return filter;
  }

  Statement parse_with(std::size_t line) {
    Statement with{Kind::with, line};
    while (tokens_.token().kind != TokenKind::block_end) {
      with.targets.push_back(parse_one_target());
      tokens_.expect(TokenKind::symbol, "=");
      with.expressions.push_back(expressions_.parse());
      if (tokens_.token().kind != TokenKind::block_end) tokens_.expect(TokenKind::symbol, ",");
    }
    with.bodies.push_back(parse_body_until("endwith"));
    return with;
  }

  Statement parse_print(std::size_t line) {
    Statement print{Kind::print, line};
    do {
      print.expressions.push_back(expressions_.parse());
    } while (tokens_.accept_symbol(","));
    end_block();
    return print;
  }

  Statement parse_generation(std::size_t line) {
    Statement generation{Kind::generation, line};
    generation.bodies.push_back(parse_body_until("endgeneration"));
    return generation;
  }

  /// What looks for another file, which a chat template has none of.
  Statement parse_unsupported(std::size_t line, const std::string& name) {
    while (tokens_.token().kind != TokenKind::block_end && tokens_.token().kind != TokenKind::end) {
      tokens_.take(tokens_.token().kind, "a word");
    }
    end_block();
    return {Kind::unsupported, line, name};
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
};

}  // namespace

std::vector<Statement> parse_template(std::string_view source, const std::string& where) {
  if (source.size() > kMaxBytes) {
    throw Error(where + ": expected a chat template of at most " + std::to_string(kMaxBytes) +
                " bytes, found " + std::to_string(source.size()));
  }
  return Parser(source, where).parse();
}

}  // namespace longshadow::jinja
