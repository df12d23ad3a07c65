#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace longshadow::jinja {

/// A piece of a Jinja template (https://jinja.palletsprojects.com/en/stable/templates/).
struct Token {
  enum class Kind {
    text,  ///< outside of all tags, white space already controlled
    print_begin,
    print_end,
    block_begin,
    block_end,
    name,
    string,  ///< text: what the literal stands for
    integer,
    real,
    symbol,  ///< an operator or a bracket
    end,     ///< of the template
  };
  Kind kind;
  std::string text;
  std::size_t line;  ///< from 1
};

/// Splits the template with white space controlled as transformers sets it: trim_blocks (the first
/// newline behind a block goes) and lstrip_blocks (so does the white space between the beginning of
/// a line and a block), beside the hyphens in tags and the template's own last newline. `where`
/// names the template. Throws Error for a tag that does not end or a character that no tag has.
std::vector<Token> template_tokens(std::string_view source, const std::string& where);

/// What a string literal between its quotes stands for: Python's escapes, but for \N{name}.
std::string unescaped(std::string_view literal);

}  // namespace longshadow::jinja
