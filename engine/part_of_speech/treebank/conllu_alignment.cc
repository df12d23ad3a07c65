#include "engine/part_of_speech/treebank/conllu_alignment.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <optional>

#include "engine/core/error.h"
#include "engine/text/aligned_text.h"
#include "engine/text/unicode.h"
#include "engine/text/utf8.h"
#include "engine/tokenizer/normalizer.h"

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

/// "U+0063 U+00E9" for its first characters.
std::string code_points_of(std::string_view text) {
  constexpr std::size_t kMost = 12;
  std::string list;
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) {
    const auto code_point = code_point_at(text, at);
    char hexadecimal[16];
    std::snprintf(hexadecimal, sizeof hexadecimal, code_point ? "U+%04X" : "byte %02X",
                  code_point ? static_cast<unsigned>(code_point->value)
                             : static_cast<unsigned char>(text[at]));
    if (count == kMost) return list + " ...";
    list += (list.empty() ? "" : " ") + std::string(hexadecimal);
    at += code_point ? code_point->length : 1;
  }
  return list;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string nfc(std::string_view text) {
  return to_normal_form(as_utf8(text, {0, text.size()}), NormalForm::nfc).bytes();
}

class Alignment {
 public:
  Alignment(const std::string& tags_source, const TextToAlign& text)
      : tags_source_(tags_source), text_(text), at_(behind_white_space(text.text, 0)) {}

  std::vector<TaggedWord> align(std::span<const ConlluSentence> sentences) {
    for (const ConlluSentence& sentence : sentences) {
      for (const ConlluToken& token : sentence.tokens) {
        if (at_ >= text_.end) return std::move(aligned_);
        align(sentence, token);
      }
      aligned_.back().ends_sentence = true;
    }
    if (at_ < std::min(text_.end, text_.text.size())) {
      throw Error(tags_source_ + ": expected words for all of " + text_.name +
                  ", found none from byte " + std::to_string(text_.first_byte + at_) +
                  " on: " + shown());
    }
    return std::move(aligned_);
  }

 private:
  void align(const ConlluSentence& sentence, const ConlluToken& token) {
    const auto end = end_of(token.form, text_.text, at_);
    if (!end) throw Error(misfit(token));
    const auto words = std::span(sentence.words).subspan(token.words.begin, token.words.size());
    const std::vector<Range> parts = divide(words, text_.text, {at_, *end});
    for (std::size_t i = 0; i < words.size(); ++i) {
      aligned_.push_back({parts[i], words[i].tag, false});
    }
    at_ = behind_white_space(text_.text, *end);
  }

  std::string shown() const {
    constexpr std::size_t kShownBytes = 40;
    if (at_ == text_.text.size()) return "its end";
    std::string_view rest = text_.text.substr(at_, kShownBytes);
    rest.remove_suffix(incomplete_bytes(rest));
    return quote(rest);
  }

  /// The text's next word: what stands before white space.
  std::string_view next_word() const {
    std::size_t end = at_;
    while (end < text_.text.size() && behind_white_space(text_.text, end) == end) ++end;
    return text_.text.substr(at_, end - at_);
  }

  std::string misfit(const ConlluToken& token) const {
    const std::string_view word = next_word();
    const bool shows_code_points = !is_ascii(token.form) || !is_ascii(word.substr(0, 64));
    const auto code_points = [&](std::string_view of) {
      return shows_code_points && !of.empty() ? " (" + code_points_of(of) + ")" : "";
    };
    std::string message = tags_source_ + ": line " + std::to_string(token.line) + ": expected " +
                          quote(token.form) + code_points(token.form) + " at byte " +
                          std::to_string(text_.first_byte + at_) + " of " + text_.name +
                          ", found " + shown() + code_points(word);
    // Of the word as much as the form is long: it may go on in punctuation.
    if (shows_code_points &&
        nfc(word.substr(0, 2 * token.form.size() + 8)).starts_with(nfc(token.form))) {
      message +=
          "; they differ in Unicode's normal form alone: give both the same, or tag the "
          "text as it is";
    }
    return message;
  }

  const std::string& tags_source_;
  const TextToAlign& text_;
  std::size_t at_;
  std::vector<TaggedWord> aligned_;
};

}  // namespace

std::vector<TaggedWord> align_conllu(std::span<const ConlluSentence> sentences,
                                     const std::string& tags_source, const TextToAlign& text) {
  return Alignment(tags_source, text).align(sentences);
}

}  // namespace longshadow
