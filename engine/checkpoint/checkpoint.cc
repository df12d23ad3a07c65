#include "engine/checkpoint/checkpoint.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

#include "engine/backend/parallel_for.h"
#include "engine/checkpoint/foreign_model.h"
#include "engine/checkpoint/stored_model.h"
#include "engine/core/error.h"
#include "engine/core/sha256.h"
#include "engine/model/weights.h"
#include "engine/quantization/dequantize.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

/// Throws Error unless the model's tensors are those of the table, each of its shape. A tensor that
/// the table does not know would be an influence on the output that nobody computes.
void check_tensors(const StoredModel& model, std::span<const WeightName> table) {
  std::map<std::string_view, const WeightName*> expected;
  for (const WeightName& weight : table) expected.emplace(weight.*model.tensor_name, &weight);
  for (const StoredTensor& tensor : model.tensors) {
    if (!expected.contains(tensor.name)) {
      throw Error(model.source + ": the tensor " + quote(tensor.name) + " is not part of a " +
                  name_of(model.config.architecture) + " model as computed here");
    }
  }
  for (const auto& [name, weight] : expected) {
    const StoredTensor* tensor = find_tensor(model.tensors, name);
    if (tensor == nullptr) {
      throw Error(model.source + ": the tensor " + quote(name) + " is missing");
    }
    const std::vector<std::size_t> shape = weight->rows == 1
                                               ? std::vector{weight->cols}
                                               : std::vector{weight->stored_rows(), weight->cols};
    if (tensor->shape != shape) {
      throw Error(model.source + ": the tensor " + quote(name) + ": expected the shape " +
                  describe_shape(shape) + ", found " + describe_shape(tensor->shape));
    }
  }
}

bool has_bf16_layers(const StoredModel& model, std::span<const WeightName> table) {
  return std::ranges::all_of(table, [&](const WeightName& weight) {
    // GGUF files keep routers in f32, whatever the other matrices.
    const bool is_of_layer = weight.rows > 1 && weight.kind != WeightKind::token_embedding &&
                             weight.kind != WeightKind::output && weight.kind != WeightKind::router;
    return !is_of_layer ||
           find_tensor(model.tensors, weight.*model.tensor_name)->type == StorageType::bf16;
  });
}

/// Where an element of a head, whose pairs are (i, i + d / 2), lies in a file that keeps each pair
/// side by side.
std::size_t interleaved_element(std::size_t element, std::size_t head_dim) {
  const std::size_t half = element / (head_dim / 2);
  return 2 * (element % (head_dim / 2)) + half;
}

/// Where an element of a head, whose pairs are (i, i + d / 2), lies in a file that rotates the
/// first r elements alone, in pairs (i, i + r / 2): these are the first r / 2 pairs here, and what
/// is not rotated makes up the other pairs in the file's order.
std::size_t partly_rotated_element(std::size_t element, std::size_t head_dim, std::size_t rotated) {
  const std::size_t half = element / (head_dim / 2), pair = element % (head_dim / 2);
  if (pair < rotated / 2) return half * (rotated / 2) + pair;
  return rotated + half * (head_dim - rotated) / 2 + (pair - rotated / 2);
}

bool all_finite(std::span<const float> values) {
  constexpr std::uint32_t kExponent = 0x7f800000u;
  bool finite = true;
  for (const float value : values) {
    finite &= (std::bit_cast<std::uint32_t>(value) & kExponent) != kExponent;
  }
  return finite;
}

class StoredCheckpoint final : public Checkpoint {
 public:
  explicit StoredCheckpoint(StoredModel model) : model_(std::move(model)) {
    const std::vector<WeightName> table = weight_table(model_.config);
    check_tensors(model_, table);
    model_.config.bf16_layers = has_bf16_layers(model_, table);
  }

  const ModelConfig& config() const override { return model_.config; }
  const Tokenizer& tokenizer() const override { return model_.tokenizer; }
  const GenerationSettings& generation() const override { return model_.generation; }

  std::vector<std::string> warnings() const override {
    std::vector<std::string> all = model_.warnings;
    for (const auto& more :
         {model_.config.warnings, model_.tokenizer.warnings(), model_.generation.warnings}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    const std::size_t tokens = model_.tokenizer.vocab_size(), rows = model_.config.vocab_size;
    if (tokens > rows) {
      all.push_back(model_.source + ": the tokenizer has " + std::to_string(tokens) +
                    " tokens, the model embeds " + std::to_string(rows) +
                    "; a text with one of the others cannot be read");
    }
    return all;
  }

  void read(const WeightName& weight, std::span<float> out) const override {
    const StoredTensor* tensor = find_tensor(model_.tensors, weight.*model_.tensor_name);
    if (tensor == nullptr || out.size() != weight.rows * weight.cols ||
        tensor->elements() != weight.stored_rows() * weight.cols) {
      throw Error(model_.source + ": no tensor " + quote(weight.*model_.tensor_name) + " of " +
                  std::to_string(out.size()) + " elements to read");
    }
    const bool finite =
        weight.rows == 1 ? read_vector(*tensor, weight, out) : read_matrix(*tensor, weight, out);
    if (!finite) {
      throw Error(model_.source + ": the tensor " + quote(tensor->name) +
                  " holds a value that is not finite; the file is damaged");
    }
  }

  std::string weights_sha256() const override {
    std::call_once(is_digested_, [&] {
      std::string digests;
      for (const MappedFile& file : model_.weight_files) digests += sha256_hex(file.bytes());
      digest_ =
          model_.weight_files.size() == 1 ? digests : sha256_hex(std::as_bytes(std::span(digests)));
    });
    return digest_;
  }

 private:
  /// The row of the tensor that is row r of the weight.
  std::size_t stored_row(const WeightName& weight, std::size_t r) const {
    const std::size_t d = model_.config.head_dim, rotated = model_.config.rope.rotated_elements;
    const std::size_t head_begin = r / d * d, element = r - head_begin;
    if (weight.rotary_rows && model_.interleaved_rotary) {
      return weight.first_row + head_begin + interleaved_element(element, d);
    }
    if (weight.rotary_rows && rotated != 0) {
      return weight.first_row + head_begin + partly_rotated_element(element, d, rotated);
    }
    return weight.first_row + r;
  }

  /// Whether every element read is finite.
  bool read_matrix(const StoredTensor& tensor, const WeightName& weight,
                   std::span<float> out) const {
    std::atomic<bool> finite = true;
    // Rows are whole blocks of a range that has been checked, so that nothing throws in here.
    parallel_for(weight.rows, [&](std::size_t row) {
      const std::span<float> values = out.subspan(row * weight.cols, weight.cols);
      dequantize(tensor, stored_row(weight, row) * weight.cols, values);
      if (!all_finite(values)) finite = false;
    });
    return finite;
  }

  bool read_vector(const StoredTensor& tensor, const WeightName& weight,
                   std::span<float> out) const {
    dequantize(tensor, 0, out);
    if (weight.rotary_rows) {
      const std::vector<float> stored(out.begin(), out.end());
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = stored[stored_row(weight, i)];
    }
    return all_finite(out);
  }

  StoredModel model_;
  mutable std::once_flag is_digested_;
  mutable std::string digest_;
};

}  // namespace

std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path) {
  std::error_code ignored;  // what cannot be examined is reported when it is opened
  if (std::filesystem::is_directory(path, ignored)) {
    return std::make_unique<StoredCheckpoint>(open_hugging_face_model(path));
  }
  refuse_foreign_file(path);
  return std::make_unique<StoredCheckpoint>(open_gguf_model(path));
}

}  // namespace longshadow
