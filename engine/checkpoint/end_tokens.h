#pragma once

#include <string>
#include <vector>

#include "engine/io/gguf.h"
#include "engine/io/json.h"
#include "engine/tokenizer/tokenizer.h"

namespace longshadow {

/// The tokens that end a text, each once.
struct EndTokens {
  std::vector<TokenId> ids;
  /// A line for each of the first three ids in the files that are no token's and so end nothing.
  std::vector<std::string> notes;
};

/// As llama.cpp tells them (llama-vocab.cpp, "EOG"): the tokens of the keys
/// tokenizer.ggml.{eos,eot,eom,fim_pad,fim_rep,fim_sep}_token_id, and every token spelled as the
/// chat formats that llama.cpp knows end a turn or a text: <|eot_id|>, <|im_end|>, <|end|>,
/// <|endoftext|>, </s>, <end_of_turn> and their like. A spelling of a fill-in-the-middle
/// token counts only where its key is missing. Two spellings end nothing where others do: <|end|>
/// beside <|return|> or <|flush|> with <|call|> or <|calls|>, </s> beside <|tool_response>. Unlike
/// llama.cpp, no id is made up where there is no key. The token of eos, if any, is first. Throws
/// Error where a key's value is no id.
EndTokens end_tokens(const Gguf& gguf, const Tokenizer& tokenizer);

/// Those of the member eos_token_id, one id, a list of them, or null. Throws Error naming `where`
/// for anything else.
EndTokens end_tokens(const nlohmann::json& settings, const Tokenizer& tokenizer,
                     const std::string& where);

}  // namespace longshadow
