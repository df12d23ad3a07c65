#include "engine/part_of_speech/words/word_rules.h"

namespace longshadow {
namespace {

using enum UniversalTag;

constexpr TagSet kPunctuation = {punct, sym};

struct Rule {
  const char* expression;
  TagSet allowed;
};

// What words must not touch, and parts of them that several rules share.
#define NOT_BEHIND_WORD R"((?<![\p{L}\p{N}]))"
#define NOT_BEFORE_WORD R"((?![\p{L}\p{N}]))"
#define LETTERS R"(\p{L}[\p{L}\p{M}\p{N}]*(?:['\x{2019}][\p{L}\p{M}]+)*)"
#define DIGITS R"((?>\d+(?:[.,:/]\d+)*))"

constexpr Rule kMarkup[] = {
    // HTML: tags, comments, entities.
    {R"(<[/!]?[A-Za-z][^<>]*>|<!--|-->|&(?:[A-Za-z]+|#[0-9A-Fa-fx]+);)", {x}},
    // LaTeX: commands, escaped signs' backslashes.
    {R"(\\[A-Za-z]+\*?|\\(?=[\\{}%&#$]))", {x}},
};

/// Without the punctuation that ends the sentence they stand in.
constexpr Rule kAddresses[] = {
    {R"((?i:https?|ftp)://[^\s<>"'`(){}|\\\[\]\x{2019}\x{201d}]*[\w/#=&%+~-])", {sym}},
    {R"((?<![\w.])www\.[\w%?=&~+.\/-]*[\w/])", {sym}},
    {R"((?<![\w.+-])[\w+-](?:[\w.+-]*[\w+-])?@[\w-]+(?:\.[\w-]+)+)", {sym}},
};

constexpr Rule kCode[] = {
    {R"((?<![\w:])[A-Za-z_]\w*(?:::~?\w+)+(?:\(\))?)", {x}},          // std::sort
    {R"((?<![\w.])[A-Za-z_]\w*(?:\.\w+)*\(\))", {x}},                 // main()
    {R"((?<![\w-])--[a-z][\w-]+)", {x}},                              // --option
    {R"((?<!\w)(?:[A-Za-z]\w*_\w+|_+[A-Za-z]\w*)(?:\.\w+)*)", {x}},   // snake_case
    {R"((?<![\w.])[~.]{0,2}/[\w.-]+/[\w.\/-]+)", {x}},                // /usr/bin/env
    {R"((?<![\w.])[\w.-]+/[\w.-]+/[\w.\/-]*\w)", {x}},                // src/a/b.c
    {R"((?<![\w.])[A-Za-z][\w-]+(?:\.[A-Za-z][\w-]+)+(?!\w))", {x}},  // numpy.array
};

/// Abbreviations, which keep their period.
constexpr Rule kAbbreviations[] = {
    {NOT_BEHIND_WORD R"((?:\p{L}\.){2,})", kProseTags},          // U.S., e.g.
    {R"((?<![\p{L}\p{N}.])\p{Lu}\.(?=\s+\p{Lu}))", kProseTags},  // J. Smith
    {NOT_BEHIND_WORD "(?i:Mrs?|Ms|Dr|Prof|St|Jr|Sr|Gen|Gov|Sen|Reps?|Rev|Lt|Col|Sgt|Capt|Inc|Co|"
                     "Corp|Ltd|dept|Ft|Mt|Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec|etc|vs|viz|approx|"
                     "est|ca|cf|al|figs?|eq|vol|pp|eds?|Ph)\\." NOT_BEFORE_WORD,
     kProseTags},
    {NOT_BEHIND_WORD R"(No\.(?=\s*\d))", kProseTags},
};

constexpr Rule kNumbers[] = {
    // Telephone numbers and dates.
    {NOT_BEHIND_WORD R"((?:\d{3}-\d{3}-\d{4}|\d{1,4}-\d{1,2}-\d{1,4})(?![\p{L}\p{N}-]))", {num}},
    // 5km is two words, 5th is one.
    {NOT_BEHIND_WORD DIGITS R"((?=(?i:[ap]m|[cmkn]?m|[mk]g|[kmgt]b|ms|[kmg]?hz|k))" NOT_BEFORE_WORD
                            ")",
     {num}},
    {NOT_BEHIND_WORD DIGITS R"((?![\p{L}\p{M}]))", {num}},
    {NOT_BEHIND_WORD R"(\.\d+)" NOT_BEFORE_WORD, {num}},
};

constexpr Rule kWords[] = {
    // Letters of other scripts; Chinese and Japanese words would need a dictionary to be told
    // apart.
    {R"((?:[^\P{L}\p{Latin}]\p{M}*)+)", {x}},
    // Hyphens part words, but for prefixes that English writes with one.
    {R"((?<![\p{L}\p{N}-])(?i:e|non|re|co|pre|post|anti|pro|ex|mid|multi|semi|neo|quasi|pseudo)-)" LETTERS,
     kProseTags},
    {NOT_BEHIND_WORD R"(\d[\p{L}\p{M}\p{N}]*\p{L}[\p{L}\p{M}\p{N}]*)", kProseTags},  // 1990s, 2D
    {LETTERS, kProseTags},
    {R"(\p{N}+)", {num}},
};

constexpr Rule kSigns[] = {
    {R"((?<!\S)[:;=]['-]?[()DPO\[\]|/](?!\S))", {sym}},  // :-)
    {R"(\.{2,}|-{2,}|={2,}|\*{2,}|_{2,}|#{2,}|~{2,}|[!?]{2,}|<<|>>|''|``)", kPunctuation},
    {R"([<=-]+>|<[=-]+|[!<>=]=|&&|\|\||\$\$)", {sym}},  // ->, <=, &&
    {R"(['\x{2019}])", {punct, part}},
    {"&", {cconj, sym}},
    {R"([\p{P}$+<=>^`|~])", kPunctuation},
    {R"([^\s\p{L}\p{N}\p{P}]+)", {sym}},  // emoji with their modifiers and joiners, and the rest
    {R"(\S)", {sym}},
};

#undef NOT_BEHIND_WORD
#undef NOT_BEFORE_WORD
#undef LETTERS
#undef DIGITS

std::vector<WordRule> compile_rules() {
  std::vector<WordRule> compiled;
  const auto add = [&](const auto& rules) {
    for (const Rule& rule : rules) {
      compiled.push_back({Pattern(rule.expression, "words"), rule.allowed});
    }
  };
  add(kMarkup);
  add(kAddresses);
  add(kCode);
  add(kAbbreviations);
  add(kNumbers);
  add(kWords);
  add(kSigns);
  return compiled;
}

}  // namespace

const std::vector<WordRule>& word_rules() {
  static const std::vector<WordRule> kRules = compile_rules();
  return kRules;
}

}  // namespace longshadow
