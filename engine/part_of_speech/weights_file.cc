#include "engine/part_of_speech/weights_file.h"

#include <bit>
#include <cstdint>
#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/sha256.h"
#include "engine/io/byte_reader.h"
#include "engine/io/mapped_file.h"

namespace longshadow {
namespace {

constexpr std::string_view kMagic = "LSTAGGER";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kChecksumBytes = 64;

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie");

template <class T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void append_size(std::string& bytes, std::size_t n) {
  append(bytes, static_cast<std::uint64_t>(n));
}

/// What lies between the magic and the checksum, once the two are right.
std::span<const std::byte> checked_content(std::span<const std::byte> bytes,
                                           const std::string& source) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic)) {
    throw Error(source + ": expected a tagger's weights, which begin with \"LSTAGGER\" and which " +
                "longshadow pos train writes");
  }
  if (bytes.size() < kMagic.size() + kChecksumBytes ||
      sha256_hex(bytes.first(bytes.size() - kChecksumBytes)) !=
          text.substr(text.size() - kChecksumBytes)) {
    throw Error(source + ": expected the content's SHA-256 at the end, found another; the file " +
                "is cut short or damaged");
  }
  return bytes.first(bytes.size() - kChecksumBytes).subspan(kMagic.size());
}

Lexicon read_lexicon(ByteReader& reader) {
  Lexicon lexicon;
  const std::uint64_t n = reader.count("lexicon entries", 2 * sizeof(std::uint32_t));
  for (std::uint64_t i = 0; i < n; ++i) {
    const auto key = reader.number<Lexicon::Key>("a lexicon key");
    const auto bits = reader.number<std::uint32_t>("a set of tags");
    if ((bits & ~TagSet::all().bits()) != 0) reader.fail("expected a set of the 17 word tags");
    if (i != 0 && key <= lexicon.entries().rbegin()->first) {
      reader.fail("expected lexicon keys that ascend");
    }
    lexicon.insert(key, TagSet::from_bits(bits));
  }
  return lexicon;
}

std::vector<Feature> read_features(ByteReader& reader, std::uint64_t n) {
  std::vector<Feature> features;
  features.reserve(n);
  for (std::uint64_t i = 0; i < n; ++i) {
    features.push_back(reader.number<Feature>("a feature"));
    if (i != 0 && features[i] <= features[i - 1]) reader.fail("expected features that ascend");
  }
  return features;
}

FeatureWeights read_feature_weights(ByteReader& reader) {
  const std::uint64_t n_features = reader.count("features", sizeof(Feature) + 1);
  const std::uint64_t n_entries = reader.count("weights", 2);
  std::vector<Feature> features = read_features(reader, n_features);
  std::vector<std::uint32_t> first{0};
  first.reserve(n_features + 1);
  for (std::uint64_t i = 0; i < n_features; ++i) {
    first.push_back(first.back() + reader.number<std::uint8_t>("a number of weights"));
  }
  if (first.back() != n_entries) {
    reader.fail("expected the features to have " + std::to_string(n_entries) + " weights, found " +
                std::to_string(first.back()));
  }
  std::vector<FeatureWeights::Entry> entries;
  entries.reserve(n_entries);
  for (std::uint64_t i = 0; i < n_entries; ++i) {
    const auto tag = reader.number<std::uint8_t>("a weight's tag");
    if (tag >= kWordTags) reader.fail("expected a tag under 17, found " + std::to_string(tag));
    entries.push_back({static_cast<UniversalTag>(tag), reader.number<std::int8_t>("a weight")});
  }
  return {std::move(features), std::move(first), std::move(entries)};
}

}  // namespace

void write_weights(std::ostream& out, const Perceptron& perceptron) {
  std::string bytes(kMagic);
  append(bytes, kVersion);
  append_size(bytes, perceptron.lexicon.entries().size());
  for (const auto& [key, tags] : perceptron.lexicon.entries()) {
    append(bytes, key);
    append(bytes, tags.bits());
  }
  const FeatureWeights& weights = perceptron.weights;
  std::string counts;
  std::string entries;
  append_size(bytes, weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    append(counts, static_cast<std::uint8_t>(weights.entries(i).size()));
    for (const FeatureWeights::Entry entry : weights.entries(i)) {
      append(entries, entry.tag);
      append(entries, entry.weight);
    }
  }
  append_size(bytes, entries.size() / 2);
  for (std::size_t i = 0; i < weights.size(); ++i) append(bytes, weights.feature(i));
  bytes += counts + entries;
  out << bytes << sha256_hex(std::as_bytes(std::span(bytes)));
}

Perceptron parse_weights(std::span<const std::byte> bytes, const std::string& source) {
  ByteReader reader(checked_content(bytes, source), source);
  const auto version = reader.number<std::uint32_t>("the format version");
  if (version != kVersion) {
    reader.fail("expected format version 1, found " + std::to_string(version));
  }
  Lexicon lexicon = read_lexicon(reader);
  FeatureWeights weights = read_feature_weights(reader);
  if (reader.remaining() != 0) {
    reader.fail("expected the end, found " + std::to_string(reader.remaining()) + " bytes more");
  }
  return {std::move(lexicon), std::move(weights)};
}

Perceptron load_weights(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_weights(file.bytes(), path.string());
}

}  // namespace longshadow
