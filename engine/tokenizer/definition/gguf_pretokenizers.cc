#include "engine/tokenizer/definition/gguf_pretokenizers.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/text/nearest_name.h"
#include "engine/text/utf8.h"

// The patterns are those that the models were trained with, as llama.cpp runs them. It tells
// letters apart in ASCII only: [^\P{L}a-z] is every letter but those, where a model's own pattern
// says
// [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], and where that has marks, llama.cpp's may have none. Its
// contractions know ASCII letters only, where (?i:'s) would take U+017F, the long s, too.

namespace longshadow {
namespace {

constexpr char kContraction[] = R"(('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))";
constexpr char kDigit[] = R"(\p{N})";
constexpr char kThreeDigits[] = R"(\p{N}{1,3})";
/// Runs of digits in threes from their end. Each run's first one or two digits look ahead once.
constexpr char kThreesFromTheEnd[] = R"((?<!\p{N})\p{N}{1,2}(?=(?:\p{N}{3})*+(?!\p{N}))|\p{N}{3})";
constexpr char kLines[] = R"([^\n]+|\n+)";
constexpr char kAsciiThrees[] = "[0-9][0-9][0-9]";
constexpr char kJapaneseAndHan[] = R"([\x{4e00}-\x{9fa5}\x{3040}-\x{30ff}]+)";
/// No white space, which a range from U+0800 would have.
constexpr char kDeepseekHan[] =
    R"([\x{800}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e})"
    R"(\x{2060}-\x{2fff}\x{3001}-\x{9fa5}\x{ac00}-\x{d7ff}]+)";
/// Cased letters of the scripts that DeepSeek's first vocabulary knew.
constexpr char kDeepseekLetters[] =
    R"(\s?[)"
    R"(A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293})"
    R"(\x{295}-\x{2af}\x{370}-\x{373}\x{376}-\x{377}\x{37b}-\x{37d}\x{37f}\x{386})"
    R"(\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f})"
    R"(\x{531}-\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-\x{1cba})"
    R"(\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15})"
    R"(\x{1f18}-\x{1f1d}\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b})"
    R"(\x{1f5d}\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4})"
    R"(\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4})"
    R"(\x{1ff6}-\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124})"
    R"(\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f})"
    R"(\x{2145}-\x{2149}\x{214e}\x{2183}-\x{2184}\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4})"
    R"(\x{2ceb}-\x{2cee}\x{2cf2}-\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722}-\x{a76f})"
    R"(\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17})"
    R"(\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3})"
    R"(\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df})"
    R"(\x{1e900}-\x{1e943})"
    R"(]+)";
constexpr char kBloomWords[] =
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{ff0c}\x{3001}\x{964}\x{6d4}\x{60c})]+)";
/// Han as llama.cpp counts it.
constexpr char kHan[] = R"(\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}\x{f900}-\x{faff}\x{20000}-\x{2a6df})"
                        R"(\x{2a700}-\x{2ebef}\x{2f800}-\x{2fa1f})";

/// The alternatives of a pattern that matches every part of a text, in their order; Qwen2's, and
/// what differs in others. None of them is empty but `first`.
struct TextPattern {
  std::string first = kContraction;
  std::string word = R"([^\r\n\p{L}\p{N}]?\p{L}+)";
  std::string digits = kDigit;
  std::string symbols = R"( ?[^\s\p{L}\p{N}]+[\r\n]*)";
  std::string line_ends = R"(\s*[\r\n]+)";
  std::string spaces = R"(\s+(?!\S)|\s+)";
};

SplitRule isolate(std::string pattern) { return {.pattern = std::move(pattern)}; }

SplitRule isolate(const TextPattern& p) {
  return isolate((p.first.empty() ? "" : p.first + "|") + p.word + "|" + p.digits + "|" +
                 p.symbols + "|" + p.line_ends + "|" + p.spaces);
}

SplitRule gpt2() { return isolate(kGpt2Pattern); }
SplitRule llama3() { return isolate(TextPattern{.digits = kThreeDigits}); }
SplitRule qwen2() { return isolate(TextPattern{}); }

/// Words that a change from small to capital letters ends. `others` are the characters that no
/// word has, as the inside of a set.
std::string cased_words(const std::string& others, const std::string& ending) {
  const std::string before = R"([^\r\n\p{L}\p{N}]?)";
  const std::string not_small = "[^" + others + "a-z]";
  const std::string not_capital = "[^" + others + "A-Z]";
  return before + not_small + "*" + not_capital + "+" + ending + "|" + before + not_small + "+" +
         not_capital + "*" + ending;
}

SplitRule tekken() {
  return isolate(TextPattern{.first = "",
                             .word = cased_words(R"(\P{L})", ""),
                             .symbols = R"( ?[^\s\p{L}\p{N}]+[\r\n/]*)"});
}

SplitRule gpt4o(const std::string& others) {
  return isolate(TextPattern{.first = "",
                             .word = cased_words(others, std::string(kContraction) + "?"),
                             .digits = kThreeDigits,
                             .symbols = R"( ?[^\s\p{L}\p{N}]+[\r\n/]*)"});
}

/// GPT-4o's with marks in words, where llama.cpp makes no difference of case.
SplitRule words_with_marks(const std::string& digits) {
  return isolate(
      TextPattern{.first = "",
                  .word = R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+)" + std::string(kContraction) + "?",
                  .digits = digits,
                  .symbols = R"( ?[^\s\p{L}\p{N}]+[\r\n/]*)"});
}

/// Words, a symbol that goes with ASCII letters, runs of symbols; digits stay as they are.
SplitRule deepseek3_words(const std::string& symbols_and_line_ends) {
  return isolate(R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|)"
                 R"([^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)" +
                 symbols_and_line_ends + R"(|\s+(?!\S)|\s+)");
}

constexpr char kDeepseek3Symbols[] = R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+)";

SplitRule jais2() {
  std::string spaces;
  for (const char* count : {"512", "256", "128", "64", "32", "16", "8", "4", "1,2"}) {
    spaces += R"(\s{)" + std::string(count) + R"(}(?!\S)|)";
  }
  return isolate(TextPattern{.digits = kThreeDigits, .spaces = spaces + R"(\s)"});
}

/// Letters with their marks, and whole texts of words that single spaces part.
SplitRule exaone_moe() {
  return isolate(
      TextPattern{.word = R"([^\r\n\p{L}\p{N}]?\p{L}[\p{L}\p{M}]*+(?: \p{L}[\p{L}\p{M}]*+)*+)",
                  .symbols = R"( ?[^\s\p{L}\p{N}]+[\r\n/]?)",
                  .line_ends = R"(\s*[\r\n])"});
}

SplitRule kimi_k2() {
  const std::string letters_but_han = R"([^\P{L})" + std::string(kHan) + "]";
  return isolate(TextPattern{
      .first = "[" + std::string(kHan) + "]+",
      .word = R"([^\r\n\p{L}\p{N}]?)" + letters_but_han + "+" + std::string(kContraction) + "?",
      .digits = kThreeDigits});
}

/// Cuts before each three ASCII digits of a run, counted from its end, and nowhere else.
SplitRule superbpe_digits() {
  const std::string rest = "(?=(?:[0-9]{3})*+(?![0-9]))";
  const std::string other_then_rest = "[^0-9]+[0-9]{0,2}" + rest;
  return isolate("(?:(?<![0-9])[0-9]{1,2}" + rest + "|[0-9]{3}|" + other_then_rest +
                 ")(?:" + other_then_rest + ")*+");
}

SplitRule youtu_scripts() {
  return isolate(
      R"([\x{ac00}-\x{d7a3}\x{3131}-\x{318e}]+|)"
      R"([\x{ff01}\x{2026}\x{201c}\x{201d}\x{2018}\x{2019}\x{2014}\x{ff1a}\x{ff1b}\x{ff0c})"
      R"(\x{3001}-\x{303f}\x{fe30}-\x{fe4f}]+|[\x{3105}-\x{312f}]+|)" +
      std::string(kJapaneseAndHan));
}

SplitRule afmoe_scripts() {
  return isolate(
      R"([\x{4e00}-\x{9fff}\x{3400}-\x{4dbf}\x{8c48}-\x{faff}\x{3040}-\x{30ff}\x{ff65}-\x{ff9f})"
      R"(\x{2f00}-\x{2fdf}\x{e40}-\x{eff}\x{1780}-\x{17ff}\x{1000}-\x{109f}\x{aa60}-\x{aa7f})"
      R"(\x{a9e0}-\x{a9ff}\x{ac00}-\x{d7af}\x{1100}-\x{11ff}]+)");
}

/// Threes of digits, the first of a run together with what stands before it.
SplitRule threes_from_the_end() {
  return {.pattern = kThreesFromTheEnd, .behavior = SplitBehavior::merged_with_previous};
}

using Steps = std::vector<PretokenizerStep>;

/// Names of one meaning.
struct Entry {
  std::vector<std::string_view> names;
  Steps steps;
  bool ignores_merges = false;
  bool adds_bos = false;
};

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = {
      {{kDefaultPretokenizer},
       {isolate(R"([\p{P}\$\+<=>\^~\|]+)"), gpt2(), isolate(R"(\p{N}+)"), isolate(kAsciiThrees)}},
      {{"gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v1-en",
        "jina-v2-code", "roberta-bpe", "modern-bert", "gigachat", "a.x-4.0", "mellum", "exaone4",
        "mpt", "olmo", "jais", "trillion", "granite-docling"},
       {gpt2()}},
      {{"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b",
        "mellum2"},
       {isolate(kDigit), gpt2()}},
      {{"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
        "jina-v5-nano"},
       {llama3()},
       /*ignores_merges=*/true,
       /*adds_bos=*/true},
      {{"dbrx", "smaug-bpe", "chatglm-bpe"}, {llama3()}},
      {{"glm4", "glm5"}, {llama3()}, /*ignores_merges=*/true},
      {{"minicpm5"},
       {isolate(kThreeDigits), isolate(TextPattern{.digits = R"(\p{N}+)"})},
       /*ignores_merges=*/true},
      {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan",
        "solar-open", "grok-2"},
       {qwen2()}},
      {{"qwen35"},
       {isolate(TextPattern{.word = R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+)",
                            .symbols = R"( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)"})}},
      {{"ufakzeka"}, {isolate(TextPattern{.first = ""})}},
      {{"bailingmoe", "bailingmoe2", "llada-moe"},
       {isolate(TextPattern{.line_ends = R"(\s*[\r\n])"})}},
      {{"seed-coder"}, {isolate(TextPattern{.symbols = R"( ?[^\s\p{L}\p{N}\r\n]+)"})}},
      {{"laguna"}, {isolate(kLines), qwen2()}},
      {{"jais-2"}, {jais2()}},
      {{"exaone-moe"}, {exaone_moe()}},
      {{"tekken"}, {tekken()}, /*ignores_merges=*/true, /*adds_bos=*/true},
      {{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, {gpt4o(R"(\P{L})")}},
      {{"granite-embed-multi-97m"},
       {gpt4o(R"(\p{N}\p{P}\p{S}\p{Z}\p{C})")},
       /*ignores_merges=*/true},
      {{"tiny_aya", "cohere2moe"}, {threes_from_the_end(), words_with_marks(kThreeDigits)}},
      {{"youtu"}, {youtu_scripts(), words_with_marks(kDigit)}, /*ignores_merges=*/true},
      {{"kimi-k2"}, {kimi_k2()}},
      {{"superbpe"}, {isolate(R"(\p{N}+)"), superbpe_digits()}},
      {{"deepseek-llm"},
       {isolate(R"([\r\n])"), isolate(kDeepseekLetters),
        isolate(
            R"(\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3001}\x{3002}]+)"),
        isolate(R"(\s+\z)"), isolate(kDeepseekHan), isolate(R"(\p{N}+)")}},
      {{"deepseek-coder"},
       {isolate(R"([\r\n])"), isolate(R"(\s?\p{L}+)"), isolate(R"(\s?\p{P}+)"),
        isolate(kDeepseekHan), isolate(kDigit)}},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
       {isolate(kThreeDigits), isolate(kJapaneseAndHan), deepseek3_words(kDeepseek3Symbols)}},
      {{"spark2_5"},
       {isolate(kThreeDigits), isolate(kJapaneseAndHan),
        deepseek3_words(R"( ?[\p{P}\p{S}]+|[\r\n])"), isolate(kDigit)}},
      {{"afmoe"}, {threes_from_the_end(), afmoe_scripts(), deepseek3_words(kDeepseek3Symbols)}},
      {{"falcon"}, {isolate(R"([\p{P}\$\+<=>\^~\|`]+)"), gpt2(), isolate(kAsciiThrees)}},
      {{"poro-chat", "bloom", "gpt3-finnish"}, {isolate(kBloomWords)}},
      {{"viking"}, {isolate(kBloomWords), isolate(kDigit)}},
      {{"chameleon"},
       {isolate("<sentinel:[0-9]+>"), isolate("IMGIMG[A-I]{1,4}Z"), isolate(R"([\t\n]|    |  )"),
        isolate(kDigit), isolate(R"([\p{P}!-/:-@\[-`{-~])"), gpt2()},
       /*ignores_merges=*/false,
       /*adds_bos=*/true},
  };
  return all;
}

/// Byte-pair encoding of characters, not bytes.
constexpr std::array<std::string_view, 4> kNotByteLevel = {"gemma4", "granite-embed-multi-311m",
                                                           "sarvam-moe", "whitespace"};

}  // namespace

NamedPretokenizer gguf_pretokenizer(std::string_view name, const std::string& where) {
  for (const Entry& entry : entries()) {
    if (std::ranges::find(entry.names, name) != entry.names.end()) {
      return {entry.steps, entry.ignores_merges, entry.adds_bos};
    }
  }
  if (std::ranges::find(kNotByteLevel, name) != kNotByteLevel.end()) {
    throw Error(where + ": expected a byte-level pre-tokenizer, found " + quote(name));
  }
  const std::vector<std::string_view> names = gguf_pretokenizer_names();
  throw Error(where + ": expected a pre-tokenizer that is known (the nearest: " +
              comma_list(nearest_names(name, names, 3)) + "), found " + quote(name) +
              "; a model's Hugging Face folder says itself how its texts are split");
}

std::vector<std::string_view> gguf_pretokenizer_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : entries()) {
    names.insert(names.end(), entry.names.begin(), entry.names.end());
  }
  return names;
}

}  // namespace longshadow
