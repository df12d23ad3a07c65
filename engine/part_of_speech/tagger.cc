#include "engine/part_of_speech/tagger.h"

#include <string>

#include "engine/part_of_speech/words/words.h"
#include "engine/text/aligned_text.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

/// The word's bytes; U+FFFD for those that are not UTF-8.
std::string form_of(std::string_view text, Range bytes) {
  const std::string_view form = text.substr(bytes.begin, bytes.size());
  return is_utf8(form) ? std::string(form) : as_utf8(text, bytes).bytes();
}

}  // namespace

std::vector<TaggedWord> tag_text(const Perceptron& perceptron, std::string_view text,
                                 std::size_t end) {
  std::vector<TaggedWord> tagged;
  std::vector<std::string> forms;
  std::vector<TagSet> allowed;
  for (const TextWord& word : find_text_words(text, end)) {
    if (forms.empty() && word.bytes.begin >= end) break;
    tagged.push_back({word.bytes, UniversalTag::none, word.ends_sentence});
    forms.push_back(form_of(text, word.bytes));
    allowed.push_back(word.allowed);
    if (!word.ends_sentence) continue;
    const std::vector<std::string_view> sentence(forms.begin(), forms.end());
    const std::vector<UniversalTag> tags = perceptron.tag(sentence, allowed);
    for (std::size_t i = 0; i < tags.size(); ++i) {
      tagged[tagged.size() - tags.size() + i].tag = tags[i];
    }
    forms.clear();
    allowed.clear();
  }
  return tagged;
}

}  // namespace longshadow
