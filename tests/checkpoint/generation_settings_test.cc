#include "engine/checkpoint/generation_settings.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/end_tokens.h"
#include "engine/io/json.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using test::error_of;
using test::TemporaryFolder;

const fs::path kFixtures = LONGSHADOW_FIXTURES;

/// 700 tokens, of which 0 is <|endoftext|>.
Tokenizer small_tokenizer() {
  std::ifstream file(kFixtures / "tokenizer/gpt-2.json", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return Tokenizer::from_json(bytes_of(text), "tokenizer.json");
}

using Ids = std::vector<TokenId>;

TEST_CASE("a folder's end tokens are generation_config.json's, or else config.json's") {
  const TemporaryFolder folder;
  const Tokenizer tokenizer = small_tokenizer();
  const auto end_tokens = [&] { return generation_settings(folder.path(), tokenizer).end_tokens; };
  CHECK(end_tokens().empty());
  folder.write("config.json", R"({"eos_token_id": 3})");
  CHECK(end_tokens() == Ids{3});
  folder.write("generation_config.json", R"({"eos_token_id": null})");
  CHECK(end_tokens() == Ids{3});
  folder.write("generation_config.json", R"({"eos_token_id": [5, 4, 5]})");
  CHECK(end_tokens() == Ids{5, 4});
  folder.write("generation_config.json", R"({"eos_token_id": [700, 4, -1, 18446744073709551615]})");
  CHECK(end_tokens() == Ids{4});
  const auto notes = generation_settings(folder.path(), tokenizer).warnings;
  REQUIRE(notes.size() == 3);
  CHECK_THAT(notes[0], Contains("generation_config.json: eos_token_id: 700 is none of the 700"));
  CHECK_THAT(notes[1], Contains("-1 is none"));
  for (const std::string wrong : {"1.5", "\"a\"", "[[1]]", "true"}) {
    INFO(wrong);
    folder.write("generation_config.json", R"({"eos_token_id": )" + wrong + "}");
    CHECK_THAT(error_of(end_tokens), Contains("generation_config.json: eos_token_id: expected"));
  }
}

TEST_CASE("what a folder says of writing is generation_config.json's, or else config.json's") {
  const TemporaryFolder folder;
  const Tokenizer tokenizer = small_tokenizer();
  const auto settings = [&] { return generation_settings(folder.path(), tokenizer); };
  CHECK_FALSE(settings().repetition_penalty);
  folder.write("config.json", R"({"repetition_penalty": 1.5, "model_type": "llama"})");
  CHECK(settings().repetition_penalty == 1.5);
  CHECK_THAT(settings().source, Catch::EndsWith("/config.json"));
  folder.write("generation_config.json", R"({
    "repetition_penalty": 2, "do_sample": true, "temperature": 0.7, "top_p": 1.0, "top_k": 20,
    "min_p": null, "no_repeat_ngram_size": 3, "bad_words_ids": [[1]], "suppress_tokens": [],
    "num_beams": 1, "max_length": 20, "stop_strings": "", "renormalize_logits": true})");
  CHECK(settings().repetition_penalty == 2);
  CHECK_THAT(settings().source, Catch::EndsWith("/generation_config.json"));
  CHECK(settings().samples);
  std::string unapplied;
  for (const WritingSetting& setting : settings().unapplied) {
    unapplied += setting.key + " " + setting.value + (setting.sampling_only ? "; " : "! ");
  }
  CHECK(unapplied == "temperature 0.7; top_k 20; no_repeat_ngram_size 3! bad_words_ids [[1]]! ");
  folder.write("generation_config.json", R"({"repetition_penalty": "x", "do_sample": false})");
  CHECK(std::isnan(*settings().repetition_penalty));
  CHECK_FALSE(settings().samples);
  folder.write("generation_config.json", "[]");
  CHECK_FALSE(settings().repetition_penalty);
}

TEST_CASE("a GGUF file's end tokens and samplers are its metadata's") {
  const Tokenizer tokenizer = small_tokenizer();
  Gguf gguf;
  gguf.source = "model.gguf";
  CHECK(generation_settings(gguf, tokenizer).end_tokens.empty());
  gguf.metadata = {{"tokenizer.ggml.eos_token_id", std::uint64_t{0}},
                   {"tokenizer.ggml.eot_token_id", std::uint64_t{7}}};
  const GenerationSettings settings = generation_settings(gguf, tokenizer);
  CHECK(settings.end_tokens == Ids{0, 7});
  CHECK_FALSE(settings.samples);
  gguf.metadata["tokenizer.ggml.eos_token_id"] = std::uint64_t{1} << 32;
  gguf.metadata["general.sampling.top_k"] = std::int64_t{40};
  gguf.metadata["general.sampling.penalty_repeat"] = 1.5;
  const GenerationSettings other = generation_settings(gguf, tokenizer);
  CHECK(other.end_tokens == Ids{7});
  REQUIRE(other.warnings.size() == 1);
  CHECK_THAT(other.warnings[0],
             Contains("model.gguf: tokenizer.ggml.eos_token_id") && Contains("4294967296"));
  CHECK(other.samples);
  CHECK_FALSE(other.repetition_penalty);
  REQUIRE(other.unapplied.size() == 2);
  CHECK(other.unapplied[0].key == "top_k");
  CHECK(other.unapplied[1].value == "1.5");
}

TEST_CASE("all tokens that llama.cpp takes for an end of generation end a GGUF model's text") {
  const Tokenizer tokenizer = small_tokenizer();
  const auto ends = [&](std::vector<std::string> tokens,
                        std::map<std::string, std::uint64_t> ids = {}) {
    Gguf gguf;
    gguf.source = "model.gguf";
    gguf.metadata["tokenizer.ggml.tokens"] = std::move(tokens);
    for (const auto& [name, id] : ids) {
      gguf.metadata["tokenizer.ggml." + name + "_token_id"] = id;
    }
    return end_tokens(gguf, tokenizer).ids;
  };
  CHECK(ends({"a", "b"}).empty());
  CHECK(ends({"<|endoftext|>", "a", "<|im_start|>", "<|im_end|>"}, {{"eos", 3}}) == Ids{3, 0});
  CHECK(ends({"<|eom_id|>", "<|eot_id|>", "<|end_of_text|>", "eot_id", "<｜end▁of▁sentence｜>"}) ==
        Ids{0, 1, 2, 4});
  CHECK(ends({"<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|fim_middle|>"}) == Ids{0, 1, 2});
  CHECK(ends({"<|fim_pad|>", "x", "<reponame>"}, {{"fim_pad", 1}}) == Ids{1, 2});
  // Of OpenAI's Harmony and of Gemma 4: what ends a part of an answer.
  CHECK(ends({"<|end|>", "<|return|>"}) == Ids{0, 1});
  CHECK(ends({"<|end|>", "<|return|>", "<|call|>"}) == Ids{1, 2});
  CHECK(ends({"<|end|>", "<|flush|>", "<|calls|>"}) == Ids{1, 2});
  CHECK(ends({"</s>", "<turn|>"}) == Ids{0, 1});
  CHECK(ends({"</s>", "<|tool_response>", "<turn|>"}, {{"eos", 0}}) == Ids{1, 2});
}

TEST_CASE("rows with which an embedding matrix is padded are no token's") {
  for (const char* name : {"models/qwen2", "models/qwen2.gguf"}) {
    INFO(name);
    const auto checkpoint = open_checkpoint(kFixtures / name);
    REQUIRE(checkpoint->config().vocab_size == 328);
    for (TokenId id = -1; id <= 328; ++id) {
      CHECK(checkpoint->tokenizer().is_unused(id) == (id < 0 || id >= 320));
    }
  }
}

TEST_CASE("both formats of a tiny model end at the same token") {
  const auto folder = open_checkpoint(kFixtures / "models/llama_llama3");
  const auto file = open_checkpoint(kFixtures / "models/llama_llama3.gguf");
  CHECK(folder->generation().end_tokens.size() == 1);
  CHECK(folder->generation().end_tokens == file->generation().end_tokens);
  CHECK(file->generation().chat.special_tokens.at("bos_token") == "<|begin_of_text|>");
  CHECK(file->generation().chat.special_tokens.at("eos_token") == "<|end_of_text|>");
}

}  // namespace
}  // namespace longshadow
