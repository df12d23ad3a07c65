#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/jinja/syntax/tokens.h"

namespace longshadow::jinja {

/// What both parsers step through. All that refuses throws Error with the template's name and line.
class TokenStream {
 public:
  TokenStream(std::string_view source, const std::string& where)
      : where_(where), tokens_(template_tokens(source, where)) {}

  const Token& token() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[at_ + (at_ + 1 < tokens_.size() ? 1 : 0)]; }

  [[noreturn]] void refuse(const std::string& what) const;
  [[noreturn]] void refuse_token(const std::string& expected) const;

  bool at(Token::Kind kind, std::string_view text) const {
    return token().kind == kind && token().text == text;
  }
  bool at_name(std::string_view text) const { return at(Token::Kind::name, text); }
  bool at_symbol(std::string_view text) const { return at(Token::Kind::symbol, text); }
  bool accept(Token::Kind kind, std::string_view text) {
    const bool is_there = at(kind, text);
    if (is_there) ++at_;
    return is_there;
  }
  bool accept_name(std::string_view text) { return accept(Token::Kind::name, text); }
  bool accept_symbol(std::string_view text) { return accept(Token::Kind::symbol, text); }
  void expect(Token::Kind kind, std::string_view text);
  /// The text of a token of that kind. `what` names it in messages.
  std::string take(Token::Kind kind, const char* what);

  std::size_t position() const { return at_; }
  /// Whether a name stands between an earlier position and this one.
  bool has_name_since(std::size_t position, std::string_view name) const;

  /// Levels that a template may nest.
  static constexpr std::size_t kMaxDepth = 100;
  [[noreturn]] void refuse_depth() const;

  /// Counts a level that a parser is in.
  class Level {
   public:
    explicit Level(TokenStream& stream) : stream_(stream) {
      if (++stream_.depth_ > kMaxDepth) stream_.refuse_depth();
    }
    ~Level() { --stream_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    TokenStream& stream_;
  };

 private:
  const std::string& where_;
  const std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
};

}  // namespace longshadow::jinja
