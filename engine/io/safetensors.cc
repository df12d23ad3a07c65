#include "engine/io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little,
              "safetensors numbers are read as they lie");

constexpr const char* kWhole = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's own limit

struct Sections {
  std::span<const std::byte> header;
  std::span<const std::byte> data;
};

/// Splits the file into its JSON header and its tensors' data.
Sections split(std::span<const std::byte> bytes, const std::string& source) {
  std::uint64_t header_bytes = 0;
  if (bytes.size() < sizeof header_bytes) {
    throw Error(source + ": expected a safetensors file, found only " +
                std::to_string(bytes.size()) + " bytes");
  }
  constexpr std::string_view kLfsPointer = "version https://git-lfs";
  if (std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())
          .starts_with(kLfsPointer)) {
    throw Error(source + ": expected a safetensors file, found Git LFS's pointer to it; fetch it " +
                "with 'git lfs pull'");
  }
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  const auto rest = bytes.subspan(sizeof header_bytes);
  if (header_bytes == 0 || header_bytes > kMaxHeaderBytes || header_bytes > rest.size()) {
    throw Error(source + ": expected a header of 1 to " +
                std::to_string(std::min<std::uint64_t>(kMaxHeaderBytes, rest.size())) +
                " bytes, found one of " + std::to_string(header_bytes) +
                "; not a safetensors file, or cut short");
  }
  return {rest.first(header_bytes), rest.subspan(header_bytes)};
}

json parse_header(std::span<const std::byte> header, const std::string& source) {
  std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  if (text.front() != '{') throw Error(source + ": expected a header that begins with '{'");
  // JSON would allow any white space after the last brace, safetensors pads with spaces alone.
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  if (text.back() != '}') {
    throw Error(source + ": expected a header that ends with '}' and spaces");
  }
  return parse_json(bytes_of(text), source);
}

void check_metadata(const json& metadata, const std::string& where) {
  if (!metadata.is_object()) throw Error(where + ": expected an object");
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string()) throw Error(where + ": " + quote(key) + ": expected a string");
  }
}

struct Dtype {
  std::string_view name;
  std::uint64_t bits;
  std::optional<StorageType> type;  ///< none: its elements are not read
};

constexpr Dtype kDtypes[] = {
    {"F32", 32, StorageType::f32},
    {"F16", 16, StorageType::f16},
    {"BF16", 16, StorageType::bf16},
    {"F64", 64, {}},
    {"C64", 64, {}},
    {"I64", 64, {}},
    {"U64", 64, {}},
    {"I32", 32, {}},
    {"U32", 32, {}},
    {"I16", 16, {}},
    {"U16", 16, {}},
    {"I8", 8, {}},
    {"U8", 8, {}},
    {"BOOL", 8, {}},
    {"F8_E5M2", 8, {}},
    {"F8_E4M3", 8, {}},
    {"F8_E8M0", 8, {}},
    {"F8_E4M3FNUZ", 8, {}},
    {"F8_E5M2FNUZ", 8, {}},
    {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},
    {"F4", 4, {}},
};

const Dtype& find_dtype(const std::string& name, const std::string& where) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.name == name) return dtype;
  }
  throw Error(where + ": the dtype " + quote(name) + " is none of the safetensors format's");
}

std::uint64_t unsigned_integer(const json& value, const std::string& where) {
  if (!value.is_number_unsigned()) {
    throw Error(where + ": expected a non-negative integer, found " + quote(value.dump()));
  }
  return value.get<std::uint64_t>();
}

/// A tensor, whatever its dtype, and where its bytes lie in the data section.
struct PlacedTensor {
  std::string name;
  const Dtype* dtype;
  std::vector<std::size_t> shape;
  std::uint64_t begin, end;
};

/// The bytes that elements of such a shape take. Throws Error beyond 2^64, and where they are not
/// whole.
std::uint64_t bytes_of_shape(const json& shape, PlacedTensor& tensor, const std::string& where) {
  std::uint64_t bits = tensor.dtype->bits;
  for (const json& dimension : shape) {
    tensor.shape.push_back(unsigned_integer(dimension, where + ": 'shape'"));
    if (__builtin_mul_overflow(bits, tensor.shape.back(), &bits)) {
      throw Error(where + ": the shape " + describe_shape(tensor.shape) +
                  " takes more than 2^64 bits");
    }
  }
  if (bits % 8 != 0) {
    throw Error(where + ": the shape " + describe_shape(tensor.shape) + " of " +
                std::string(tensor.dtype->name) + " ends within a byte");
  }
  return bits / 8;
}

PlacedTensor read_tensor(const std::string& name, const json& entry, std::size_t data_bytes,
                         const std::string& source) {
  const std::string where = source + ": tensor " + quote(name);
  PlacedTensor tensor{
      name, &find_dtype(json_at<std::string>(entry, "dtype", where), where), {}, 0, 0};
  const std::uint64_t expected_bytes =
      bytes_of_shape(json_array_at(entry, "shape", where), tensor, where);

  const json& offsets = json_array_at(entry, "data_offsets", where);
  if (offsets.size() != 2) throw Error(where + ": 'data_offsets': expected [begin, end]");
  const std::uint64_t begin = unsigned_integer(offsets[0], where + ": 'data_offsets'");
  const std::uint64_t end = unsigned_integer(offsets[1], where + ": 'data_offsets'");
  if (begin > end || end > data_bytes) {
    throw Error(where + ": expected a range within the " + std::to_string(data_bytes) +
                " bytes of data, found " + std::to_string(begin) + " to " + std::to_string(end) +
                "; the file may be cut short");
  }
  if (end - begin != expected_bytes) {
    throw Error(where + ": its shape " + describe_shape(tensor.shape) + " takes " +
                std::to_string(expected_bytes) + " bytes, its data_offsets give " +
                std::to_string(end - begin));
  }
  tensor.begin = begin;
  tensor.end = end;
  return tensor;
}

/// In the order of their data, each tensor must begin where the one before it ends.
void check_contiguous(std::span<PlacedTensor> placed, std::size_t data_bytes,
                      const std::string& source) {
  std::ranges::sort(placed, {},
                    [](const PlacedTensor& each) { return std::pair(each.begin, each.end); });
  std::uint64_t end = 0;
  for (const PlacedTensor& tensor : placed) {
    if (tensor.begin != end) {
      throw Error(source + ": tensor " + quote(tensor.name) + " begins at byte " +
                  std::to_string(tensor.begin) + " of the data, after " +
                  (tensor.begin < end ? "an overlap with" : "a hole behind") +
                  " the tensor that ends at " + std::to_string(end));
    }
    end = tensor.end;
  }
  if (end != data_bytes) {
    throw Error(source + ": expected " + std::to_string(end) + " bytes of data, found " +
                std::to_string(data_bytes));
  }
}

void sort_by_name(SafetensorsContent& content) {
  std::ranges::sort(content.tensors, {}, &StoredTensor::name);
  std::ranges::sort(content.unread, {}, &UnreadTensor::name);
}

/// Which shard holds each tensor, by tensor name.
std::map<std::string, std::string> read_index(const fs::path& path) {
  const MappedFile file(path);
  const std::string source = path.string();
  const json index = parse_json(file.bytes(), source);
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : json_object_at(index, "weight_map", source).items()) {
    if (!shard.is_string()) {
      throw Error(source + ": 'weight_map': " + quote(tensor) + ": expected a file name");
    }
    shard_of.emplace(tensor, shard.get<std::string>());
  }
  return shard_of;
}

/// The index is as foreign as the weights: it may name files of its own folder only.
fs::path shard_path(const fs::path& folder, const std::string& name, const std::string& source) {
  const bool plain = !name.empty() && name != "." && name != ".." &&
                     name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
  if (!plain) {
    throw Error(source + ": expected shards that are plain file names, found " + quote(name));
  }
  const fs::path path = folder / name;
  std::error_code ignored;  // what cannot be examined is reported when it is opened
  if (!fs::exists(path, ignored)) {
    throw Error(path.string() + ": this shard is missing, " + source +
                " names it; fetch the model again");
  }
  return path;
}

/// A tensor may lie in no shard but the index's own, and in one alone; the index is told of those
/// that it leaves out.
template <class Tensor>
void check_against_index(std::span<const Tensor> tensors, const std::string& shard,
                         const std::string& source, std::map<std::string, std::string>& shard_of) {
  for (const Tensor& tensor : tensors) {
    const auto [entry, is_new] = shard_of.emplace(tensor.name, shard);
    if (!is_new && entry->second != shard) {
      throw Error(source + ": tensor " + quote(tensor.name) + " is in " + quote(shard) +
                  ", expected it in " + quote(entry->second) + " alone");
    }
  }
}

SafetensorsFolder open_shards(const fs::path& folder, const fs::path& index_path) {
  const std::string source = index_path.string();
  std::map<std::string, std::string> shard_of = read_index(index_path);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);

  SafetensorsFolder opened;
  for (const std::string& shard : shards) {
    const MappedFile& file = opened.files.emplace_back(shard_path(folder, shard, source));
    auto [tensors, unread] = parse_safetensors(file.bytes(), file.path().string());
    check_against_index(std::span<const StoredTensor>(tensors), shard, source, shard_of);
    check_against_index(std::span<const UnreadTensor>(unread), shard, source, shard_of);
    std::ranges::move(tensors, std::back_inserter(opened.content.tensors));
    std::ranges::move(unread, std::back_inserter(opened.content.unread));
  }
  sort_by_name(opened.content);
  return opened;
}

}  // namespace

SafetensorsContent parse_safetensors(std::span<const std::byte> bytes, const std::string& source) {
  const auto [header, data] = split(bytes, source);
  const json entries = parse_header(header, source);
  std::vector<PlacedTensor> placed;
  for (const auto& [name, entry] : entries.items()) {
    if (name == "__metadata__") {
      check_metadata(entry, source + ": '__metadata__'");
    } else {
      placed.push_back(read_tensor(name, entry, data.size(), source));
    }
  }
  check_contiguous(placed, data.size(), source);

  SafetensorsContent content;
  for (PlacedTensor& each : placed) {
    if (each.dtype->type) {
      content.tensors.push_back({std::move(each.name), *each.dtype->type, std::move(each.shape),
                                 data.subspan(each.begin, each.end - each.begin)});
    } else {
      content.unread.push_back({std::move(each.name), std::string(each.dtype->name)});
    }
  }
  sort_by_name(content);
  return content;
}

bool has_safetensors(const fs::path& folder) {
  std::error_code ignored;  // a folder that cannot be examined holds neither
  return fs::exists(folder / kWhole, ignored) || fs::exists(folder / kIndex, ignored);
}

SafetensorsFolder open_safetensors(const fs::path& folder) {
  std::error_code ignored;  // what cannot be examined is reported when it is opened
  if (!has_safetensors(folder)) {
    throw Error(folder.string() + ": expected " + kWhole + " or " + kIndex + ", found neither");
  }
  if (!fs::exists(folder / kWhole, ignored)) return open_shards(folder, folder / kIndex);
  SafetensorsFolder opened;
  const MappedFile& file = opened.files.emplace_back(folder / kWhole);
  opened.content = parse_safetensors(file.bytes(), file.path().string());
  return opened;
}

}  // namespace longshadow
