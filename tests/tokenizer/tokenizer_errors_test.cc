// Definitions from strangers: each is refused with one line that says where and why. Numbers are
// those of the robustness list, as in the other loaders' tests.

#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/error_of.h"
#include "tests/tokenizer/tokenizer_fixtures.h"

namespace longshadow {
namespace {

using Catch::Contains;
using Catch::StartsWith;
using nlohmann::json;
using test::error_of;

std::string refusal_of_text(const std::string& text) {
  const std::string error =
      error_of([&] { Tokenizer::from_json(bytes_of(text), "tokenizer.json"); });
  CHECK_THAT(error, StartsWith("tokenizer.json: "));
  return error;
}

/// A byte-level tokenizer of five tokens, by hand.
json tiny_json() {
  return json::parse(R"({
    "added_tokens": [{"id": 4, "content": "<s>", "single_word": false, "lstrip": false,
                      "rstrip": false, "normalized": false, "special": true}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": null,
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "c": 3}, "merges": ["a b"]}
  })");
}

struct JsonCase {
  std::string pointer;
  std::string value;
  std::string reason;
};

TEST_CASE("a tokenizer.json that is malformed or not supported is refused") {
  REQUIRE(test::from_json(tiny_json()).vocab_size() == 5);
  const std::vector<JsonCase> cases = {
      // 81, 82, 94: ids
      {"/model/vocab/c", "-1", "vocab: 'c': expected an id from 0 to "},
      {"/model/vocab/c", "3.0", "vocab: 'c': expected an id from 0 to "},
      {"/model/vocab/c", "\"3\"", "vocab: 'c': expected an id from 0 to "},
      {"/model/vocab/c", "4000000000", "found 4000000000"},
      {"/model/vocab/c", "2000000000", "found 2000000000"},
      {"/added_tokens/0/id", "2000000000", "added_tokens: entry 0: id of '<s>'"},
      {"/added_tokens/0/id", "-1", "added_tokens: entry 0: id of '<s>'"},
      {"/added_tokens/0/id", "null", "added_tokens: entry 0: id of '<s>'"},
      // 83: two tokens of one id
      {"/model/vocab/c", "0", "vocab: 'a' and 'c' have the same id 0"},
      // 84, 85: merges
      {"/model/merges/0", "\"a x\"", "merge 0 of 'a' and 'x': 'x' is not in the vocabulary"},
      {"/model/merges/0", "\"b a\"", "merge 0 of 'b' and 'a': 'ba' is not in the vocabulary"},
      {"/model/merges/0", "\"ab\"", "expected 'a b' or ['a', 'b'], found '\"ab\"'"},
      {"/model/merges/0", "\"a b c\"", "expected 'a b' or ['a', 'b']"},
      {"/model/merges/0", "[\"a\", \"b\", \"c\"]", "expected 'a b' or ['a', 'b']"},
      {"/model/merges/0", "[\"a\", 1]", "expected 'a b' or ['a', 'b']"},
      {"/model/merges/0", "7", "expected 'a b' or ['a', 'b']"},
      {"/model/merges/0", "[\"\", \"a\"]", "merge 0 of '' and 'a'"},
      {"/model/merges/0", "[\"a\", \" \"]", "it is not spelled in the byte alphabet"},
      {"/model/merges", R"(["a b", ["a", "b"]])", "merge 1 of 'a' and 'b': it is repeated"},
      // 90: unknown parts
      {"/model/type", "\"WordPiece\"",
       "model: type: expected 'BPE' or 'Unigram', found 'WordPiece'"},
      {"/model", "[]", "'model': expected an object"},
      {"/model/vocab", "[]", "'vocab': expected an object"},
      {"/model/merges", "{}", "'merges': expected an array"},
      {"/model/dropout", "0.1", "dropout is not supported"},
      {"/model/byte_fallback", "true",
       "expected Split, Digits, Metaspace or a Sequence of these, "},
      {"/model/byte_fallback", "1", "'byte_fallback': expected true or false"},
      {"/model/continuing_subword_prefix", "\"##\"", "expected none, found '##'"},
      {"/model/end_of_word_suffix", "\"</w>\"", "expected none, found '</w>'"},
      {"/model/unk_token", "\"<unk>\"", "unk_token: expected a token of the vocabulary"},
      {"/normalizer", R"({"type": "Lowercase"})",
       "normalizer: type: expected NFC, NFKC, Strip, Prepend, Replace"},
      {"/normalizer", R"({"type": "Sequence", "normalizers": [{"type": "Nmt"}]})", "found 'Nmt'"},
      {"/normalizer", R"({"type": "Strip", "strip_left": true})", "'strip_right' is missing"},
      {"/normalizer", R"({"type": "Sequence"})", "'normalizers' is missing"},
      {"/pre_tokenizer", "null", "pre_tokenizer: expected a ByteLevel step, found none"},
      {"/pre_tokenizer", R"({"type": "Metaspace"})", "found 'Metaspace'"},
      {"/pre_tokenizer", R"({"type": "Sequence", "pretokenizers": []})",
       "expected a ByteLevel step"},
      {"/pre_tokenizer",
       R"({"type": "Sequence", "pretokenizers": [
             {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
             {"type": "Digits", "individual_digits": true}]})",
       "expected nothing behind ByteLevel, found 'Digits'"},
      {"/pre_tokenizer", R"({"type": "Digits"})", "'individual_digits' is missing"},
      {"/pre_tokenizer",
       R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Merged", "invert": false})",
       "behavior: expected Removed, Isolated"},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": {}, "behavior": "Isolated"})",
       "pattern: 'String' is missing"},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": 1}, "behavior": "Isolated"})",
       "'Regex': expected a string"},
      {"/decoder", R"({"type": "Metaspace"})", "decoder: type: expected 'ByteLevel'"},
      {"/post_processor", R"({"type": "BertProcessing"})", "found 'BertProcessing'"},
      {"/post_processor",
       R"({"type": "TemplateProcessing", "special_tokens": {},
           "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]})",
       "'<s>' is missing"},
      {"/post_processor",
       R"({"type": "TemplateProcessing", "special_tokens": {"<s>": {"ids": [-1]}},
           "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]})",
       "'<s>': expected an id, found -1"},
      {"/post_processor",
       R"({"type": "TemplateProcessing", "special_tokens": {"<s>": {"ids": [4]}},
           "single": [{"SpecialToken": {"id": "<s>"}}, {"SpecialToken": {"id": "<s>"}}]})",
       "at most one special token before the text"},
      // 91: added tokens against the vocabulary and each other
      {"/added_tokens/0/id", "3", "added token 3 '<s>' has the id of 'c' in the vocabulary"},
      {"/added_tokens/0/content", "\"a\"", "added token 4 'a' is in the vocabulary as token 0"},
      {"/added_tokens/0/content", "\"\"", "added token 4 '' has no spelling"},
      {"/added_tokens/0/special", "null", "'special' is missing"},
      {"/added_tokens/0", "[]", "added_tokens: entry 0: expected an object"},
  };
  for (const JsonCase& test : cases) {
    json definition = tiny_json();
    definition[json::json_pointer(test.pointer)] = json::parse(test.value);
    INFO(test.pointer << " = " << test.value);
    CHECK_THAT(refusal_of_text(definition.dump()), Contains(test.reason));
  }

  json definition = tiny_json();
  definition["added_tokens"].push_back(definition["added_tokens"][0]);
  CHECK_THAT(refusal_of_text(definition.dump()),
             Contains("added token 4 '<s>' has the id or the spelling of another added token"));
  definition["added_tokens"][1]["id"] = 5;
  CHECK_THAT(refusal_of_text(definition.dump()), Contains("of another added token"));
}

TEST_CASE("what no strict JSON reader takes is no tokenizer.json") {
  const std::string valid = tiny_json().dump();
  const auto replaced = [&](const std::string& what, const std::string& with) {
    std::string text = valid;
    text.replace(text.find(what), what.size(), with);
    return text;
  };
  CHECK_THAT(refusal_of_text(replaced("\"a\":0", "\"a\":0,\"a\":3")), Contains("repeated"));   // 77
  CHECK_THAT(refusal_of_text("\xef\xbb\xbf" + valid), Contains("byte order mark"));            // 78
  CHECK_THAT(refusal_of_text(replaced("\"c\":3", "\"\xff\":3")), Contains("not valid JSON"));  // 78
  CHECK_THAT(refusal_of_text(replaced("\"c\":3", "\"\\ud800\":3")), Contains("surrogate"));    // 79
  CHECK_THAT(refusal_of_text(replaced("\"c\":3", "\"c\":1e400")), Contains("1e400"));          // 80
  CHECK_THAT(refusal_of_text(replaced("null", std::string(65, '[') + std::string(65, ']'))),
             Contains("deeper than 64"));  // 76
  CHECK_THAT(refusal_of_text("[]"), Contains("expected an object, found array"));
  CHECK_THAT(refusal_of_text(""), Contains("not valid JSON"));
  for (std::size_t length = 0; length < valid.size(); ++length) {
    refusal_of_text(valid.substr(0, length));
  }
}

struct GgufCase {
  std::string name;
  std::function<void(Gguf&)> spoil;
  std::string reason;
};

template <class T>
T& value_of(Gguf& gguf, const std::string& key) {
  return std::get<T>(gguf.metadata.at("tokenizer.ggml." + key));
}

TEST_CASE("a GGUF file's tokenizer that is malformed or not supported is refused") {
  using Strings = std::vector<std::string>;
  const Gguf valid = test::gguf_of(tiny_json(), "gpt-2");
  REQUIRE(test::from_gguf(valid).vocab_size() == 5);
  const auto set = [](const std::string& key, const GgufValue& value) {
    return [key, value](Gguf& gguf) { gguf.metadata["tokenizer.ggml." + key] = value; };
  };
  const auto erase = [](const std::string& key) {
    return [key](Gguf& gguf) { gguf.metadata.erase("tokenizer.ggml." + key); };
  };
  const std::vector<GgufCase> cases = {
      {"40, fewer", set("scores", std::vector<double>(4)), "scores: expected one entry for each"},
      {"40, more", set("scores", std::vector<double>(6)), "found 6"},
      {"41", set("token_type", std::vector<std::uint64_t>(5, 1)), "tokenizer.ggml.token_type"},
      {"types, fewer", set("token_type", std::vector<std::int64_t>(4, 1)), "found 4"},
      {"type 0", set("token_type", std::vector<std::int64_t>(5, 0)), "token 0 is of type 0"},
      {"type 7", set("token_type", std::vector<std::int64_t>{1, 1, 1, 1, 7}),
       "token 4 is of type 7"},
      {"negative type", set("token_type", std::vector<std::int64_t>(5, -1)), "is of type -1"},
      {"42, negative", set("bos_token_id", std::int64_t{-1}), "tokenizer.ggml.bos_token_id"},
      {"43",
       [](Gguf& gguf) {
         value_of<Strings>(gguf, "tokens")[3] = "<0x-1>";
         value_of<std::vector<std::int64_t>>(gguf, "token_type")[3] = 6;
       },
       "token 3 is of type 6, a byte token"},
      {"46, model", erase("model"), "tokenizer.ggml.model"},
      {"46, pre of another type", set("pre", std::uint64_t{1}), "tokenizer.ggml.pre"},
      {"46, tokens", erase("tokens"), "tokenizer.ggml.tokens"},
      {"46, merges", erase("merges"), "tokenizer.ggml.merges"},
      {"46, tokens of another type", set("tokens", std::string("a")), "tokenizer.ggml.tokens"},
      {"no tokens", set("tokens", Strings{}), "expected 1 to 2147483647 tokens, found 0"},
      {"model", set("model", std::string("rwkv")), "expected 'gpt2' (byte-level"},
      {"model of scores", set("model", std::string("t5")),
       "found 't5'; a Hugging Face folder of the model may have one that is read"},
      {"pre", set("pre", std::string("gpt-3")), "the nearest: gpt-2, "},
      {"83", [](Gguf& gguf) { value_of<Strings>(gguf, "tokens")[3] = "a"; },
       "token 3 'a' is spelled like token 0"},
      {"84", set("merges", Strings{"a x"}), "merge 0 of 'a' and 'x': 'x' is not in the vocabulary"},
      {"85", set("merges", Strings{"b a"}), "'ba' is not in the vocabulary"},
      {"merge of one part", set("merges", Strings{"ab"}), "expected two parts and a space"},
      {"merge of three parts", set("merges", Strings{"a b c"}), "expected two parts and a space"},
      {"merge twice", set("merges", Strings{"a b", "a b"}),
       "merge 1 of 'a' and 'b': it is repeated"},
  };
  for (const GgufCase& test : cases) {
    INFO(test.name);
    Gguf gguf = valid;
    test.spoil(gguf);
    const std::string error = error_of([&] { test::from_gguf(gguf); });
    CHECK_THAT(error, StartsWith("model.gguf: "));
    CHECK_THAT(error, Contains(test.reason));
  }
}

TEST_CASE("a beginning token that is no token is missed where a text needs it, and nowhere else") {
  json definition = tiny_json();
  for (const char* id : {"9", "18446744073709551615"}) {
    definition["post_processor"] = json::parse(
        R"({"type": "TemplateProcessing", "special_tokens": {"<s>": {"ids": [)" + std::string(id) +
        R"(]}}, "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]})");
    const Tokenizer tokenizer = test::from_json(definition);
    CHECK(tokenizer.adds_bos());
    CHECK_FALSE(tokenizer.bos());
    CHECK_THAT(error_of([&] { tokenizer.required_bos(); }),
               StartsWith("tokenizer.json: the beginning-of-sequence token's id ") &&
                   Contains("names none of the 5 tokens") && Contains("`bos` no"));
    CHECK(test::ids_of(tokenizer, "ab").size() == 1);
  }

  Gguf gguf = test::gguf_of(tiny_json(), "gpt-2");
  gguf.metadata["tokenizer.ggml.bos_token_id"] = std::uint64_t{5};
  const Tokenizer unused = test::from_gguf(gguf);
  CHECK_FALSE(unused.bos());
  REQUIRE(unused.warnings().size() == 1);
  CHECK_THAT(unused.warnings()[0], Contains("model.gguf: the beginning-of-sequence token's id 5"));
  gguf.metadata.erase("tokenizer.ggml.bos_token_id");
  gguf.metadata["tokenizer.ggml.add_bos_token"] = true;
  CHECK_THAT(error_of([&] { test::from_gguf(gguf).required_bos(); }),
             Contains("this tokenizer has no beginning-of-sequence token"));
}

}  // namespace
}  // namespace longshadow
