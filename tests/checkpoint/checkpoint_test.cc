#include "engine/checkpoint/checkpoint.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/core/sha256.h"
#include "engine/io/gguf.h"
#include "engine/io/mapped_file.h"
#include "engine/model/weights.h"
#include "tests/support/error_of.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/skip.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_models.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using nlohmann::json;
using test::Bytes;
using test::error_of;
using test::GgufBuilder;
using test::TemporaryFolder;

const fs::path kModels = LONGSHADOW_FIXTURES "/models";

std::vector<float> read(const Checkpoint& checkpoint, const WeightName& weight) {
  std::vector<float> values(weight.rows * weight.cols);
  checkpoint.read(weight, values);
  return values;
}

const WeightName& find(const std::vector<WeightName>& table, WeightKind kind, std::size_t layer) {
  const auto found = std::ranges::find_if(table, [&](const WeightName& weight) {
    return weight.kind == kind && weight.layer == layer;
  });
  REQUIRE(found != table.end());
  return *found;
}

// The folder's rows come in halves order and need no change; the GGUF writer, another program,
// interleaved those of llama. So equality shows that they are put back.
TEST_CASE("both formats of a model give the same configuration and weights") {
  for (const std::string& name : test::kTinyModelNames) {
    if (!fs::exists(kModels / (name + ".gguf"))) continue;
    DYNAMIC_SECTION(name) {
      const auto folder = open_checkpoint(kModels / name);
      const auto file = open_checkpoint(kModels / (name + ".gguf"));
      const ModelConfig& a = folder->config();
      const ModelConfig& b = file->config();
      CHECK(a.name == name);
      // Mistral's GGUF files call themselves llama.
      CHECK((name == "mistral" ? Architecture::llama : a.architecture) == b.architecture);
      CHECK(a.n_layers == b.n_layers);
      CHECK(a.hidden_size == b.hidden_size);
      CHECK(a.n_heads == b.n_heads);
      CHECK(a.n_kv_heads == b.n_kv_heads);
      CHECK(a.head_dim == b.head_dim);
      CHECK(a.feed_forward_size == b.feed_forward_size);
      CHECK(a.vocab_size == b.vocab_size);
      CHECK(a.max_context == b.max_context);
      CHECK(static_cast<float>(a.norm_epsilon) == static_cast<float>(b.norm_epsilon));
      CHECK(a.tied_embeddings == b.tied_embeddings);
      CHECK(a.attention_bias == b.attention_bias);
      const bool gemma = name.starts_with("gemma"), olmo = name.starts_with("olmo");
      CHECK((a.query_key_norm == QueryKeyNorm::head) ==
            (name.starts_with("qwen3") || name == "gemma3"));
      CHECK((a.query_key_norm == QueryKeyNorm::projection) == olmo);
      CHECK(b.query_key_norm == a.query_key_norm);
      CHECK(a.norms_before == !olmo);
      CHECK(b.norms_before == a.norms_before);
      CHECK(a.norms_behind == (olmo || gemma));
      CHECK(b.norms_behind == a.norms_behind);
      CHECK((a.activation == Activation::gelu_tanh) == gemma);
      CHECK(b.activation == a.activation);
      CHECK((a.embedding_scale != 1) == gemma);
      CHECK(b.embedding_scale == a.embedding_scale);
      CHECK(a.windows.empty() == !(gemma || name == "olmo3"));
      CHECK(b.windows == a.windows);
      CHECK(b.attention_scale == a.attention_scale);
      CHECK(b.attention_score_cap == a.attention_score_cap);
      CHECK((a.logit_cap != 0) == (name == "gemma2"));
      CHECK(b.logit_cap == a.logit_cap);
      CHECK(a.window_rope.has_value() == (name == "gemma3" || name == "olmo3"));
      CHECK(b.window_rope.has_value() == a.window_rope.has_value());
      CHECK(a.norm_weights_less_1 == gemma);
      CHECK_FALSE(b.norm_weights_less_1);
      CHECK(a.rotary_layers ==
            (name == "smollm3" ? std::vector{true, true, true, false} : std::vector<bool>{}));
      CHECK(b.rotary_layers == a.rotary_layers);
      CHECK(a.bf16_layers == (name == "llama_llama3" || name == "qwen3" || name == "qwen3_moe" ||
                              name == "mistral" || name == "gemma2"));
      CHECK(b.bf16_layers == a.bf16_layers);
      CHECK(b.experts.count == a.experts.count);
      CHECK(b.experts.chosen == a.experts.chosen);
      CHECK(b.experts.feed_forward_size == a.experts.feed_forward_size);
      CHECK(b.experts.renormalised == a.experts.renormalised);
      CHECK(b.expert_layers == a.expert_layers);
      CHECK(a.rope.theta == b.rope.theta);
      CHECK(a.rope.scaling == b.rope.scaling);
      if (a.rope.scaling == RopeScaling::linear) CHECK(a.rope.factor == b.rope.factor);
      CHECK(static_cast<float>(a.rope.attention_factor) ==
            static_cast<float>(b.rope.attention_factor));
      CHECK(a.rope.rotated_elements == (name == "phi_longrope" ? 12 : 0));
      CHECK(b.rope.rotated_elements == a.rope.rotated_elements);
      CHECK(a.rope.short_divisors == b.rope.short_divisors);
      CHECK(a.rope.long_divisors == b.rope.long_divisors);
      CHECK(a.fused_projections == name.starts_with("phi_"));
      CHECK(b.fused_projections == a.fused_projections);
      CHECK(a.output_bias == b.output_bias);
      CHECK(a.feed_forward_bias == b.feed_forward_bias);
      CHECK(a.output_bias == (name == "llama_yarn"));
      CHECK(folder->warnings().empty());
      CHECK(file->warnings().empty());

      const std::vector<WeightName> table = weight_table(a);
      for (const WeightName& weight : table) {
        INFO(weight.gguf);
        std::vector<float> of_folder = read(*folder, weight);
        if (a.norm_weights_less_1 && weight.rows == 1) {
          for (float& value : of_folder) value += 1;
        }
        CHECK(of_folder == read(*file, weight));
      }
      CHECK(folder->tokenizer().vocab_size() <= a.vocab_size);
    }
  }
}

TEST_CASE("the digest of the weights is that of the file, or of the shards' digests") {
  const auto digest = [](const fs::path& path) { return sha256_hex(MappedFile(path).bytes()); };
  CHECK(open_checkpoint(kModels / "qwen2.gguf")->weights_sha256() ==
        digest(kModels / "qwen2.gguf"));
  CHECK(open_checkpoint(kModels / "qwen2")->weights_sha256() ==
        digest(kModels / "qwen2" / "model.safetensors"));
  const fs::path sharded = kModels / "llama_llama3";
  const std::string digests = digest(sharded / "model-00001-of-00002.safetensors") +
                              digest(sharded / "model-00002-of-00002.safetensors");
  CHECK(open_checkpoint(sharded)->weights_sha256() ==
        sha256_hex(std::as_bytes(std::span(digests))));
}

TEST_CASE("a read of the wrong size or of an unknown tensor is refused") {
  const auto checkpoint = open_checkpoint(kModels / "qwen2");
  WeightName weight = weight_table(checkpoint->config()).front();
  std::vector<float> values(weight.rows * weight.cols - 1);
  CHECK_THAT(error_of([&] { checkpoint->read(weight, values); }), Contains("embed_tokens"));
  weight.rows = values.size();
  weight.cols = 1;
  CHECK_THAT(error_of([&] { checkpoint->read(weight, values); }), Contains("embed_tokens"));
  weight.hugging_face = "nothing";
  CHECK_THAT(error_of([&] { checkpoint->read(weight, values); }), Contains("'nothing'"));
}

TEST_CASE("what is no model is refused in one line") {
  const TemporaryFolder folder;
  const auto refusal = [&](const fs::path& path) {
    return error_of([&] { open_checkpoint(path); });
  };
  CHECK_THAT(refusal(folder.path() / "no.gguf"), Contains("no.gguf: cannot open: No such file"));
  CHECK_THAT(refusal(folder.path()), Contains("found an empty folder"));
  CHECK_THAT(refusal(folder.write("text", "hello, model")), Contains("expected a GGUF file"));
  CHECK_THAT(refusal(folder.write("empty", "")), Contains("the file has 0 left"));

  const MappedFile whole(kModels / "llama_plain.gguf");
  for (const std::size_t length : {whole.bytes().size() - 1, whole.bytes().size() / 2}) {
    CHECK_THAT(refusal(folder.write("cut.gguf", whole.bytes().first(length))),
               Contains("cut.gguf: "));
  }
}

/// The model folder with its config.json changed.
std::string refusal_with_config(const std::string& model, const char* members) {
  const TemporaryFolder folder;
  fs::copy(kModels / model, folder.path(), fs::copy_options::recursive);
  std::ifstream stream(folder.path() / "config.json");
  json config = json::parse(stream);
  config.update(json::parse(members));
  folder.write("config.json", config.dump());
  return error_of([&] { open_checkpoint(folder.path()); });
}

TEST_CASE("tensors that do not fit the configuration are refused") {
  CHECK_THAT(refusal_with_config("llama_plain", R"({"vocab_size": 321})"),  // case 96
             Contains("'lm_head.weight': expected the shape [321, 48], found [320, 48]"));
  CHECK_THAT(refusal_with_config("llama_plain", R"({"intermediate_size": 95})"),
             Contains("expected the shape"));
  CHECK_THAT(refusal_with_config("llama_plain", R"({"num_hidden_layers": 3})"),
             Contains("'model.layers.2.input_layernorm.weight' is missing"));
  CHECK_THAT(refusal_with_config("llama_plain", R"({"num_hidden_layers": 1})"),
             Contains("is not part of a llama model"));
  CHECK_THAT(refusal_with_config("llama_plain", R"({"attention_bias": true})"),
             Contains("bias' is missing"));
  CHECK_THAT(refusal_with_config("llama_linear", R"({"tie_word_embeddings": false})"),
             Contains("'lm_head.weight' is missing") && Contains("\"tie_word_embeddings\": true"));
  CHECK_THAT(refusal_with_config("llama_plain", R"({"mlp_bias": true})"),
             Contains("bias' is missing"));
  CHECK_THAT(refusal_with_config("qwen2", R"({"model_type": "llama"})"),
             Contains("bias' is not part of a llama model"));
  CHECK_THAT(refusal_with_config("qwen3", R"({"model_type": "llama"})"),
             Contains("_norm.weight' is not part of a llama model"));
  CHECK_THAT(refusal_with_config("llama_plain", R"({"model_type": "qwen3"})"),
             Contains("'model.layers.0.self_attn.k_norm.weight' is missing"));
  CHECK_THAT(refusal_with_config("qwen3", R"({"attention_bias": true})"),
             Contains("bias' is missing"));
  // The projections' shapes stay; the norms' do not.
  CHECK_THAT(refusal_with_config("qwen3", R"({"head_dim": 8, "num_attention_heads": 8,
                                               "num_key_value_heads": 4})"),
             Contains("k_norm.weight': expected the shape [8], found [16]"));
}

/// The GGUF file's contents as a builder, for changes; F32 and F16 tensors only.
GgufBuilder rebuild(const Gguf& gguf) {
  GgufBuilder builder;
  for (const auto& [key, value] : gguf.metadata) {
    if (const auto* n = std::get_if<std::uint64_t>(&value)) {
      builder.number(key, test::U64, *n);
    } else if (const auto* real = std::get_if<double>(&value)) {
      builder.number(key, test::F64, *real);
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      builder.number(key, test::BOOL, std::uint8_t{*flag});
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      builder.string(key, *text);
    } else if (const auto* numbers = std::get_if<std::vector<std::int64_t>>(&value)) {
      Bytes elements;
      for (const std::int64_t each : *numbers) elements.number(static_cast<std::int32_t>(each));
      builder.array(key, test::I32, numbers->size(), elements);
    } else if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
      Bytes elements;
      for (const std::string& each : *texts) elements.string(each);
      builder.array(key, test::STRING, texts->size(), elements);
    }
  }
  for (const StoredTensor& tensor : gguf.tensors) {
    REQUIRE((tensor.type == StorageType::f32 || tensor.type == StorageType::f16));
    builder.tensor({.name = tensor.name,
                    .dimensions = {tensor.shape.rbegin(), tensor.shape.rend()},
                    .type = tensor.type == StorageType::f32 ? 0u : 1u,
                    .data = {tensor.data.begin(), tensor.data.end()},
                    .offset = {}});
  }
  return builder;
}

/// A tiny model's GGUF file, to be changed and opened.
class ChangedModel {
 public:
  explicit ChangedModel(const std::string& name = "llama_plain")
      : file_(kModels / (name + ".gguf")) {}

  StoredTensor& tensor(const std::string& name) {
    const auto found = std::ranges::find(gguf.tensors, name, &StoredTensor::name);
    REQUIRE(found != gguf.tensors.end());
    return *found;
  }
  std::unique_ptr<Checkpoint> open() const {
    return open_checkpoint(folder_.write("changed.gguf", rebuild(gguf).build()));
  }
  std::string refusal() const {
    return error_of([&] { open(); });
  }

 private:
  TemporaryFolder folder_;
  MappedFile file_;

 public:
  Gguf gguf = parse_gguf(file_.bytes(), file_.path().filename().string());
};

std::vector<std::byte> bytes_of_floats(const std::vector<float>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

TEST_CASE("GGUF models with missing, foreign or split tensors are refused") {
  ChangedModel model;
  CHECK_NOTHROW(model.open());
  SECTION("missing") {
    std::erase_if(model.gguf.tensors,
                  [](const auto& t) { return t.name == "blk.1.ffn_up.weight"; });
    CHECK_THAT(model.refusal(), Contains("'blk.1.ffn_up.weight' is missing"));
  }
  SECTION("a norm of queries") {
    const std::vector<std::byte> data(4 * 16);
    model.gguf.tensors.push_back({"blk.0.attn_q_norm.weight", StorageType::f32, {16}, data});
    CHECK_THAT(model.refusal(),
               Contains("'blk.0.attn_q_norm.weight' is not part of a llama model"));
  }
  SECTION("a bias in one layer alone") {
    const std::vector<std::byte> data(4 * 48);
    model.gguf.tensors.push_back({"blk.0.attn_output.bias", StorageType::f32, {48}, data});
    CHECK_THAT(model.refusal(), Contains("'blk.1.attn_output.bias' is missing"));
  }
  SECTION("transposed") {
    std::ranges::reverse(model.tensor("blk.0.ffn_up.weight").shape);
    CHECK_THAT(model.refusal(), Contains("expected the shape [96, 48], found [48, 96]"));
  }
  SECTION("case 49: one part of several") {
    model.gguf.metadata["split.count"] = std::uint64_t{3};
    CHECK_THAT(model.refusal(), Contains("one of 3 parts of a model, so expected a name"));
  }
  SECTION("one part of one is whole") {
    model.gguf.metadata["split.count"] = std::uint64_t{1};
    CHECK_NOTHROW(model.open());
  }
  SECTION("case 96: more tokens than embedding rows") {
    model.gguf.metadata["llama.vocab_size"] = std::uint64_t{319};
    CHECK_THAT(model.refusal(), Contains("expected the shape [319, 48], found [320, 48]"));
  }
  SECTION("a model in parts has the tensors, the digest and the name of all of them") {
    Gguf last = model.gguf;
    last.metadata.clear();
    model.gguf.metadata.erase("general.name");
    const auto half = static_cast<std::ptrdiff_t>(model.gguf.tensors.size() / 2);
    model.gguf.tensors.erase(model.gguf.tensors.begin() + half, model.gguf.tensors.end());
    last.tensors.erase(last.tensors.begin(), last.tensors.begin() + half);
    const TemporaryFolder folder;
    std::string digests;
    for (std::uint64_t no : {0, 1}) {
      Gguf& part = no == 0 ? model.gguf : last;
      part.metadata["split.no"] = no;
      part.metadata["split.count"] = std::uint64_t{2};
      const auto bytes = rebuild(part).build();
      folder.write("tiny-0000" + std::to_string(no + 1) + "-of-00002.gguf", bytes);
      digests += sha256_hex(bytes);
    }
    const auto checkpoint = open_checkpoint(folder.path() / "tiny-00002-of-00002.gguf");
    CHECK(checkpoint->config().name == "tiny");
    CHECK(checkpoint->weights_sha256() == sha256_hex(std::as_bytes(std::span(digests))));
    for (const WeightName& weight : weight_table(checkpoint->config())) {
      CHECK(read(*checkpoint, weight) ==
            read(*open_checkpoint(kModels / "llama_plain.gguf"), weight));
    }
  }
  SECTION("an unnamed model is called after its file") {
    model.gguf.metadata.erase("general.name");
    CHECK(model.open()->config().name == "changed");
  }
}

TEST_CASE("experts of a GGUF file lie together, or in older files one by one") {
  ChangedModel model("mixtral");
  SECTION("one by one") {
    const StoredTensor gate = model.tensor("blk.1.ffn_gate_exps.weight");
    std::erase_if(model.gguf.tensors, [&](const auto& t) { return t.name == gate.name; });
    const std::size_t bytes = gate.data.size() / 4;
    for (std::size_t expert = 0; expert < 4; ++expert) {
      model.gguf.tensors.push_back({"blk.1.ffn_gate." + std::to_string(expert) + ".weight",
                                    gate.type,
                                    {gate.shape[1], gate.shape[2]},
                                    gate.data.subspan(expert * bytes, bytes)});
    }
    const auto apart = model.open();
    const auto together = open_checkpoint(kModels / "mixtral.gguf");
    for (const WeightName& weight : weight_table(apart->config())) {
      CHECK(read(*apart, weight) == read(*together, weight));
    }
    model.gguf.tensors.push_back(gate);
    CHECK_THAT(model.refusal(), Contains("'blk.1.ffn_gate.0.weight' is there by itself and among"));
  }
  SECTION("of another number of experts") {
    model.gguf.metadata["llama.expert_count"] = std::uint64_t{3};
    CHECK_THAT(model.refusal(), Contains("'blk.0.ffn_down_exps.weight': expected the matrices of 3 "
                                         "experts, found the shape [4, 48, 40]"));
  }
  SECTION("of another shape") {
    model.tensor("blk.0.ffn_up_exps.weight").shape = {4, 40 * 48};
    CHECK_THAT(model.refusal(), Contains("found the shape [4, 1920]"));
  }
  SECTION("without a router") {
    std::erase_if(model.gguf.tensors,
                  [](const auto& t) { return t.name == "blk.1.ffn_gate_inp.weight"; });
    CHECK_THAT(model.refusal(), Contains("'blk.1.ffn_gate_inp.weight' is missing"));
  }
  SECTION("in a model without any") {
    ChangedModel plain;
    plain.gguf.tensors.push_back(model.tensor("blk.0.ffn_up_exps.weight"));
    CHECK_THAT(plain.refusal(), Contains("is not part of a llama model"));
  }
}

TEST_CASE("a weight that is not finite is refused when it is read") {
  ChangedModel model;
  StoredTensor& norm = model.tensor("blk.1.attn_norm.weight");
  StoredTensor& gate = model.tensor("blk.1.ffn_gate.weight");
  std::vector<float> norm_values(norm.elements(), 1.0f);
  norm_values[7] = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> gate_values(gate.elements(), 1.0f);
  gate_values.back() = std::numeric_limits<float>::infinity();
  const auto norm_bytes = bytes_of_floats(norm_values);
  const auto gate_bytes = bytes_of_floats(gate_values);
  norm.data = norm_bytes;
  norm.type = gate.type = StorageType::f32;
  gate.data = gate_bytes;

  const auto checkpoint = model.open();
  const auto table = weight_table(checkpoint->config());
  for (const WeightKind kind : {WeightKind::attention_norm, WeightKind::gate}) {
    CHECK_NOTHROW(read(*checkpoint, find(table, kind, 0)));
    CHECK_THAT(error_of([&] { read(*checkpoint, find(table, kind, 1)); }),
               Contains("a value that is not finite"));
  }
}

// d = 16: stored element 2 i + s of a head is element i + 8 s of the halves order.
TEST_CASE("biases of a GGUF llama are put in halves order with their rows") {
  ChangedModel model;
  std::vector<float> query(64), key(32), value(32);
  for (std::size_t i = 0; i < 64; ++i) query[i] = static_cast<float>(i);
  for (std::size_t i = 0; i < 32; ++i) key[i] = value[i] = static_cast<float>(i);
  const auto query_bytes = bytes_of_floats(query);
  const auto key_bytes = bytes_of_floats(key);
  for (const std::string layer : {"blk.0.", "blk.1."}) {
    model.gguf.tensors.push_back({layer + "attn_q.bias", StorageType::f32, {64}, query_bytes});
    model.gguf.tensors.push_back({layer + "attn_k.bias", StorageType::f32, {32}, key_bytes});
    model.gguf.tensors.push_back({layer + "attn_v.bias", StorageType::f32, {32}, key_bytes});
  }
  const auto checkpoint = model.open();
  CHECK(checkpoint->config().attention_bias);
  const auto table = weight_table(checkpoint->config());
  const std::vector<float> read_query = read(*checkpoint, find(table, WeightKind::query_bias, 1));
  for (std::size_t head = 0; head < 4; ++head) {
    for (std::size_t i = 0; i < 8; ++i) {
      CHECK(read_query[16 * head + i] == static_cast<float>(16 * head + 2 * i));
      CHECK(read_query[16 * head + i + 8] == static_cast<float>(16 * head + 2 * i + 1));
    }
  }
  CHECK(read(*checkpoint, find(table, WeightKind::key_bias, 0))[8] == 1.0f);
  CHECK(read(*checkpoint, find(table, WeightKind::value_bias, 0)) == value);
}

TEST_CASE("SmolLM2 opens at once and decodes whole") {
  const fs::path path = kModels / "../../models/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!fs::exists(path)) {
    return test::skip("no " + path.lexically_normal().string() +
                      "; bash data/fetch_model.sh fetches it");
  }
  const auto start = std::chrono::steady_clock::now();
  const auto checkpoint = open_checkpoint(path);
  // The file has 92 MB: hashing or decoding it at open would not fit, on any machine we know.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
  const ModelConfig& config = checkpoint->config();
  CHECK(config.n_layers == 30);
  CHECK(config.hidden_size == 576);
  CHECK(config.n_heads == 9);
  CHECK(config.n_kv_heads == 3);
  CHECK(config.vocab_size == 49152);
  CHECK(config.tied_embeddings);
  CHECK(config.rope.theta == 100000.0);
  std::size_t elements = 0;
  for (const WeightName& weight : weight_table(config))
    elements += read(*checkpoint, weight).size();
  CHECK(elements == 134'515'008);
}

}  // namespace
}  // namespace longshadow
