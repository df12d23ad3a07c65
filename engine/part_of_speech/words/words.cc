#include "engine/part_of_speech/words/words.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "engine/part_of_speech/words/code_regions.h"
#include "engine/part_of_speech/words/sentences.h"
#include "engine/part_of_speech/words/word_rules.h"
#include "engine/text/aligned_text.h"

namespace longshadow {
namespace {

/// A part of the text, and the tags it may have once a rule has claimed it.
struct Piece {
  Range bytes;
  std::optional<TagSet> allowed;
};

std::vector<Piece> claim(std::string_view text, const std::vector<Piece>& pieces,
                         const WordRule& rule) {
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

constexpr std::size_t kStretchBytes = 4096;
static_assert(kTextBehind >= kLongestSentenceBytes + kLongestCodeBytes + 4 * kStretchBytes);

/// Where the text is cut before the rules see it, behind white space wherever there is some: what
/// looking for one match may take is bounded by that, so that no document makes a Pattern give up
/// or takes time that grows with the square of its length. Only those that begin
/// before `end_of_words`.
std::vector<Range> stretches_of(std::string_view text, std::size_t end_of_words) {
  std::vector<Range> stretches;
  for (std::size_t begin = 0; begin < std::min(text.size(), end_of_words);) {
    std::size_t end = text.size();
    if (end - begin > kStretchBytes) {
      const std::size_t space = text.find_last_of(" \n", begin + kStretchBytes - 1);
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

std::vector<TextWord> words_of(std::string_view text, std::size_t end) {
  std::vector<TextWord> words;
  for (const Range stretch : stretches_of(text, end)) {
    std::vector<Piece> pieces{{stretch, std::nullopt}};
    for (const WordRule& rule : word_rules()) pieces = claim(text, pieces, rule);
    for (const Piece& piece : pieces) {
      if (!piece.allowed) continue;  // white space
      const Range bytes = piece.bytes;
      const std::size_t clitic =
          *piece.allowed == kProseTags ? clitic_begin(text.substr(bytes.begin, bytes.size())) : 0;
      if (clitic != 0) words.push_back({{bytes.begin, bytes.begin + clitic}, kProseTags});
      words.push_back({{bytes.begin + clitic, bytes.end}, *piece.allowed});
    }
  }
  return words;
}

}  // namespace

std::vector<TextWord> find_text_words(std::string_view text, std::size_t end) {
  const AlignedText aligned = as_utf8(text, {0, text.size()});
  // A sentence that begins before `end` is over before the last of these words is: so that this one
  // word alone does not know what follows it, and may end the sentence all the same.
  const std::size_t margin = kLongestSentenceBytes + kStretchBytes;
  std::vector<TextWord> words =
      words_of(aligned.bytes(), end < text.size() ? end + margin : aligned.bytes().size());
  mark_code(aligned.bytes(), words);
  mark_sentences(aligned.bytes(), words);
  for (TextWord& word : words) word.bytes = aligned.source_of(word.bytes);
  return words;
}

}  // namespace longshadow
