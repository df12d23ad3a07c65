#include "probes/options/prompt_options.h"

#include "engine/core/error.h"
#include "probes/documents/document.h"
#include "probes/options/option_set.h"

namespace longshadow {
namespace {

std::vector<TokenId> ids_of(const std::vector<Token>& tokens) {
  std::vector<TokenId> ids;
  for (const Token& token : tokens) ids.push_back(token.id);
  return ids;
}

}  // namespace

void PromptOptions::declare(OptionSet& options) {
  options.add("prompt", value(prompt), "the text to go on from");
  options.add("document,d", value(document),
              "a UTF-8 text to go on from: a file, a pipe, or - for standard input");
  options.add("context,T", value(context, "all"),
              "tokens of the text to go on from, without --chat");
  options.add("parse-special", flag(parse_special),
              "the spelling of a special token in the text is that token, not plain text, as in a "
              "prompt that is a rendered chat");
  chat.declare(options);
}

std::optional<ChatPrompt> PromptOptions::read_chat(const Checkpoint& checkpoint) const {
  if (chat.messages && (chat.is_chat || prompt || document)) {
    throw UsageError(
        "--messages is the whole conversation; leave out --chat, --prompt and --document");
  }
  if (!chat.asks_for_chat()) return std::nullopt;
  const ChatSettings& settings = checkpoint.generation().chat;
  check_has_template(settings);
  const std::string said = chat.messages ? "" : read_text(checkpoint);
  return render_chat_prompt(chat, settings, said);
}

std::vector<TokenId> PromptOptions::read_tokens(
    const Checkpoint& checkpoint, const std::optional<ChatPrompt>& conversation) const {
  const Tokenizer& tokenizer = checkpoint.tokenizer();
  if (conversation) return ids_of(tokenizer.encode(conversation->text, SpecialTokens::parse));
  std::vector<TokenId> ids = ids_of(tokenizer.encode(read_text(checkpoint), special_tokens()));
  if (tokenizer.adds_bos()) ids.insert(ids.begin(), tokenizer.required_bos());
  if (context > ids.size()) {
    throw UsageError("--context " + std::to_string(context) + ": the text has only " +
                     std::to_string(ids.size()) + " tokens");
  }
  if (context != 0) ids.resize(context);
  return ids;
}

SpecialTokens PromptOptions::special_tokens() const {
  return parse_special ? SpecialTokens::parse : SpecialTokens::as_text;
}

/// The text to go on from; of a document no more than the context, or what the model reads, needs.
std::string PromptOptions::read_text(const Checkpoint& checkpoint) const {
  if (prompt.has_value() == document.has_value()) {
    throw UsageError(
        "give one of --prompt, --document and --messages, which the text goes on from");
  }
  if (prompt) return *prompt;
  const std::size_t most = checkpoint.config().max_context;
  const bool is_whole = context == 0 || chat.asks_for_chat();
  const Document read =
      read_document(*document, *document, checkpoint.tokenizer(), special_tokens(), BosPolicy::no,
                    is_whole ? most + 1 : context);
  if (is_whole && read.tokens.size() > most) {
    throw UsageError(*document + ": expected at most the " + std::to_string(most) +
                     " tokens that the model can read, found more; --context takes the first");
  }
  return read.text;
}

}  // namespace longshadow
