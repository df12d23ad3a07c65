#include "engine/checkpoint/foreign_model.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/mapped_file.h"
#include "engine/io/safetensors.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSaveAgain =
    "save it again with transformers, which writes safetensors: "
    "AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER), and the same with "
    "AutoTokenizer";
constexpr const char* kOriginal =
    "fetch the model in Hugging Face's format, or convert it with transformers' script for its "
    "family (convert_llama_weights_to_hf.py, convert_mistral_weights_to_hf.py)";
constexpr const char* kExported = "use the safetensors or GGUF files of the model it was made from";

/// What a file is by the end of its name.
struct Kind {
  std::string_view ending;
  const char* what;
  const char* advice;
};

// In the order in which a folder is searched for them.
constexpr Kind kWeights[] = {
    {".gguf", "a GGUF file", "give the path of that file"},
    {"consolidated.00.pth", "weights as Llama was first published", kOriginal},
    {"consolidated.safetensors", "weights as Mistral publishes them", kOriginal},
    {".safetensors", "safetensors of another name",
     "a whole model's is called model.safetensors, and parts come with "
     "model.safetensors.index.json: rename it, or fetch what is missing"},
    {".bin", "PyTorch's weights", kSaveAgain},
    {".bin.index.json", "the index of PyTorch's weights", kSaveAgain},
    {".pth", "PyTorch's weights", kSaveAgain},
    {".pt", "PyTorch's weights", kSaveAgain},
    {".ckpt", "PyTorch's weights", kSaveAgain},
    {".h5", "TensorFlow's weights", kSaveAgain},
    {".msgpack", "Flax's weights", kSaveAgain},
    {".onnx", "an ONNX graph", kExported},
    {".mlmodel", "a Core ML model", kExported},
    {".engine", "a TensorRT engine", kExported},
    {".npz", "NumPy's arrays", kExported},
};

constexpr const char* kSaveTokenizer =
    "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) of transformers writes "
    "tokenizer.json";

constexpr Kind kTokenizers[] = {
    {".model", "a SentencePiece tokenizer alone", kSaveTokenizer},
    {".model.v3", "a SentencePiece tokenizer alone", kSaveTokenizer},
    {"tekken.json", "Mistral's own tokenizer alone", kSaveTokenizer},
    {"vocab.json", "a vocabulary alone", kSaveTokenizer},
    {"tokenizer_config.json", "the tokenizer's settings alone", kSaveTokenizer},
};

using Names = std::set<std::string>;

Names names_in(const fs::path& folder) {
  Names names;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  if (error) throw Error(folder.string() + ": cannot be read: " + error.message());
  for (; entry != fs::directory_iterator(); entry.increment(error)) {
    if (error) break;
    names.insert(entry->path().filename().string());
  }
  return names;
}

/// Throws Error for the first kind that one of the names is of.
void refuse_first(const std::string& where, const Names& names, std::span<const Kind> kinds) {
  for (const Kind& kind : kinds) {
    const auto found = std::ranges::find_if(
        names, [&](const std::string& name) { return name.ends_with(kind.ending); });
    if (found != names.end()) {
      throw Error(where + ", found " + quote(*found) + ", " + kind.what + "; " + kind.advice);
    }
  }
}

void refuse_adapter(const fs::path& path) {
  const MappedFile file(path);
  const auto base = json_find<std::string>(parse_json(file.bytes(), path.string()),
                                           "base_model_name_or_path", path.string());
  throw Error(path.string() + ": this is an adapter (LoRA) of the model " +
              (base ? quote(*base) : "it was trained on") +
              ", not a model; merge the two with peft and give that folder: PeftModel."
              "from_pretrained(MODEL, FOLDER).merge_and_unload().save_pretrained(NEW_FOLDER)");
}

bool starts_as_gguf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[4] = {};
  return file.read(magic, sizeof magic) && std::string_view(magic, sizeof magic) == "GGUF";
}

}  // namespace

void refuse_foreign_folder(const fs::path& folder) {
  const Names names = names_in(folder);
  const std::string source = folder.string();
  if (names.empty()) {
    throw Error(source + ": expected a model, found an empty folder; fetch the model into it");
  }
  if (names.contains("adapter_config.json")) refuse_adapter(folder / "adapter_config.json");
  if (names.contains("snapshots") && !names.contains("config.json")) {
    throw Error(source + ": expected a model, found a repository of Hugging Face's cache; give " +
                "hub:ORG/NAME, or a folder in its snapshots");
  }
  if (!has_safetensors(folder)) {
    const std::string where = source + ": expected model.safetensors";
    refuse_first(where, names, kWeights);
    throw Error(where +
                " or model.safetensors.index.json, found no weights; fetch all of the "
                "model");
  }
  if (!names.contains("config.json")) {
    throw Error(source +
                ": expected config.json beside the weights, found none; fetch all of the "
                "model");
  }
  if (!names.contains("tokenizer.json") && !names.contains("tokenizer.model")) {
    const std::string where = source + ": expected tokenizer.json";
    refuse_first(where, names, kTokenizers);
    throw Error(where + ", found no tokenizer; fetch all of the model");
  }
}

void refuse_foreign_file(const fs::path& path) {
  std::error_code ignored;  // what cannot be examined is reported when it is opened
  const std::string name = path.filename().string();
  if (!fs::is_regular_file(path, ignored) || name.ends_with(".gguf") || starts_as_gguf(path)) {
    return;
  }
  const std::string where = path.string() + ": expected a GGUF file or a model's folder";
  if (name.ends_with(".safetensors") || name.ends_with(".json")) {
    throw Error(
        where + ", found one file of a folder; give the folder" +
        (name.ends_with("config.json") ? " (longshadow plan takes a config.json alone)" : ""));
  }
  refuse_first(where, {name}, kWeights);
  refuse_first(where, {name}, kTokenizers);
}

}  // namespace longshadow
