// A CoNLL-U file, and behind a NUL the text that it tags.
#include "engine/part_of_speech/conllu.h"

#include "engine/core/error.h"
#include "engine/part_of_speech/treebank/conllu_alignment.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longshadow;
  const auto [tags, text] = fuzz::halves_of(fuzz::text_of(data, size));
  fuzz::answers<Error>([&, tags = tags, text = text] {
    const auto sentences = read_conllu(tags, "tags.conllu", MissingTags::allowed);
    for (const TaggedWord& word : align_conllu(sentences, "tags.conllu", {text, "text.txt"})) {
      fuzz::require(word.bytes.begin <= word.bytes.end && word.bytes.end <= text.size());
    }
  });
  return 0;
}
