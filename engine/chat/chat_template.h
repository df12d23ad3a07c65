#pragma once

#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/jinja/syntax/syntax.h"

namespace longshadow {

/// What a template is told beside the messages.
struct ChatContext {
  /// Spellings by name: bos_token, eos_token, ...; those left out are undefined in the template.
  std::map<std::string, std::string> special_tokens{};
  bool add_generation_prompt = true;  ///< ends with the beginning of the assistant's answer
  std::tm now{};                      ///< what strftime_now() says
};

/// The template by which a model turns a conversation into text: Jinja as transformers 5 runs it,
/// jinja2's immutable sandbox with trim_blocks, lstrip_blocks, loop controls and `generation`, to
/// the byte. A construct that a conversation never reaches is no error.
///
/// Supported are all statements but `block`, `autoescape` and those that read other files; all
/// expressions; of the globals range, dict, namespace, raise_exception and strftime_now (not
/// cycler, joiner and lipsum); the filters and tests of jinja2 but filesizeformat, pprint, random,
/// striptags, urlencode, urlize, wordwrap and xmlattr; the methods of Python's str (but encode,
/// expandtabs, format_map, isascii, isidentifier, isprintable, istitle, maketrans and translate),
/// list, tuple and dict, where those that change a value are refused as by the sandbox; whole
/// numbers of 64 bits. Not supported are the text of a range, a namespace or a function, tuples as
/// keys, the escape \N{name}, and letter case beyond one code point to one but for the German sharp
/// s.
///
/// A template comes with a model, from strangers: one that asks for more than 2^24 steps or for
/// more than 64 MiB and 512 bytes for each of the conversation's, or that nests too deep, is
/// refused.
class ChatTemplate {
 public:
  /// `where` names the template in messages. Throws Error as jinja::parse_template() does.
  ChatTemplate(std::string_view source, std::string where);

  /// `messages` is an array of objects, `tools` those that the model may call, an array of JSON
  /// schemas or null. Throws Error naming the line of what is not supported or
  /// an error in Python too, and where the template itself refuses the conversation
  /// (raise_exception).
  std::string render(const nlohmann::ordered_json& messages, const ChatContext& context,
                     const nlohmann::ordered_json& tools = nullptr) const;

  /// The text as it was given.
  const std::string& source() const { return source_; }

 private:
  std::string source_;
  std::string where_;
  std::vector<jinja::Statement> statements_;
};

}  // namespace longshadow
