// Whole texts through the committed weights and a model's own tokenizer.

#include "engine/part_of_speech/tagger.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/io/gguf.h"
#include "engine/part_of_speech/token_tags.h"
#include "engine/part_of_speech/weights_file.h"
#include "engine/part_of_speech/words/code_regions.h"
#include "engine/part_of_speech/words/sentences.h"
#include "tests/part_of_speech/treebank.h"
#include "tests/support/skip.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;
using enum UniversalTag;

const fs::path kData = fs::path(LONGSHADOW_FIXTURES).parent_path();
const fs::path kSmolLm2 = kData / "models/SmolLM2-135M-Instruct.Q4_1.gguf";

const Perceptron& committed() {
  static const Perceptron kPerceptron = load_weights(kData / "part_of_speech/english_ewt.tagger");
  return kPerceptron;
}

/// "form/TAG form/TAG"
std::string tagged(const std::string& text) {
  std::string result;
  for (const TaggedWord& word : tag_text(committed(), text)) {
    if (!result.empty()) result += ' ';
    result += text.substr(word.bytes.begin, word.bytes.size()) + "/";
    result += name_of(word.tag);
  }
  return result;
}

TEST_CASE("plain English is tagged") {
  CHECK(tagged("The old man can't swim; he sold 3 boats to Mary yesterday.") ==
        "The/DET old/ADJ man/NOUN ca/AUX n't/PART swim/VERB ;/PUNCT he/PRON sold/VERB 3/NUM "
        "boats/NOUN to/ADP Mary/PROPN yesterday/NOUN ./PUNCT");
}

TEST_CASE("markup, code, emoji and other scripts get no noun's tag") {
  CHECK(tagged("<b>Dogs</b> run `make all` \U0001f600 \u05e9\u05dc\u05d5\u05dd \xff!") ==
        "<b>/X Dogs/NOUN </b>/X run/VERB `/PUNCT make/X all/X `/PUNCT \U0001f600/SYM "
        "\u05e9\u05dc\u05d5\u05dd/X \xff/SYM !/PUNCT");
}

/// What find_text_words() promises of a text that goes on: the words and tags that the whole has.
void check_beginning(const std::string& text, const std::vector<TaggedWord>& whole,
                     std::size_t end) {
  const std::vector<TaggedWord> found =
      tag_text(committed(), std::string_view(text).substr(0, end + kTextBehind), end);
  const auto is_same = [](const TaggedWord& a, const TaggedWord& b) {
    return a.bytes == b.bytes && a.tag == b.tag && a.ends_sentence == b.ends_sentence;
  };
  INFO("end " << end);
  REQUIRE(found.size() <= whole.size());
  CHECK(std::equal(found.begin(), found.end(), whole.begin(), is_same));
  const bool is_enough = found.size() == whole.size() || whole[found.size()].bytes.begin >= end;
  CHECK(is_enough);
}

TEST_CASE("a beginning's words have the whole text's tags") {
  const std::string article = test::read_text(kData / "documents/how_a_cache_forgets.txt");
  std::string one_line;  // no sentence ends in it
  for (const char c : article) one_line += c == '\n' || c == '.' ? ' ' : c;
  const std::string spaces(60'000, ' ');
  for (const std::string& start :
       {std::string(), std::string("```\ncode that goes on\n"), std::string("a `tick "),
        std::string("~~~\n` x\n"), one_line, spaces}) {
    std::string text = start;
    for (const std::string& part : {article, one_line, spaces, std::string("\n```\n"), article,
                                    std::string("end` of it `` here\n")}) {
      text += part;
    }
    while (text.size() < kTextBehind + kTextBehind / 2) text += article;
    const std::vector<TaggedWord> whole = tag_text(committed(), text);
    for (const std::size_t end : {std::size_t{7}, start.size() + 5000}) {
      check_beginning(text, whole, end);
    }
  }
}

TEST_CASE("a sentence and a stretch of code end somewhere") {
  std::string numbers;
  while (numbers.size() < 3 * kLongestSentenceBytes) numbers += "12 ";
  const std::vector<TaggedWord> words = tag_text(committed(), numbers);
  std::size_t begin = 0;
  for (const TaggedWord& word : words) {
    REQUIRE(word.bytes.end - begin <= kLongestSentenceBytes);
    if (word.ends_sentence) begin = word.bytes.end + 1;
  }
  const std::string line = "make all\n";
  std::string code = "```\n" + line;
  const auto first_tag = [&](const std::string& text) {
    for (const TaggedWord& word : tag_text(committed(), text, 20)) {
      if (text.compare(word.bytes.begin, 4, "make") == 0) return word.tag;
    }
    return none;
  };
  CHECK(first_tag(code + "```\n") == x);
  while (code.size() < kLongestCodeBytes + 100) code += line;
  CHECK(first_tag(code + "```\n") == verb);
}

/// What must hold of any text's words and any tokens of it.
void check_projection(const std::string& text, const std::vector<Token>& tokens) {
  const std::vector<TaggedWord> words = tag_text(committed(), text);
  for (const TaggedWord& word : words) REQUIRE(index_of(word.tag) < kWordTags);
  const std::vector<TokenTag> tags = project(words, tokens);
  REQUIRE(tags.size() == tokens.size());
  std::int32_t last_word = -1;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const TokenTag& tag = tags[i];
    if (tag.word == TokenTag::kNoWord) {
      REQUIRE(tag.tag == none);
      REQUIRE_FALSE(tag.begins_word);
      for (std::size_t b = tokens[i].begin; b < tokens[i].end; ++b) {
        REQUIRE(static_cast<unsigned char>(text[b]) <= ' ');
      }
      continue;
    }
    REQUIRE(tag.word >= last_word);
    REQUIRE(tag.begins_word == (tag.word != last_word));
    last_word = tag.word;
    const TaggedWord& word = words.at(static_cast<std::size_t>(tag.word));
    REQUIRE(tag.tag == word.tag);
    REQUIRE(word.bytes.begin < tokens[i].end);
    REQUIRE(word.bytes.end > tokens[i].begin);
  }
}

/// Tokens of three bytes each, wherever characters end.
std::vector<Token> three_bytes_each(const std::string& text) {
  std::vector<Token> tokens;
  for (std::size_t at = 0; at < text.size(); at += 3) {
    tokens.push_back({1, at, std::min(at + 3, text.size())});
  }
  return tokens;
}

TEST_CASE("HTML, emoji, right-to-left text, code and stray bytes are projected on tokens") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  for (const std::string& text :
       {std::string("<!-- x --><p dir=\"rtl\">\u05e9\u05dc\u05d5\u05dd &amp; "
                    "\u0645\u0631\u062d\u0628\u0627</p>"),
        std::string(
            "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea ok \u2764\ufe0f"),
        std::string("```\nint main() { return a->b[i] << 3; }\n```\n"), bytes, std::string("\xc3"),
        std::string()}) {
    check_projection(text, three_bytes_each(text));
  }
}

TEST_CASE("every token of whole documents is in its word, by SmolLM2's tokenizer") {
  const fs::path documents = fs::path(LONGSHADOW_SHARED) / "data/docs";
  if (!fs::exists(kSmolLm2) || !fs::exists(documents)) {
    return test::skip("no " + documents.string() + " or no " + kSmolLm2.string());
  }
  const MappedFile file(kSmolLm2);
  const Tokenizer tokenizer = Tokenizer::from_gguf(parse_gguf(file.bytes(), kSmolLm2), kSmolLm2);
  std::size_t n_documents = 0;
  for (const auto& entry : fs::directory_iterator(documents)) {
    if (entry.path().extension() != ".txt") continue;
    INFO(entry.path());
    const std::string text = test::read_text(entry.path());
    const std::vector<Token> tokens = tokenizer.encode(text);
    std::string joined;
    for (const Token& token : tokens) joined += text.substr(token.begin, token.end - token.begin);
    CHECK(joined == text);
    check_projection(text, tokens);
    ++n_documents;
  }
  CHECK(n_documents == 18);
}

}  // namespace
}  // namespace longshadow
