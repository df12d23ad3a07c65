#include "engine/part_of_speech/token_tags.h"

#include <algorithm>
#include <cstddef>

namespace longshadow {

namespace {

/// Sets the tags' `sentence`.
void count_sentences(std::span<const TaggedWord> words, std::span<const Token> tokens,
                     std::span<TokenTag> tags) {
  std::int32_t sentence = 0;
  std::size_t next = 1;  // word: no later sentence begins before it
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    bool begins = false;
    for (; next < words.size() && words[next].bytes.begin < tokens[i].end; ++next) {
      if (!words[next - 1].ends_sentence) continue;
      if (tokens[i].begin < words[next - 1].bytes.end) break;
      begins = true;
    }
    if (begins && i > 0) ++sentence;
    tags[i].sentence = sentence;
  }
}

}  // namespace

std::vector<TokenTag> project(std::span<const TaggedWord> words, std::span<const Token> tokens) {
  std::vector<TokenTag> projected;
  projected.reserve(tokens.size());
  std::size_t first = 0;  // no word before it reaches into this token or a later one
  std::int32_t last_word = TokenTag::kNoWord;
  for (const Token& token : tokens) {
    while (first < words.size() && words[first].bytes.end <= token.begin) ++first;
    TokenTag found;
    std::size_t most = 0;
    for (std::size_t w = first; w < words.size() && words[w].bytes.begin < token.end; ++w) {
      const Range word = words[w].bytes;
      const std::size_t end = std::min(word.end, token.end);
      const std::size_t begin = std::max(word.begin, token.begin);
      if (begin < end && end - begin > most) {
        most = end - begin;
        found = {words[w].tag, static_cast<std::int32_t>(w), false};
      }
    }
    found.begins_word = found.word != TokenTag::kNoWord && found.word != last_word;
    if (found.begins_word) last_word = found.word;
    projected.push_back(found);
  }
  count_sentences(words, tokens, projected);
  return projected;
}

}  // namespace longshadow
