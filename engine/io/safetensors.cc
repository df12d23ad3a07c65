#include "engine/io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/utf8.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little,
              "safetensors numbers are read as they lie");

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

StorageType storage_type(const std::string& dtype, const std::string& where) {
  if (dtype == "F32") return StorageType::f32;
  if (dtype == "F16") return StorageType::f16;
  if (dtype == "BF16") return StorageType::bf16;
  throw Error(where + ": the dtype " + quote(dtype) +
              " is not supported; expected F32, F16 or BF16");
}

std::uint64_t unsigned_integer(const json& value, const std::string& where) {
  if (!value.is_number_unsigned()) {
    throw Error(where + ": expected a non-negative integer, found " + quote(value.dump()));
  }
  return value.get<std::uint64_t>();
}

/// A tensor and where its bytes begin in the data section.
struct PlacedTensor {
  StoredTensor tensor;
  std::uint64_t begin;
};

PlacedTensor read_tensor(const std::string& name, const json& entry,
                         std::span<const std::byte> data, const std::string& source) {
  const std::string where = source + ": tensor " + quote(name);
  StoredTensor tensor{
      name, storage_type(json_at<std::string>(entry, "dtype", where), where), {}, {}};
  std::uint64_t expected_bytes = block_bytes(tensor.type);
  for (const json& dimension : json_array_at(entry, "shape", where)) {
    tensor.shape.push_back(unsigned_integer(dimension, where + ": 'shape'"));
    if (__builtin_mul_overflow(expected_bytes, tensor.shape.back(), &expected_bytes)) {
      throw Error(where + ": the shape " + describe_shape(tensor.shape) +
                  " takes more than 2^64 bytes");
    }
  }

  const json& offsets = json_array_at(entry, "data_offsets", where);
  if (offsets.size() != 2) throw Error(where + ": 'data_offsets': expected [begin, end]");
  const std::uint64_t begin = unsigned_integer(offsets[0], where + ": 'data_offsets'");
  const std::uint64_t end = unsigned_integer(offsets[1], where + ": 'data_offsets'");
  if (begin > end || end > data.size()) {
    throw Error(where + ": expected a range within the " + std::to_string(data.size()) +
                " bytes of data, found " + std::to_string(begin) + " to " + std::to_string(end) +
                "; the file may be cut short");
  }
  if (end - begin != expected_bytes) {
    throw Error(where + ": its shape " + describe_shape(tensor.shape) + " takes " +
                std::to_string(expected_bytes) + " bytes, its data_offsets give " +
                std::to_string(end - begin));
  }
  tensor.data = data.subspan(begin, end - begin);
  return {std::move(tensor), begin};
}

/// In the order of their data, each tensor must begin where the one before it ends.
void check_contiguous(std::span<PlacedTensor> placed, std::size_t data_bytes,
                      const std::string& source) {
  std::ranges::sort(placed, {}, [](const PlacedTensor& each) {
    return std::pair(each.begin, each.tensor.data.size());
  });
  std::uint64_t end = 0;
  for (const auto& [tensor, begin] : placed) {
    if (begin != end) {
      throw Error(source + ": tensor " + quote(tensor.name) + " begins at byte " +
                  std::to_string(begin) + " of the data, after " +
                  (begin < end ? "an overlap with" : "a hole behind") +
                  " the tensor that ends at " + std::to_string(end));
    }
    end += tensor.data.size();
  }
  if (end != data_bytes) {
    throw Error(source + ": expected " + std::to_string(end) + " bytes of data, found " +
                std::to_string(data_bytes));
  }
}

void sort_by_name(std::vector<StoredTensor>& tensors) {
  std::ranges::sort(tensors, {}, &StoredTensor::name);
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
  if (fs::is_symlink(fs::symlink_status(path, ignored))) {
    throw Error(path.string() +
                ": a shard must not be a symbolic link; copy the folder with 'cp -rL' first");
  }
  if (!fs::exists(path, ignored)) {
    throw Error(path.string() + ": this shard is missing, " + source + " names it");
  }
  return path;
}

/// The shard's tensors must be those that the index places in it.
void check_against_index(const std::map<std::string, std::string>& shard_of,
                         std::span<const StoredTensor> tensors, const std::string& shard,
                         const std::string& source) {
  for (const StoredTensor& tensor : tensors) {
    const auto entry = shard_of.find(tensor.name);
    if (entry == shard_of.end() || entry->second != shard) {
      throw Error(source + ": tensor " + quote(tensor.name) + " is in " + quote(shard) +
                  ", the index places it " +
                  (entry == shard_of.end() ? "nowhere" : "in " + quote(entry->second)));
    }
  }
  for (const auto& [tensor, its_shard] : shard_of) {
    if (its_shard == shard && find_tensor(tensors, tensor) == nullptr) {
      throw Error(source + ": tensor " + quote(tensor) + " is not in " + quote(shard) +
                  ", where the index places it");
    }
  }
}

SafetensorsFolder open_shards(const fs::path& folder, const fs::path& index_path) {
  const std::string source = index_path.string();
  const std::map<std::string, std::string> shard_of = read_index(index_path);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);

  SafetensorsFolder opened;
  for (const std::string& shard : shards) {
    const MappedFile& file = opened.files.emplace_back(shard_path(folder, shard, source));
    std::vector<StoredTensor> tensors = parse_safetensors(file.bytes(), file.path().string());
    check_against_index(shard_of, tensors, shard, source);
    std::ranges::move(tensors, std::back_inserter(opened.tensors));
  }
  sort_by_name(opened.tensors);
  return opened;
}

}  // namespace

std::vector<StoredTensor> parse_safetensors(std::span<const std::byte> bytes,
                                            const std::string& source) {
  const auto [header, data] = split(bytes, source);
  const json entries = parse_header(header, source);
  std::vector<PlacedTensor> placed;
  for (const auto& [name, entry] : entries.items()) {
    if (name == "__metadata__") {
      check_metadata(entry, source + ": '__metadata__'");
    } else {
      placed.push_back(read_tensor(name, entry, data, source));
    }
  }
  check_contiguous(placed, data.size(), source);

  std::vector<StoredTensor> tensors;
  for (PlacedTensor& each : placed) tensors.push_back(std::move(each.tensor));
  sort_by_name(tensors);
  return tensors;
}

SafetensorsFolder open_safetensors(const fs::path& folder) {
  const fs::path single = folder / "model.safetensors";
  const fs::path index = folder / "model.safetensors.index.json";
  std::error_code ignored;  // a folder that cannot be examined holds neither
  if (fs::exists(single, ignored)) {
    SafetensorsFolder opened;
    const MappedFile& file = opened.files.emplace_back(single);
    opened.tensors = parse_safetensors(file.bytes(), single.string());
    return opened;
  }
  if (fs::exists(index, ignored)) return open_shards(folder, index);
  throw Error(folder.string() +
              ": expected model.safetensors or model.safetensors.index.json, found neither");
}

}  // namespace longshadow
