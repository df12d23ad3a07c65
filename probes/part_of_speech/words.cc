#include "probes/part_of_speech/words.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "engine/io/aligned_text.h"
#include "engine/io/pattern.h"
#include "probes/part_of_speech/code_regions.h"
#include "probes/part_of_speech/sentences.h"

namespace longshadow {
namespace {

using enum UniversalTag;

constexpr TagSet kProse = TagSet::all().without(punct);
constexpr TagSet kPunctuation = {punct, sym};

struct Rule {
  const char* expression;
  TagSet allowed;
};

/// Each rule claims its matches in what the rules before it left over.
constexpr Rule kRules[] = {
    // HTML tags, comments and entities; LaTeX commands.
    {R"(<[/!]?[A-Za-z][^<>]*>|<!--|-->|&(?:[A-Za-z]+|#[0-9A-Fa-fx]+);)", {x}},
    {R"(\\[A-Za-z]+\*?|\\(?=[\\{}%&#$]))", {x}},
    // Web and e-mail addresses, without the punctuation that ends the sentence.
    {R"((?i:https?|ftp)://[^\s<>"'`(){}|\\\[\]\x{2019}\x{201d}]*[\w/#=&%+~-])", {sym}},
    {R"((?<![\w.])www\.[\w%?=&~+.\/-]*[\w/])", {sym}},
    {R"((?<![\w.+-])[\w+-](?:[\w.+-]*[\w+-])?@[\w-]+(?:\.[\w-]+)+)", {sym}},
    // Code: a::b, f(), names_like_this, --options, dotted.names, paths/of/three.
    {R"((?<![\w:])[A-Za-z_]\w*(?:::~?\w+)+(?:\(\))?|(?<![\w.])[A-Za-z_]\w*(?:\.\w+)*\(\))", {x}},
    {R"((?<![\w-])--[a-z][\w-]+|(?<!\w)(?:[A-Za-z]\w*_\w+|_+[A-Za-z]\w*)(?:\.\w+)*)", {x}},
    {R"((?<![\w.])[~.]{0,2}/[\w.-]+/[\w.\/-]+|(?<![\w.])[\w.-]+/[\w.-]+/[\w.\/-]*\w)", {x}},
    {R"((?<![\w.])[A-Za-z][\w-]+(?:\.[A-Za-z][\w-]+)+(?!\w))", {x}},
    // Abbreviations keep their period: initials, titles, months, and what stands in references.
    {R"((?<![\p{L}\p{N}])(?:\p{L}\.){2,}|(?<![\p{L}\p{N}.])\p{Lu}\.(?=\s+\p{Lu}))", kProse},
    {R"((?<![\p{L}\p{N}])(?i:Mrs?|Ms|Dr|Prof|St|Jr|Sr|vs|etc|Inc|Co|Corp|Ltd|Fig|Figs|Eq|al|cf|vol|pp|Gen|Gov|Sen|Reps?|Rev|Lt|Col|Sgt|Capt|Ft|Mt|Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec|approx|dept|est|ca|ed|eds|viz|Ph)\.(?![\p{L}\p{N}])|No\.(?=\s*\d))",
     kProse},
    // Numbers: dates, times, telephone numbers; the digits before a unit.
    {R"((?<![\p{L}\p{N}])(?:\d{3}-\d{3}-\d{4}|\d{1,4}-\d{1,2}-\d{1,4})(?![\p{L}\p{N}-]))", {num}},
    {R"((?<![\p{L}\p{N}])(?>\d+(?:[.,:/]\d+)*)(?=(?i:[ap]m|[cmkn]?m|[mk]g|[kmgt]b|ms|[kmg]?hz|k)(?![\p{L}\p{N}])))",
     {num}},
    {R"((?<![\p{L}\p{N}])(?>\d+(?:[.,:/]\d+)*)(?![\p{L}\p{M}]))", {num}},
    {R"((?<![\p{L}\p{N}])\.\d+(?![\p{L}\p{N}]))", {num}},
    // Another script: Unicode's segmentation would need its dictionary, a run of letters is one
    // word.
    {R"((?:[^\P{L}\p{Latin}]\p{M}*)+)", {x}},
    // Words. Hyphens part them, but for prefixes that English writes with one.
    {R"((?<![\p{L}\p{N}-])(?i:e|non|re|co|pre|post|anti|pro|ex|mid|multi|semi|neo|quasi|pseudo)-\p{L}[\p{L}\p{M}\p{N}]*(?:['\x{2019}][\p{L}\p{M}]+)*)",
     kProse},
    {R"(\p{L}[\p{L}\p{M}\p{N}]*(?:['\x{2019}][\p{L}\p{M}]+)*|\d[\p{L}\p{M}\p{N}]*\p{L}[\p{L}\p{M}\p{N}]*(?:'s)?)",
     kProse},
    {R"(\p{N}+)", {num}},
    // Emoticons; runs of one sign; arrows and operators; what stands between words.
    {R"((?<!\S)[:;=]['-]?[()DPO\[\]|/](?!\S))", {sym}},
    {R"(\.{2,}|-{2,}|={2,}|\*{2,}|_{2,}|#{2,}|~{2,}|[!?]{2,}|<<|>>|''|``)", kPunctuation},
    {R"([<=-]+>|<[=-]+|[!<>=]=|&&|\|\||\$\$)", {sym}},
    {R"(['\x{2019}])", {punct, part}},
    {"&", {cconj, sym}},
    {R"([\p{P}$+<=>^`|~])", kPunctuation},
    // Emoji with their modifiers and joiners, and whatever else Unicode has.
    {R"([^\s\p{L}\p{N}\p{P}]+)", {sym}},
    {R"(\S)", {sym}},
};

struct CompiledRule {
  Pattern pattern;
  TagSet allowed;
};

const std::vector<CompiledRule>& compiled_rules() {
  static const std::vector<CompiledRule> kCompiled = [] {
    std::vector<CompiledRule> compiled;
    for (const Rule& rule : kRules) {
      compiled.push_back({Pattern(rule.expression, "words"), rule.allowed});
    }
    return compiled;
  }();
  return kCompiled;
}

/// A part of the text, and the tags it may have once a rule has claimed it.
struct Piece {
  Range bytes;
  std::optional<TagSet> allowed;
};

std::vector<Piece> claim(std::string_view text, std::vector<Piece> pieces,
                         const CompiledRule& rule) {
  std::vector<Piece> finer;
  std::vector<Range> matches;
  for (const Piece& piece : pieces) {
    if (piece.allowed) {
      finer.push_back(piece);
      continue;
    }
    matches.clear();
    rule.pattern.find_all(text.substr(piece.bytes.begin, piece.bytes.size()), matches);
    std::size_t at = piece.bytes.begin;
    for (const Range match : matches) {
      const Range found{piece.bytes.begin + match.begin, piece.bytes.begin + match.end};
      if (at < found.begin) finer.push_back({{at, found.begin}, std::nullopt});
      finer.push_back({found, rule.allowed});
      at = found.end;
    }
    if (at < piece.bytes.end) finer.push_back({{at, piece.bytes.end}, std::nullopt});
  }
  return finer;
}

/// Where the text is cut before the rules see it: behind white space, no stretch much longer than
/// kStretchBytes. It bounds the steps that looking for one match may take.
std::vector<Range> stretches_of(std::string_view text) {
  constexpr std::size_t kStretchBytes = 4096;
  std::vector<Range> stretches;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = text.size();
    if (end - begin > kStretchBytes) {
      const std::size_t space = text.find_last_of(" \n", begin + kStretchBytes);
      end = begin + kStretchBytes;
      if (space != std::string_view::npos && space > begin) end = space + 1;
      while ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // inside a code point
    }
    stretches.push_back({begin, end});
    begin = end;
  }
  return stretches;
}

/// What EWT splits off the end of a word, and words that it splits without an apostrophe: where.
std::size_t clitic_begin(std::string_view word) {
  struct Split {
    std::string_view text;
    std::size_t at;
  };
  static constexpr std::array<std::string_view, 14> kClitics = {
      "n't", "'s", "'re", "'ve", "'ll", "'d", "'m", "n’t", "’s", "’re", "’ve", "’ll", "’d", "’m"};
  static constexpr std::array<Split, 12> kWhole = {{{"cannot", 3},
                                                    {"gonna", 3},
                                                    {"wanna", 3},
                                                    {"gotta", 3},
                                                    {"dont", 2},
                                                    {"didnt", 3},
                                                    {"doesnt", 4},
                                                    {"isnt", 2},
                                                    {"wasnt", 3},
                                                    {"couldnt", 5},
                                                    {"wouldnt", 5},
                                                    {"havent", 4}}};
  std::string lower(word);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const std::string_view clitic : kClitics) {
    if (lower.size() > clitic.size() && lower.ends_with(clitic)) return word.size() - clitic.size();
  }
  for (const Split& split : kWhole) {
    if (lower == split.text) return split.at;
  }
  return 0;
}

std::vector<TextWord> words_of(std::string_view text) {
  std::vector<TextWord> words;
  for (const Range stretch : stretches_of(text)) {
    std::vector<Piece> pieces{{stretch, std::nullopt}};
    for (const CompiledRule& rule : compiled_rules()) pieces = claim(text, std::move(pieces), rule);
    for (const Piece& piece : pieces) {
      if (!piece.allowed) continue;  // white space
      const Range bytes = piece.bytes;
      const std::size_t clitic =
          *piece.allowed == kProse ? clitic_begin(text.substr(bytes.begin, bytes.size())) : 0;
      if (clitic != 0) words.push_back({{bytes.begin, bytes.begin + clitic}, kProse});
      words.push_back({{bytes.begin + clitic, bytes.end}, *piece.allowed});
    }
  }
  return words;
}

}  // namespace

std::vector<TextWord> find_words(std::string_view text) {
  const AlignedText aligned = as_utf8(text, {0, text.size()});
  std::vector<TextWord> words = words_of(aligned.bytes());
  mark_code(aligned.bytes(), words);
  mark_sentences(aligned.bytes(), words);
  for (TextWord& word : words) word.bytes = aligned.source_of(word.bytes);
  return words;
}

}  // namespace longshadow
