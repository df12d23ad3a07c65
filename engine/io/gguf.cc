#include "engine/io/gguf.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "engine/core/error.h"
#include "engine/io/byte_reader.h"
#include "engine/io/gguf_metadata.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::size_t kMaxTensorNameLength = 64;
constexpr std::size_t kMaxDimensions = 4;
/// The shortest metadata pair: key length, value type and a one-byte value. (Its empty key is
/// refused where it stands.)
constexpr std::size_t kMinPairBytes = 8 + 4 + 1;
/// The shortest tensor description: name length, dimension count, one dimension, type, offset.
constexpr std::size_t kMinTensorBytes = 8 + 4 + 8 + 4 + 8;

/// ggml's tensor types by number; those without a StorageType are named only to be refused.
struct TensorType {
  std::uint32_t number;
  std::string_view name;
  std::optional<StorageType> storage;
};
constexpr std::array kTensorTypes = std::to_array<TensorType>({
    {0, "F32", StorageType::f32},
    {1, "F16", StorageType::f16},
    {2, "Q4_0", StorageType::q4_0},
    {3, "Q4_1", StorageType::q4_1},
    {4, "Q4_2", {}},
    {5, "Q4_3", {}},
    {6, "Q5_0", StorageType::q5_0},
    {7, "Q5_1", StorageType::q5_1},
    {8, "Q8_0", StorageType::q8_0},
    {9, "Q8_1", {}},
    {10, "Q2_K", StorageType::q2_k},
    {11, "Q3_K", StorageType::q3_k},
    {12, "Q4_K", StorageType::q4_k},
    {13, "Q5_K", StorageType::q5_k},
    {14, "Q6_K", StorageType::q6_k},
    {15, "Q8_K", {}},
    {16, "IQ2_XXS", StorageType::iq2_xxs},
    {17, "IQ2_XS", StorageType::iq2_xs},
    {18, "IQ3_XXS", StorageType::iq3_xxs},
    {19, "IQ1_S", StorageType::iq1_s},
    {20, "IQ4_NL", StorageType::iq4_nl},
    {21, "IQ3_S", StorageType::iq3_s},
    {22, "IQ2_S", StorageType::iq2_s},
    {23, "IQ4_XS", StorageType::iq4_xs},
    {24, "I8", {}},
    {25, "I16", {}},
    {26, "I32", {}},
    {27, "I64", {}},
    {28, "F64", {}},
    {29, "IQ1_M", StorageType::iq1_m},
    {30, "BF16", StorageType::bf16},
    {34, "TQ1_0", StorageType::tq1_0},
    {35, "TQ2_0", StorageType::tq2_0},
    {39, "MXFP4", StorageType::mxfp4},
    {40, "NVFP4", StorageType::nvfp4},
    {41, "Q1_0", StorageType::q1_0},
    {42, "Q2_0", StorageType::q2_0},
});

void check_header(ByteReader& reader, Gguf& gguf) {
  if (const auto magic = reader.number<std::uint32_t>("the magic number"); magic != kMagic) {
    throw Error(gguf.source + ": expected a GGUF file, which begins with 'GGUF'");
  }
  gguf.version = reader.number<std::uint32_t>("the version");
  if (gguf.version != 0 && (gguf.version & 0xffff) == 0) {
    throw Error(gguf.source + ": a big-endian GGUF file; only little-endian ones are supported");
  }
  if (gguf.version != 2 && gguf.version != 3) {
    throw Error(gguf.source + ": expected GGUF version 2 or 3, found " +
                std::to_string(gguf.version));
  }
}

StorageType read_tensor_type(ByteReader& reader, const std::string& what) {
  const auto number = reader.number<std::uint32_t>(what);
  const auto* const type = std::ranges::find(kTensorTypes, number, &TensorType::number);
  if (type != kTensorTypes.end() && type->storage) return *type->storage;
  reader.fail(what + ": tensor type " + std::to_string(number) + " (" +
              std::string(type == kTensorTypes.end() ? "unknown" : type->name) +
              ") is not supported; expected one that llama.cpp's 'llama-quantize' writes, such as "
              "F16, Q8_0 or Q4_K");
}

/// A tensor's description and where its data lies relative to the data section.
struct PlacedTensor {
  StoredTensor tensor;
  std::uint64_t offset;
  std::uint64_t bytes;
};

/// The bytes that a tensor of this type and shape takes.
std::uint64_t tensor_bytes(const ByteReader& reader, const StoredTensor& tensor,
                           const std::string& what) {
  if (tensor.shape.back() % block_elements(tensor.type) != 0) {
    reader.fail(what + ": expected rows of whole " + std::string(name_of(tensor.type)) +
                " blocks of " + std::to_string(block_elements(tensor.type)) +
                " elements, found rows of " + std::to_string(tensor.shape.back()));
  }
  std::uint64_t elements = 1;
  std::uint64_t bytes = 0;
  bool overflow = false;
  for (const std::size_t dimension : tensor.shape) {
    overflow |= __builtin_mul_overflow(elements, dimension, &elements);
  }
  overflow |= __builtin_mul_overflow(elements / block_elements(tensor.type),
                                     block_bytes(tensor.type), &bytes);
  if (overflow) {
    reader.fail(what + ": the shape " + describe_shape(tensor.shape) +
                " takes more than 2^64 bytes");
  }
  return bytes;
}

PlacedTensor read_tensor(ByteReader& reader, std::uint64_t ordinal, std::size_t alignment) {
  const std::string place = "the name of tensor " + std::to_string(ordinal);
  PlacedTensor placed;
  StoredTensor& tensor = placed.tensor;
  tensor.name = reader.string(place, kMaxTensorNameLength);
  if (tensor.name.empty()) reader.fail(place + " is empty");
  if (!is_utf8(tensor.name)) reader.fail(place + " is not UTF-8: " + quote(tensor.name));
  const std::string what = "tensor " + quote(tensor.name);

  const auto n_dimensions = reader.number<std::uint32_t>(what);
  if (n_dimensions < 1 || n_dimensions > kMaxDimensions) {
    reader.fail(what + ": expected 1 to 4 dimensions, found " + std::to_string(n_dimensions));
  }
  for (std::uint32_t i = 0; i < n_dimensions; ++i) {
    const auto dimension = reader.number<std::uint64_t>(what);
    if (dimension == 0 || dimension > static_cast<std::uint64_t>(INT64_MAX)) {
      reader.fail(what + ": expected dimensions of 1 to 2^63 - 1, found " +
                  std::to_string(static_cast<std::int64_t>(dimension)));
    }
    tensor.shape.push_back(dimension);
  }
  std::ranges::reverse(tensor.shape);  // GGUF lists the innermost dimension first

  tensor.type = read_tensor_type(reader, what);
  placed.offset = reader.number<std::uint64_t>(what);
  if (placed.offset % alignment != 0) {
    reader.fail(what + ": expected an offset that is a multiple of " + std::to_string(alignment) +
                ", found " + std::to_string(placed.offset));
  }
  placed.bytes = tensor_bytes(reader, tensor, what);
  return placed;
}

/// Rounds up to a multiple of `alignment`, a power of two; the caller's value is far from 2^64.
std::size_t align_up(std::size_t value, std::size_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

/// Points every tensor at its bytes: in offset order they must fill the section from the first byte
/// to the last, with only the padding that the alignment asks for between them.
void place_tensors(std::span<const std::byte> section, std::size_t alignment,
                   const std::string& source, std::span<PlacedTensor> placed) {
  std::ranges::sort(placed, {}, &PlacedTensor::offset);
  std::size_t end = 0;  // of the data placed so far; never beyond the section
  for (auto& [tensor, offset, bytes] : placed) {
    const std::string what = source + ": tensor " + quote(tensor.name);
    const std::size_t expected = align_up(end, alignment);
    if (offset != expected) {
      throw Error(what + " at offset " + std::to_string(offset) + " of the tensor data leaves " +
                  (offset < expected ? "an overlap" : "a gap") + ": the tensor before it ends at " +
                  std::to_string(end));
    }
    if (offset > section.size() || bytes > section.size() - offset) {
      throw Error(what + " takes " + std::to_string(bytes) + " bytes at offset " +
                  std::to_string(offset) + ", the tensor data has " +
                  std::to_string(section.size()) + "; the file may be cut short");
    }
    tensor.data = section.subspan(offset, bytes);
    end = offset + bytes;
  }
  // Writers differ in whether they pad after the last tensor.
  if (section.size() != end && section.size() != align_up(end, alignment)) {
    throw Error(source + ": expected the tensor data to end after " + std::to_string(end) +
                " bytes and padding to a multiple of " + std::to_string(alignment) + ", found " +
                std::to_string(section.size()) + " bytes");
  }
}

}  // namespace

Gguf parse_gguf(std::span<const std::byte> bytes, const std::string& source) {
  Gguf gguf;
  gguf.source = source;
  ByteReader reader(bytes, source);
  check_header(reader, gguf);
  const std::uint64_t n_tensors = reader.count("tensors", kMinTensorBytes);
  const std::uint64_t n_pairs = reader.count("metadata pairs", kMinPairBytes);

  const std::size_t alignment = read_gguf_metadata(reader, n_pairs, gguf);
  std::vector<PlacedTensor> placed;
  for (std::uint64_t i = 0; i < n_tensors; ++i) {
    placed.push_back(read_tensor(reader, i, alignment));
  }
  // A file without tensors may end before the padding that would precede them.
  const std::size_t section = std::min(align_up(reader.position(), alignment), bytes.size());
  place_tensors(bytes.subspan(section), alignment, source, placed);

  for (PlacedTensor& each : placed) gguf.tensors.push_back(std::move(each.tensor));
  std::ranges::sort(gguf.tensors, {}, &StoredTensor::name);
  const auto repeated = std::ranges::adjacent_find(gguf.tensors, {}, &StoredTensor::name);
  if (repeated != gguf.tensors.end()) {
    throw Error(source + ": tensor " + quote(repeated->name) + " is repeated");
  }
  return gguf;
}

const StoredTensor* Gguf::find(std::string_view name) const { return find_tensor(tensors, name); }

}  // namespace longshadow
