#include "engine/part_of_speech/weights_file.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <sstream>
#include <string>

#include "engine/core/sha256.h"
#include "tests/part_of_speech/treebank.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::error_of;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string written(const Perceptron& perceptron) {
  std::ostringstream out;
  write_weights(out, perceptron);
  return out.str();
}

std::string error_parsing(const std::string& file) {
  return error_of([&] { parse_weights(bytes_of(file), "a.tagger"); });
}

/// Places in a file of one lexicon entry (key 5) and two features (7, 9) with three weights.
constexpr std::size_t kVersionAt = 8, kLexiconAt = 12, kKeyAt = 20, kTagsAt = 24, kFeaturesAt = 28,
                      kWeightsAt = 36, kFeatureAt = 44, kCountAt = 52, kTagAt = 54;

std::string small_file() {
  Perceptron perceptron;
  perceptron.lexicon.insert(5, {UniversalTag::noun});
  perceptron.weights = {
      {7, 9}, {0, 1, 3}, {{UniversalTag::noun, 1}, {UniversalTag::x, -2}, {UniversalTag::x, -127}}};
  return written(perceptron);
}

/// The file with a number at `at` replaced, and a checksum that fits.
template <class T>
std::string with(std::string file, std::size_t at, T value) {
  std::memcpy(file.data() + at, &value, sizeof(T));
  file.resize(file.size() - 64);
  return file + sha256_hex(bytes_of(file));
}

TEST_CASE("weights are read as they were written") {
  const Perceptron trained = test::small_perceptron();
  const std::string file = written(trained);
  const Perceptron read = parse_weights(bytes_of(file), "a.tagger");
  CHECK(read.weights.size() == trained.weights.size());
  CHECK(written(read) == file);
  CHECK(written(parse_weights(bytes_of(small_file()), "a.tagger")) == small_file());
}

TEST_CASE("a file that is no tagger's, or is damaged, is refused") {
  const std::string file = small_file();
  CHECK_THAT(error_parsing(""), Contains("a.tagger: expected a tagger's weights"));
  CHECK_THAT(error_parsing("GGUF" + file), Contains("a.tagger: expected a tagger's weights"));
  for (std::size_t length = kVersionAt; length < file.size(); ++length) {
    CHECK_THAT(error_parsing(file.substr(0, length)), Contains("SHA-256"));
  }
  for (std::size_t at = kVersionAt; at < file.size(); ++at) {
    std::string flipped = file;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    CHECK_THAT(error_parsing(flipped), Contains("SHA-256"));
  }
}

TEST_CASE("contents that cannot be are refused though the checksum fits") {
  const std::string file = small_file();
  const auto u8 = [&](std::size_t at, std::uint8_t v) { return error_parsing(with(file, at, v)); };
  const auto u32 = [&](std::size_t at, std::uint32_t v) {
    return error_parsing(with(file, at, v));
  };
  const auto u64 = [&](std::size_t at, std::uint64_t v) {
    return error_parsing(with(file, at, v));
  };
  CHECK_THAT(u32(kVersionAt, 2), Contains("expected format version 1, found 2"));
  CHECK_THAT(u64(kLexiconAt, ~0ull), Contains("expected at most") && Contains("lexicon entries"));
  CHECK_THAT(u32(kTagsAt, 1u << kWordTags), Contains("expected a set of the 17 word tags"));
  CHECK_THAT(u64(kFeaturesAt, 1ull << 60), Contains("expected at most") && Contains("features"));
  CHECK_THAT(u64(kWeightsAt, 1ull << 60), Contains("expected at most") && Contains("weights"));
  CHECK_THAT(u64(kWeightsAt, 2), Contains("expected the features to have 2 weights, found 3"));
  CHECK_THAT(u32(kFeatureAt, 9), Contains("expected features that ascend"));
  CHECK_THAT(u8(kCountAt, 2), Contains("expected the features to have 3 weights, found 4"));
  CHECK_THAT(u8(kTagAt, 17), Contains("expected a tag under 17, found 17"));
  CHECK_THAT(u64(kLexiconAt, 0), Contains("a.tagger: "));
  CHECK_THAT(error_parsing(with(file + std::string(1, 'x'), kKeyAt, std::uint32_t{5})),
             Contains("expected the end"));
}

}  // namespace
}  // namespace longshadow
