#include "probes/documents/document.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/core/sha256.h"
#include "engine/io/mapped_file.h"
#include "engine/part_of_speech/tagger.h"
#include "engine/part_of_speech/token_tags.h"
#include "engine/part_of_speech/weights_file.h"
#include "probes/documents/document_name.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;

const fs::path kData = fs::path(LONGSHADOW_FIXTURES).parent_path();

Tokenizer tokenizer_named(const std::string& name) {
  const fs::path path = kData / "fixtures/tokenizer" / (name + ".json");
  return Tokenizer::from_json(MappedFile(path).bytes(), path);
}

std::vector<fs::path> documents() {
  std::vector<fs::path> paths = {kData / "documents/how_a_cache_forgets.txt"};
  const fs::path folder = fs::path(LONGSHADOW_SHARED) / "data/docs";
  if (!fs::exists(folder)) return paths;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  return paths;
}

TEST_CASE("a document's first tokens and their tags are those of the whole") {
  const Perceptron perceptron = load_weights(kData / "part_of_speech/english_ewt.tagger");
  constexpr std::size_t kTokens = 700;
  for (const fs::path& path : documents()) {
    INFO(path.string());
    const MappedFile file(path);
    const std::string text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    const std::vector<TaggedWord> words = tag_text(perceptron, text);
    for (const std::string name : {"smollm", "qwen2", "llama-bpe", "sentencepiece", "unigram"}) {
      const Tokenizer tokenizer = tokenizer_named(name);
      const std::vector<Token> whole = tokenizer.encode(text);
      const Document document =
          read_document(path, "a", tokenizer, SpecialTokens::as_text, BosPolicy::no, kTokens);
      REQUIRE(document.tokens.size() == kTokens);
      CHECK(document.source_sha256 == sha256_hex(file.bytes()));
      const std::vector<TokenTag> tags = project(words, whole);
      const std::vector<TokenTag> found =
          project(tag_text(perceptron, document.text, document.tokens_end()), document.tokens);
      for (std::size_t i = 0; i < kTokens; ++i) {
        const Token& token = document.tokens[i];
        const bool is_same = token.id == whole[i].id && token.begin == whole[i].begin &&
                             token.end == whole[i].end && found[i].tag == tags[i].tag &&
                             found[i].word == tags[i].word;
        INFO(name << ", token " << i);
        REQUIRE(is_same);
      }
    }
  }
}

TEST_CASE("a short document is read as a whole, whatever is asked for") {
  const test::TemporaryFolder folder;
  const fs::path path = folder.write("a.txt", "\xef\xbb\xbfIt is so.\n");
  const Tokenizer tokenizer = tokenizer_named("gpt-2");
  const Document document =
      read_document(path, "a", tokenizer, SpecialTokens::as_text, BosPolicy::no, 1000);
  CHECK(document.is_whole);
  CHECK(document.text == "It is so.\n");
  CHECK(document.mark_bytes == 3);
  CHECK(document.tokens_end() == document.text.size());
  const Document first =
      read_document(path, "a", tokenizer, SpecialTokens::as_text, BosPolicy::no, 3);
  CHECK(first.tokens.size() == 3);
  CHECK(first.tokens[2].id == document.tokens[2].id);
}

TEST_CASE("documents' names are told apart") {
  const auto names = [](std::vector<std::string> paths) { return document_names(paths); };
  using Names = std::vector<std::string>;
  CHECK(names({"/a/b/x", "/a/c/x", "y"}) == Names{"b+x", "c+x", "y"});
  CHECK(names({"/a/b/x", "/c/b/x", "/x"}) == Names{"a+b+x", "c+b+x", "x"});
  CHECK(names({"-", "/a/stdin"}) == Names{"stdin", "a+stdin"});
  CHECK(names({"/nowhere/dev/fd/63", "/dev/fd/0"}) == Names{"63", "stdin"});
  CHECK(names({"/proc/self/fd/999"}) == Names{"fd999"});
  CHECK_THAT(test::error_of([&] {
               names({"/b+x", "/a/b/x", "/x", "/b/x"});
             }),
             Contains("different names"));
}

}  // namespace
}  // namespace longshadow
