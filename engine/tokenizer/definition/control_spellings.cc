#include "engine/tokenizer/definition/control_spellings.h"

#include <array>

namespace longshadow {
namespace {

using Spelling = std::string_view;

constexpr auto kEnds = std::to_array<Spelling>({
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "[e~[",
});

constexpr auto kBefore = std::to_array<Spelling>({
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<\uff5cfim\u2581begin\uff5c>",
    "<PRE>",
    "\u2581<PRE>",
    "<|code_prefix|>",
    "<|prefix|>",
});
constexpr auto kBehind = std::to_array<Spelling>({
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<\uff5cfim\u2581hole\uff5c>",
    "<SUF>",
    "\u2581<SUF>",
    "<|code_suffix|>",
    "<|suffix|>",
});
constexpr auto kMiddle = std::to_array<Spelling>({
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<\uff5cfim\u2581end\uff5c>",
    "<MID>",
    "\u2581<MID>",
    "<|code_middle|>",
    "<|middle|>",
});
constexpr auto kPadding = std::to_array<Spelling>({
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
});
constexpr auto kRepository = std::to_array<Spelling>({
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
});
constexpr auto kFile = std::to_array<Spelling>({"<|file_sep|>"});

constexpr auto kMiddleMarks = std::to_array<MiddleMark>({
    {"tokenizer.ggml.fim_pre_token_id", kBefore, false},
    {"tokenizer.ggml.fim_suf_token_id", kBehind, false},
    {"tokenizer.ggml.fim_mid_token_id", kMiddle, false},
    {"tokenizer.ggml.fim_pad_token_id", kPadding, true},
    {"tokenizer.ggml.fim_rep_token_id", kRepository, true},
    {"tokenizer.ggml.fim_sep_token_id", kFile, true},
});

}  // namespace

std::span<const std::string_view> end_spellings() { return kEnds; }
std::span<const MiddleMark> middle_marks() { return kMiddleMarks; }

}  // namespace longshadow
