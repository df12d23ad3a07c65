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
constexpr std::array<StorageFormat, 11> kFormats = {{
    {"F32", 1, 4},
    {"F16", 1, 2},
    {"BF16", 1, 2},
    {"Q8_0", 32, 34},
    {"Q4_0", 32, 18},
    {"Q4_1", 32, 20},
    {"Q5_0", 32, 22},
    {"Q5_1", 32, 24},
    {"Q4_K", 256, 144},
    {"Q5_K", 256, 176},
    {"Q6_K", 256, 210},
}};

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
