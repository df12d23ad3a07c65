#include "engine/jinja/syntax/token_stream.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/text/utf8.h"

namespace longshadow::jinja {

void TokenStream::refuse(const std::string& what) const {
  throw Error(where_ + ": line " + std::to_string(token().line) + ": " + what);
}

void TokenStream::refuse_token(const std::string& expected) const {
  refuse("expected " + expected + ", found " +
         (token().kind == Token::Kind::end ? "the template's end" : quote(token().text)));
}

void TokenStream::refuse_depth() const {
  refuse("nested deeper than " + std::to_string(kMaxDepth) + " levels");
}

void TokenStream::expect(Token::Kind kind, std::string_view text) {
  if (!accept(kind, text)) refuse_token(quote(text));
}

std::string TokenStream::take(Token::Kind kind, const char* what) {
  if (token().kind != kind) refuse_token(what);
  return tokens_[at_++].text;
}

bool TokenStream::has_name_since(std::size_t position, std::string_view name) const {
  const auto begin = tokens_.begin();
  return std::any_of(
      begin + static_cast<std::ptrdiff_t>(position), begin + static_cast<std::ptrdiff_t>(at_),
      [&](const Token& token) { return token.kind == Token::Kind::name && token.text == name; });
}

}  // namespace longshadow::jinja
