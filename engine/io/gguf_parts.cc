#include "engine/io/gguf_parts.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "engine/core/error.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

constexpr std::string_view kNumberKey = "split.no";  // of the part, from 0
constexpr std::string_view kCountKey = "split.count";
constexpr std::string_view kTensorsKey = "split.tensors.count";  // of all parts together
constexpr std::size_t kDigits = 5;

/// What a part's file name says: "name-00002-of-00003.gguf".
struct PartName {
  std::string model;
  std::size_t number;  ///< from 1
  std::size_t count;
};

std::optional<std::size_t> five_digits(std::string_view text) {
  if (text.size() != kDigits) return std::nullopt;
  std::size_t number = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return std::nullopt;
    number = 10 * number + static_cast<std::size_t>(digit - '0');
  }
  return number;
}

/// Takes `ending` off the text's end, and says whether it was there.
bool take_ending(std::string_view& text, std::string_view ending) {
  if (!text.ends_with(ending)) return false;
  text.remove_suffix(ending.size());
  return true;
}

std::optional<std::size_t> take_last_digits(std::string_view& text) {
  if (text.size() < kDigits) return std::nullopt;
  const auto number = five_digits(text.substr(text.size() - kDigits));
  text.remove_suffix(kDigits);
  return number;
}

std::optional<PartName> part_name_of(const std::filesystem::path& path) {
  const std::string file_name = path.filename().string();
  std::string_view rest = file_name;
  if (!take_ending(rest, ".gguf")) return std::nullopt;
  const auto count = take_last_digits(rest);
  if (!count || !take_ending(rest, "-of-")) return std::nullopt;
  const auto number = take_last_digits(rest);
  if (!number || !take_ending(rest, "-")) return std::nullopt;
  return PartName{std::string(rest), *number, *count};
}

std::string with_five_digits(std::size_t number) {
  const std::string digits = std::to_string(number);
  return std::string(kDigits - std::min(kDigits, digits.size()), '0') + digits;
}

std::filesystem::path path_of_part(const std::filesystem::path& folder, const PartName& name,
                                   std::size_t number) {
  return folder / (name.model + "-" + with_five_digits(number) + "-of-" +
                   with_five_digits(name.count) + ".gguf");
}

/// The parts of the model that this file belongs to; 1 for a whole model.
std::uint64_t part_count(const Gguf& gguf) {
  const auto* const count = gguf.find_value<std::uint64_t>(kCountKey);
  return count == nullptr ? 1 : std::max<std::uint64_t>(1, *count);
}

/// The part's name, after checks that its metadata and its name agree on how many parts there are.
PartName checked_name(const std::filesystem::path& path, const Gguf& part) {
  const std::uint64_t count = part_count(part);
  const std::optional<PartName> name = part_name_of(path);
  if (!name || name->count != count) {
    throw Error(part.source + ": one of " + std::to_string(count) +
                " parts of a model, so expected a name that ends in -NNNNN-of-" +
                with_five_digits(count) +
                ".gguf; give the parts their names back, or join them with llama.cpp's "
                "'llama-gguf-split --merge'");
  }
  return *name;
}

/// Throws Error unless the file is part `number` (from 1) of the model that `first` begins.
void check_part(const Gguf& part, const Gguf& first, std::size_t number) {
  const std::string where = part.source + ": ";
  if (part_count(part) != part_count(first)) {
    throw Error(where + "expected one of " + std::to_string(part_count(first)) +
                " parts like the first, found " + quote(kCountKey) + " " +
                std::to_string(part_count(part)) + "; the part belongs to another model");
  }
  if (const auto found = part.at<std::uint64_t>(kNumberKey); found != number - 1) {
    throw Error(where + "expected " + quote(kNumberKey) + " " + std::to_string(number - 1) +
                " by the file's name, found " + std::to_string(found) +
                "; a part is repeated or misnamed");
  }
  for (const auto& [key, value] : part.metadata) {
    if (key == kNumberKey || key == "general.alignment") continue;  // each part's own
    const auto of_first = first.metadata.find(key);
    if (of_first != first.metadata.end() && of_first->second != value) {
      throw Error(where + quote(key) +
                  " differs from the first part's; the parts are of two models");
    }
  }
}

/// Throws Error where two parts have a tensor of one name, or all together not as many as they say.
void check_tensors(const Gguf& whole, std::size_t n_parts) {
  const auto repeated = std::ranges::adjacent_find(whole.tensors, {}, &StoredTensor::name);
  if (repeated != whole.tensors.end()) {
    throw Error(whole.source + ": tensor " + quote(repeated->name) + " is in two of its " +
                std::to_string(n_parts) + " parts");
  }
  const auto* const expected = whole.find_value<std::uint64_t>(kTensorsKey);
  if (expected != nullptr && *expected != whole.tensors.size()) {
    throw Error(whole.source + ": expected " + std::to_string(*expected) + " tensors in its " +
                std::to_string(n_parts) + " parts (" + std::string(kTensorsKey) + "), found " +
                std::to_string(whole.tensors.size()) + "; a part is of another model");
  }
}

/// Throws Error where the part is missing that `source` needs.
void require_part(const std::filesystem::path& part, std::size_t number, const Gguf& source) {
  std::error_code ignored;  // what cannot be examined is reported when it is opened
  const auto type = std::filesystem::status(part, ignored).type();
  if (type != std::filesystem::file_type::not_found) return;
  throw Error(source.source + ": part " + std::to_string(number) + " of the model's " +
              std::to_string(part_count(source)) + " is missing; put " +
              quote(part.filename().string()) + " beside it");
}

}  // namespace

GgufModel open_gguf(const std::filesystem::path& path) {
  GgufModel model{.path = path, .name = path.stem().string(), .files = {}, .gguf = {}};
  model.files.emplace_back(path);
  model.gguf = parse_gguf(model.files[0].bytes(), path.string());
  if (part_count(model.gguf) == 1) {
    if (const auto only = part_name_of(path); only && only->count == 1) model.name = only->model;
    return model;
  }
  const PartName name = checked_name(path, model.gguf);
  if (name.number != 1) {
    const std::filesystem::path first = path_of_part(path.parent_path(), name, 1);
    require_part(first, 1, model.gguf);
    return open_gguf(first);
  }
  model.name = name.model;
  check_part(model.gguf, model.gguf, 1);
  for (std::size_t number = 2; number <= name.count; ++number) {
    const std::filesystem::path next = path_of_part(path.parent_path(), name, number);
    require_part(next, number, model.gguf);
    model.files.emplace_back(next);
    Gguf part = parse_gguf(model.files.back().bytes(), next.string());
    check_part(part, model.gguf, number);
    std::ranges::move(part.tensors, std::back_inserter(model.gguf.tensors));
  }
  std::ranges::sort(model.gguf.tensors, {}, &StoredTensor::name);
  check_tensors(model.gguf, name.count);
  return model;
}

}  // namespace longshadow
