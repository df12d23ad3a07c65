#include "engine/checkpoint/chat_settings.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "engine/io/json.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::error_of;
using test::TemporaryFolder;
using Texts = std::map<std::string, std::string>;

TEST_CASE("a folder's chat templates are files, or else one text or several with names") {
  const TemporaryFolder folder;
  const auto templates = [&] { return chat_settings(folder.path()).templates; };
  CHECK(templates().empty());
  folder.write("tokenizer_config.json", R"({"chat_template": "one"})");
  CHECK(templates() == Texts{{"default", "one"}});
  folder.write("tokenizer_config.json",
               R"({"chat_template": [{"name": "tool_use", "template": "a"},
                                     {"name": "default", "template": "b"}]})");
  CHECK(templates() == Texts{{"default", "b"}, {"tool_use", "a"}});
  folder.write("chat_template.jinja", "file");
  CHECK(templates() == Texts{{"default", "file"}});
  std::filesystem::create_directory(folder.path() / "additional_chat_templates");
  folder.write("additional_chat_templates/tool_use.jinja", "tools");
  folder.write("additional_chat_templates/notes.txt", "none");
  CHECK(templates() == Texts{{"default", "file"}, {"tool_use", "tools"}});
  folder.write("tokenizer_config.json", R"({"chat_template": 1})");
  CHECK_THAT(error_of(templates), Contains("tokenizer_config.json: 'chat_template'"));
  folder.write("tokenizer_config.json", R"({"chat_template": [{"template": "a"}]})");
  CHECK_THAT(error_of(templates), Contains("tokenizer_config.json: chat_template: 'name'"));
  folder.write("tokenizer_config.json", "[]");
  CHECK_THAT(error_of(templates), Contains("tokenizer_config.json: expected an object"));
}

TEST_CASE("a folder's special tokens are all that its tokenizer_config.json names") {
  const TemporaryFolder folder;
  const auto tokens = [&] { return chat_settings(folder.path()).special_tokens; };
  CHECK(tokens().empty());
  folder.write("special_tokens_map.json",
               R"({"bos_token": "<old>", "cls_token": {"content": "c"}})");
  CHECK(tokens() == Texts{{"bos_token", "<old>"}, {"cls_token", "c"}});
  folder.write("tokenizer_config.json",
               R"({"added_tokens_decoder": {}, "bos_token": null, "eos_token": {"content": "</s>"},
                   "pad_token": "<pad>", "image_token": "<image>", "add_bos_token": true,
                   "model_max_length": 8, "extra_special_tokens": {"think": "<think>"}})");
  CHECK(tokens() == Texts{{"eos_token", "</s>"},
                          {"image_token", "<image>"},
                          {"pad_token", "<pad>"},
                          {"think", "<think>"}});
  folder.write("tokenizer_config.json", R"({"eos_token": 7})");
  CHECK_THAT(error_of(tokens), Contains("tokenizer_config.json: 'eos_token': expected a string"));
}

TEST_CASE("a GGUF file's chat templates and special tokens are its metadata's") {
  std::ifstream file(LONGSHADOW_FIXTURES "/tokenizer/gpt-2.json", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const Tokenizer tokenizer = Tokenizer::from_json(bytes_of(text), "tokenizer.json");
  Gguf gguf;
  CHECK(chat_settings(gguf, tokenizer).templates.empty());
  gguf.metadata = {{"tokenizer.ggml.eos_token_id", std::uint64_t{0}},
                   {"tokenizer.ggml.padding_token_id", std::uint64_t{0}},
                   {"tokenizer.ggml.mask_token_id", std::uint64_t{1} << 32},
                   {"tokenizer.chat_template", std::string("text")},
                   {"tokenizer.chat_template.tool_use", std::string("tools")}};
  const ChatSettings settings = chat_settings(gguf, tokenizer);
  CHECK(settings.templates == Texts{{"default", "text"}, {"tool_use", "tools"}});
  CHECK(settings.special_tokens ==
        Texts{{"eos_token", "<|endoftext|>"}, {"pad_token", "<|endoftext|>"}});
}

}  // namespace
}  // namespace longshadow
