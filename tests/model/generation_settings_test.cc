#include "engine/model/generation_settings.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/io/json.h"
#include "engine/model/checkpoint.h"
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
  for (const std::string wrong : {"-1", "1.5", "\"a\"", "[[1]]", "[700]"}) {
    INFO(wrong);
    folder.write("generation_config.json", R"({"eos_token_id": )" + wrong + "}");
    CHECK_THAT(error_of(end_tokens), Contains("generation_config.json: eos_token_id: expected"));
  }
}

TEST_CASE("a GGUF file's end tokens are its metadata's") {
  const Tokenizer tokenizer = small_tokenizer();
  Gguf gguf;
  gguf.source = "model.gguf";
  CHECK(generation_settings(gguf, tokenizer).end_tokens.empty());
  gguf.metadata = {{"tokenizer.ggml.eos_token_id", std::uint64_t{0}},
                   {"tokenizer.ggml.eot_token_id", std::uint64_t{7}}};
  const GenerationSettings settings = generation_settings(gguf, tokenizer);
  CHECK(settings.end_tokens == Ids{0, 7});
  gguf.metadata["tokenizer.ggml.eos_token_id"] = std::uint64_t{1} << 32;
  CHECK_THAT(error_of([&] { generation_settings(gguf, tokenizer); }),
             Contains("model.gguf: tokenizer.ggml.eos_token_id") && Contains("4294967296"));
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
