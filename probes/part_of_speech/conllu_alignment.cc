#include "probes/part_of_speech/conllu_alignment.h"

#include <cstddef>
#include <optional>

#include "engine/core/error.h"
#include "engine/io/unicode.h"
#include "engine/io/utf8.h"

namespace longshadow {
namespace {

/// Where the text goes on behind `form`, which it has at byte `at`; empty where it has not.
std::optional<std::size_t> end_of(std::string_view form, std::string_view text, std::size_t at) {
  for (std::size_t i = 0; i < form.size();) {
    const std::size_t next = behind_white_space(form, i);
    if (next != i) {
      const std::size_t behind = behind_white_space(text, at);
      if (behind == at) return std::nullopt;
      i = next;
      at = behind;
    } else if (at < text.size() && text[at] == form[i]) {
      ++i;
      ++at;
    } else {
      return std::nullopt;
    }
  }
  return at;
}

/// The parts of `token` that its words spell one after the other; all of it for the first where
/// they do not.
std::vector<Range> divide(std::span<const ConlluWord> words, std::string_view text, Range token) {
  std::vector<Range> parts;
  std::size_t at = token.begin;
  for (const ConlluWord& word : words) {
    const auto end = end_of(word.form, text.substr(0, token.end), at);
    if (!end) break;
    parts.push_back({at, *end});
    at = *end;
  }
  if (parts.size() == words.size() && at == token.end) return parts;
  parts.assign(words.size(), {token.end, token.end});
  parts.front() = token;
  return parts;
}

std::string shown(std::string_view text, std::size_t at) {
  constexpr std::size_t kShownBytes = 40;
  return at == text.size() ? "its end" : quote(text.substr(at, kShownBytes));
}

std::string misfit(const std::string& tags_source, const ConlluToken& token,
                   const std::string& text_source, std::string_view text, std::size_t at) {
  return tags_source + ": line " + std::to_string(token.line) + ": expected " + quote(token.form) +
         " at byte " + std::to_string(at) + " of " + text_source + ", found " + shown(text, at);
}

}  // namespace

std::vector<TaggedWord> align_conllu(std::span<const ConlluSentence> sentences,
                                     const std::string& tags_source, std::string_view text,
                                     const std::string& text_source) {
  std::vector<TaggedWord> aligned;
  std::size_t at = behind_white_space(text, 0);
  for (const ConlluSentence& sentence : sentences) {
    for (const ConlluToken& token : sentence.tokens) {
      const auto end = end_of(token.form, text, at);
      if (!end) throw Error(misfit(tags_source, token, text_source, text, at));
      const auto words = std::span(sentence.words).subspan(token.words.begin, token.words.size());
      const std::vector<Range> parts = divide(words, text, {at, *end});
      for (std::size_t i = 0; i < words.size(); ++i) {
        aligned.push_back({parts[i], words[i].tag, false});
      }
      at = behind_white_space(text, *end);
    }
    aligned.back().ends_sentence = true;
  }
  if (at != text.size()) {
    throw Error(tags_source + ": expected words for all of " + text_source +
                ", found none from byte " + std::to_string(at) + " on: " + shown(text, at));
  }
  return aligned;
}

}  // namespace longshadow
