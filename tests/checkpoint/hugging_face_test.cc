// Hugging Face folders as they lie on people's disks.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/model_name.h"
#include "engine/io/mapped_file.h"
#include "engine/io/safetensors.h"
#include "engine/model/weights.h"
#include "tests/support/error_of.h"
#include "tests/support/safetensors_builder.h"
#include "tests/support/temporary_folder.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using nlohmann::json;
using test::error_of;
using test::TemporaryFolder;

const fs::path kModels = LONGSHADOW_FIXTURES "/models";
constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";

struct Entry {
  std::string name, dtype;
  std::vector<std::size_t> shape;
  std::vector<std::byte> data;
};

/// A copy of llama_linear, whose embeddings are tied and whose weights are F32, to be changed.
class ChangedFolder {
 public:
  ChangedFolder() {
    fs::copy(kModels / "llama_linear", path());
    const MappedFile file(path() / "model.safetensors");
    for (const StoredTensor& tensor : parse_safetensors(file.bytes(), "").tensors) {
      entries.push_back(
          {tensor.name, "F32", tensor.shape, {tensor.data.begin(), tensor.data.end()}});
    }
  }

  const fs::path& path() const { return folder_.path(); }
  Entry& entry(const std::string& name) { return *std::ranges::find(entries, name, &Entry::name); }
  void add(Entry entry) { entries.push_back(std::move(entry)); }
  void configure(const char* members) const {
    std::ifstream stream(path() / "config.json");
    json config = json::parse(stream);
    config.update(json::parse(members));
    folder_.write("config.json", config.dump());
  }
  void write(const std::string& name, const std::string& text) const { folder_.write(name, text); }

  std::unique_ptr<Checkpoint> open() {
    save("model.safetensors");
    return open_checkpoint(path());
  }
  void save(const std::string& name) {
    json header;
    std::vector<std::byte> data;
    for (const Entry& each : entries) {
      header[each.name] = {{"dtype", each.dtype},
                           {"shape", each.shape},
                           {"data_offsets", {data.size(), data.size() + each.data.size()}}};
      data.insert(data.end(), each.data.begin(), each.data.end());
    }
    std::vector<std::byte> file = test::safetensors_file(header.dump(), 0);
    file.insert(file.end(), data.begin(), data.end());
    folder_.write(name, file);
  }

  std::vector<Entry> entries;

 private:
  TemporaryFolder folder_;
};

std::vector<float> read(const Checkpoint& checkpoint, WeightKind kind) {
  for (const WeightName& weight : weight_table(checkpoint.config())) {
    if (weight.kind != kind) continue;
    std::vector<float> values(weight.rows * weight.cols);
    checkpoint.read(weight, values);
    return values;
  }
  return {};
}

/// The same numbers in half the bytes: the fixture's fit into bf16.
std::vector<std::byte> as_bf16(const std::vector<std::byte>& f32) {
  std::vector<std::byte> halves;
  for (std::size_t i = 0; i < f32.size(); i += 4) {
    REQUIRE((f32[i] == std::byte{0} && f32[i + 1] == std::byte{0}));
    halves.insert(halves.end(), {f32[i + 2], f32[i + 3]});
  }
  return halves;
}

TEST_CASE("tied embeddings may be stored under either name, or under both") {
  const std::vector<float> expected =
      read(*open_checkpoint(kModels / "llama_linear"), WeightKind::token_embedding);
  ChangedFolder folder;
  SECTION("the head alone") { folder.entry(kEmbedding).name = kHead; }
  SECTION("both") {
    folder.add(folder.entry(kEmbedding));
    folder.entries.back().name = kHead;
  }
  SECTION("both, in two types") {
    Entry head = folder.entry(kEmbedding);
    folder.add({kHead, "BF16", head.shape, as_bf16(head.data)});
  }
  SECTION("the embedding, and an index that names a head and knows no buffer") {
    folder.add(
        {"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {8}, std::vector<std::byte>(32)});
    folder.save("only.safetensors");
    fs::remove(folder.path() / "model.safetensors");
    json index;
    index["weight_map"][kHead] = "only.safetensors";
    for (const Entry& each : folder.entries) {
      if (each.name.ends_with(".weight")) index["weight_map"][each.name] = "only.safetensors";
    }
    folder.write("model.safetensors.index.json", index.dump());
    const auto checkpoint = open_checkpoint(folder.path());
    CHECK(read(*checkpoint, WeightKind::token_embedding) == expected);
    CHECK(checkpoint->warnings().empty());
  }
  const auto checkpoint = folder.open();
  CHECK(checkpoint->config().tied_embeddings);
  CHECK(checkpoint->warnings().empty());
  CHECK(read(*checkpoint, WeightKind::token_embedding) == expected);
}

TEST_CASE("a stored head that differs from tied embeddings is used, and told of") {
  ChangedFolder folder;
  Entry head = folder.entry(kEmbedding);
  head.name = kHead;
  SECTION("in one value") { head.data[4 * 48 + 3] ^= std::byte{0x80}; }
  SECTION("in another type") {
    head.dtype = "BF16";
    head.data = as_bf16(head.data);
    head.data.back() ^= std::byte{0x80};
  }
  folder.add(std::move(head));
  const auto checkpoint = folder.open();
  CHECK_FALSE(checkpoint->config().tied_embeddings);
  REQUIRE(checkpoint->warnings().size() == 1);
  CHECK_THAT(checkpoint->warnings()[0],
             Contains(folder.path().string()) && Contains("another lm_head.weight is stored"));
  const std::vector<float> embedding = read(*checkpoint, WeightKind::token_embedding);
  const std::vector<float> output = read(*checkpoint, WeightKind::output);
  REQUIRE(embedding.size() == output.size());
  std::size_t n_different = 0;
  for (std::size_t i = 0; i < output.size(); ++i) n_different += embedding[i] != output[i] ? 1 : 0;
  CHECK(n_different == 1);
}

TEST_CASE("buffers beside the weights refuse no file, whatever they hold") {
  ChangedFolder folder;
  folder.add({"model.rotary_emb.inv_freq", "F32", {2}, std::vector<std::byte>(8)});
  folder.add({"model.layers.1.self_attn.masked_bias", "F16", {}, std::vector<std::byte>(2)});
  folder.add({"model.layers.1.self_attn.bias", "BOOL", {1, 1, 2, 2}, std::vector<std::byte>(4)});
  folder.add({"model.layers.1.self_attn.attn.bias", "U8", {4}, std::vector<std::byte>(4)});
  folder.add({"model.embeddings.position_ids", "I64", {2}, std::vector<std::byte>(16)});
  CHECK(folder.open()->warnings().empty());

  folder.add({"model.layers.1.scale", "F32", {1}, std::vector<std::byte>(4)});
  const std::vector<std::string> warnings = folder.open()->warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Contains("'model.layers.1.scale' is left aside"));
}

TEST_CASE("weights that are not computed or not read refuse a file") {
  ChangedFolder folder;
  SECTION("a norm of queries") {
    folder.add({"model.layers.0.self_attn.q_norm.weight", "F32", {16}, std::vector<std::byte>(64)});
    CHECK_THAT(error_of([&] { folder.open(); }),
               Contains("q_norm.weight' is not part of a llama model"));
  }
  SECTION("a weight of integers") {
    folder.entry("model.norm.weight").dtype = "I32";
    CHECK_THAT(error_of([&] { folder.open(); }),
               Contains("'model.norm.weight': the dtype 'I32' is not supported"));
  }
  SECTION("a head of 8-bit floats beside tied embeddings") {
    folder.add({kHead, "F8_E4M3", {320, 48}, std::vector<std::byte>(320 * 48)});
    CHECK_THAT(error_of([&] { folder.open(); }), Contains("'lm_head.weight': the dtype 'F8_E4M3'"));
  }
}

TEST_CASE("a tokenizer may know more tokens than the model embeds") {
  ChangedFolder folder;
  folder.configure(R"({"vocab_size": 319})");
  Entry& embedding = folder.entry(kEmbedding);
  embedding.shape[0] = 319;
  embedding.data.resize(319 * 48 * 4);
  const auto checkpoint = folder.open();
  CHECK(checkpoint->tokenizer().vocab_size() == 320);
  REQUIRE(checkpoint->warnings().size() == 1);
  CHECK_THAT(checkpoint->warnings()[0], Contains("has 320 tokens, the model embeds 319"));
}

TEST_CASE("warnings of the tokenizer and of end tokens are the model's") {
  ChangedFolder folder;
  folder.write("generation_config.json", R"({"eos_token_id": [2, 128001]})");
  const std::vector<std::string> warnings = folder.open()->warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Contains("128001 is none of the 320 tokens"));
}

/// What the folder's refusal says once `keep` of a model's files are in it, and `add` others.
std::string folder_refusal(const std::vector<std::string>& keep,
                           const std::vector<std::pair<std::string, std::string>>& add) {
  const TemporaryFolder folder;
  for (const std::string& name : keep) fs::copy(kModels / "qwen2" / name, folder.path());
  for (const auto& [name, content] : add) folder.write(name, content);
  const std::string error = error_of([&] { open_checkpoint(folder.path()); });
  CHECK_THAT(error, Contains(folder.path().string()));
  return error;
}

TEST_CASE("a folder of something else says what it is and how to convert it") {
  const std::string config = "config.json", tokenizer = "tokenizer.json";
  const std::string weights = "model.safetensors";
  const auto rest = {config, tokenizer};
  const auto pytorch = Contains("save it again with transformers, which writes safetensors");
  CHECK_THAT(folder_refusal(rest, {{"pytorch_model.bin", ""}}),
             Contains("'pytorch_model.bin', PyTorch's weights") && pytorch);
  CHECK_THAT(folder_refusal(rest, {{"pytorch_model-00001-of-00002.bin", ""},
                                   {"pytorch_model.bin.index.json", ""}}),
             pytorch);
  CHECK_THAT(folder_refusal(rest, {{"model.pth", ""}}), pytorch);
  CHECK_THAT(folder_refusal(rest, {{"tf_model.h5", ""}}), Contains("TensorFlow") && pytorch);
  CHECK_THAT(folder_refusal(rest, {{"model.onnx", ""}}), Contains("an ONNX graph; use the"));
  CHECK_THAT(folder_refusal({}, {{"consolidated.00.pth", ""}, {"params.json", "{}"}}),
             Contains("convert_llama_weights_to_hf.py"));
  CHECK_THAT(folder_refusal({}, {{"a.Q4_K_M.gguf", ""}}), Contains("give the path of that file"));
  CHECK_THAT(folder_refusal(rest, {{"model-00001-of-00001.safetensors", ""}}),
             Contains("safetensors of another name") && Contains("rename it"));
  CHECK_THAT(folder_refusal(rest, {}), Contains("found no weights; fetch all of the model"));
  CHECK_THAT(folder_refusal({weights, tokenizer}, {}), Contains("expected config.json"));
  CHECK_THAT(folder_refusal({weights, config}, {{"tokenizer.model", "\n"}}),
             Contains("tokenizer.model: this is no SentencePiece model: expected a Protocol"));
  CHECK_THAT(folder_refusal({weights, config}, {{"tokenizer.model.v3", "\n"}}),
             Contains("a SentencePiece tokenizer alone; AutoTokenizer.from_pretrained(FOLDER)"));
  CHECK_THAT(folder_refusal({weights, config}, {{"vocab.json", "{}"}, {"merges.txt", ""}}),
             Contains("a vocabulary alone; AutoTokenizer"));
  CHECK_THAT(folder_refusal({weights, config}, {}), Contains("found no tokenizer"));
  const std::string adapter = R"({"peft_type": "LORA", "base_model_name_or_path": "org/base"})";
  for (const std::vector<std::string>& beside : {std::vector<std::string>{}, {config, weights}}) {
    CHECK_THAT(
        folder_refusal(beside, {{"adapter_config.json", adapter}}),
        Contains("an adapter (LoRA) of the model 'org/base'") && Contains("merge_and_unload"));
  }
}

TEST_CASE("a file of something else says what it is and how to convert it") {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& name, const std::string& content) {
    const fs::path file = folder.write(name, content);
    const std::string error = error_of([&] { open_checkpoint(file); });
    CHECK_THAT(error, Contains(file.string()));
    return error;
  };
  CHECK_THAT(refusal("model.safetensors", ""), Contains("one file of a folder; give the folder"));
  CHECK_THAT(refusal("config.json", "{}"), Contains("longshadow plan takes a config.json alone"));
  CHECK_THAT(refusal("pytorch_model.bin", "PK"), Contains("PyTorch's weights; save it again"));
  CHECK_THAT(refusal("tokenizer.model", "\n"), Contains("a SentencePiece tokenizer alone"));
  CHECK_THAT(refusal("model.onnx", ""), Contains("an ONNX graph"));
  // A GGUF file may be called anything.
  CHECK_THAT(refusal("weights.bin", "GGUF"), !Contains("PyTorch"));
}

TEST_CASE("a model in Hugging Face's cache is called after the model, others after their folder") {
  const TemporaryFolder folder;
  const fs::path snapshot = folder.path() / "models--org--a-model.v2" / "snapshots" / "a1b2c3";
  fs::create_directories(snapshot);
  CHECK(model_name(snapshot) == "org/a-model.v2");
  CHECK(model_name(snapshot / "") == "org/a-model.v2");
  fs::create_directory_symlink(snapshot, folder.path() / "link");
  CHECK(model_name(folder.path() / "link") == "org/a-model.v2");
  CHECK(model_name(folder.path() / "models--gpt2" / "snapshots" / "x") == "gpt2");
  CHECK(model_name(folder.path() / "mine" / "") == "mine");
  CHECK(model_name(folder.path() / "mine" / ".") == "mine");
  CHECK(model_name(folder.path() / "snapshots" / "x") == "x");
}

}  // namespace
}  // namespace longshadow
