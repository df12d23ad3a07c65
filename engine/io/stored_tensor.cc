#include "engine/io/stored_tensor.h"

#include <algorithm>
#include <array>

namespace longshadow {
namespace {

struct StorageFormat {
  std::string_view name;
  std::size_t block_elements;
  std::size_t block_bytes;
};

// In the order of StorageType.
constexpr std::array kFormats = std::to_array<StorageFormat>({
    {"F32", 1, 4},        {"F16", 1, 2},      {"BF16", 1, 2},       {"Q1_0", 128, 18},
    {"Q2_0", 64, 18},     {"Q4_0", 32, 18},   {"Q4_1", 32, 20},     {"Q5_0", 32, 22},
    {"Q5_1", 32, 24},     {"Q8_0", 32, 34},   {"Q2_K", 256, 84},    {"Q3_K", 256, 110},
    {"Q4_K", 256, 144},   {"Q5_K", 256, 176}, {"Q6_K", 256, 210},   {"TQ1_0", 256, 54},
    {"TQ2_0", 256, 66},   {"MXFP4", 32, 17},  {"NVFP4", 64, 36},    {"IQ4_NL", 32, 18},
    {"IQ4_XS", 256, 136}, {"IQ1_S", 256, 50}, {"IQ1_M", 256, 56},   {"IQ2_XXS", 256, 66},
    {"IQ2_XS", 256, 74},  {"IQ2_S", 256, 82}, {"IQ3_XXS", 256, 98}, {"IQ3_S", 256, 110},
});
static_assert(kFormats.size() == static_cast<std::size_t>(StorageType::iq3_s) + 1);

const StorageFormat& format_of(StorageType type) {
  return kFormats[static_cast<std::size_t>(type)];
}

}  // namespace

std::string_view name_of(StorageType type) { return format_of(type).name; }
std::size_t block_elements(StorageType type) { return format_of(type).block_elements; }
std::size_t block_bytes(StorageType type) { return format_of(type).block_bytes; }

std::size_t StoredTensor::elements() const {
  std::size_t product = 1;
  for (const std::size_t dimension : shape) product *= dimension;
  return product;
}

std::string describe_shape(std::span<const std::size_t> shape) {
  std::string text = "[";
  for (const std::size_t dimension : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dimension);
  }
  return text + "]";
}

const StoredTensor* find_tensor(std::span<const StoredTensor> sorted, std::string_view name) {
  const auto found = std::ranges::lower_bound(
      sorted, name, {}, [](const StoredTensor& tensor) { return std::string_view(tensor.name); });
  return found != sorted.end() && found->name == name ? &*found : nullptr;
}

}  // namespace longshadow
